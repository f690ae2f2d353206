// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
	"github.com/openalink/iot/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens an engine in a directory of its own.
func open(t testing.TB, o bolt.Options) *bolt.Engine {
	t.Helper()
	e, err := bolt.Open(filepath.Join(t.TempDir(), "store.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestEngine(t *testing.T) {
	storetest.TestEngine(t, func(t *testing.T) store.Engine { return open(t, bolt.Options{}) })
}

// Small segments make every test of the log cross some.
func TestEngineSmallSegments(t *testing.T) {
	o := bolt.WithSegments(bolt.Options{Pace: -1}, 16, 1<<20)
	storetest.TestEngine(t, func(t *testing.T) store.Engine { return open(t, o) })
}

func TestDurable(t *testing.T) {
	storetest.TestDurable(t, openAt(bolt.Options{}))
}

func TestDurableSmallSegments(t *testing.T) {
	storetest.TestDurable(t, openAt(bolt.WithSegments(bolt.Options{Pace: -1}, 64, 1<<20)))
}

func openAt(o bolt.Options) func(t *testing.T, dir string) store.Engine {
	return func(t *testing.T, dir string) store.Engine {
		e, err := bolt.Open(filepath.Join(dir, "store.db"), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	}
}
