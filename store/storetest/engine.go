// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"io"
	"testing"

	"github.com/openalink/iot/store"
)

// TestEngine holds an engine to the contract of package store. open returns an
// empty engine and registers its clean-up with t. When the engine is an
// io.Closer, its Close must be idempotent, and is tested too.
func TestEngine(t *testing.T, open func(t *testing.T) store.Engine) {
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"KV", kvCases},
		{"Check", checkCases},
		{"Submit", submitCases},
		{"Log", logCases},
		{"Close", closeCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
			}
		})
	}
	t.Run("Model", func(t *testing.T) {
		t.Run("KV", func(t *testing.T) { testModelKV(t, open) })
		t.Run("Log", func(t *testing.T) { testModelLog(t, open) })
	})
}

type testCase struct {
	name string
	test func(t *testing.T, e store.Engine)
}

// commit commits b and ends the test when that fails.
func commit(t testing.TB, e store.Engine, b *store.Batch) {
	t.Helper()
	if err := store.Commit(t.Context(), e, b); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// put commits one key.
func put(t testing.TB, e store.Engine, key, value string) {
	t.Helper()
	var b store.Batch
	b.Put([]byte(key), []byte(value))
	commit(t, e, &b)
}

// get returns the entry of key and ends the test when there is none.
func get(t testing.TB, e store.Engine, key string) store.Entry {
	t.Helper()
	entry, err := e.Get(t.Context(), []byte(key))
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return entry
}

// closeEngine closes e when it can be closed.
func closeEngine(t testing.TB, e store.Engine) {
	t.Helper()
	if c, ok := e.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
