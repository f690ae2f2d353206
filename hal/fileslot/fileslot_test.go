// SPDX-License-Identifier: Apache-2.0

package fileslot_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/fileslot"
	"github.com/openalink/iot/hal/haltest"
)

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func TestSlot(t *testing.T) {
	haltest.TestSlot(t, func(t *testing.T) func(t *testing.T) hal.Slot {
		dir := t.TempDir()
		return func(t *testing.T) hal.Slot { return fileslot.NewSlot(openRoot(t, dir)) }
	})
}

func TestSlotRefuses(t *testing.T) {
	s := fileslot.NewSlot(openRoot(t, t.TempDir()))
	if err := s.Store(t.Context(), strings.Repeat("n", fileslot.MaxName+1), []byte("x")); err == nil {
		t.Error("a name that is too long is taken")
	}
	if err := s.Store(t.Context(), "x", make([]byte, fileslot.MaxValue+1)); err == nil {
		t.Error("a value that is too large is taken")
	}
}

// A power cut before the rename leaves a temporary file: the old value holds,
// and the next Store is not in its way.
func TestSlotAfterPowerCut(t *testing.T) {
	dir := t.TempDir()
	s := fileslot.NewSlot(openRoot(t, dir))
	if err := s.Store(t.Context(), "x", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "v-x.tmp"), []byte("half a new val"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Load(t.Context(), "x"); err != nil || string(v) != "old" {
		t.Errorf("after the cut: %q, %v", v, err)
	}
	if err := s.Store(t.Context(), "x", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Load(t.Context(), "x"); err != nil || string(v) != "new" {
		t.Errorf("after the next Store: %q, %v", v, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "v-x.tmp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary file: %v", err)
	}
}

// board is a folder and the image its launcher started last.
type board struct{ dir, image string }

func (b *board) Boot(t *testing.T) hal.FirmwareSlot {
	f, err := fileslot.OpenFirmware(openRoot(t, b.dir))
	if err != nil {
		t.Fatal(err)
	}
	if b.image, err = f.Boot(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (b *board) Running(t *testing.T) string {
	content, err := os.ReadFile(filepath.Join(b.dir, b.image))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestFirmwareSlot(t *testing.T) {
	haltest.TestFirmwareSlot(t, func(t *testing.T) haltest.Board {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.img"), []byte("factory"), 0o600); err != nil {
			t.Fatal(err)
		}
		return &board{dir: dir}
	})
}

func TestBootRecordDamaged(t *testing.T) {
	for _, text := range []string{"", "1", "1 a settled", "1 c settled\n", "2 a settled\n", "1 a gone\n", "1 a settled\n\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "boot"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := fileslot.OpenFirmware(openRoot(t, dir)); !errors.Is(err, fileslot.ErrBootRecord) {
			t.Errorf("record %q: %v, want ErrBootRecord", text, err)
		}
	}
}

func TestUnknownMark(t *testing.T) {
	f, err := fileslot.OpenFirmware(openRoot(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Mark(t.Context(), 99); err == nil {
		t.Error("an unknown mark is taken")
	}
}

func Example() {
	dir, _ := os.MkdirTemp("", "device")
	defer os.RemoveAll(dir)
	root, _ := os.OpenRoot(dir)
	defer root.Close()

	values := fileslot.NewSlot(root)
	_ = values.Store(context.Background(), "deviceSecret", []byte("5f2c"))
	secret, _ := values.Load(context.Background(), "deviceSecret")
	fmt.Println(string(secret))

	// What a launcher does at every boot:
	firmware, _ := fileslot.OpenFirmware(root)
	image, _ := firmware.Boot()
	fmt.Println(image)
	// Output:
	// 5f2c
	// a.img
}
