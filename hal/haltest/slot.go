// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/openalink/iot/hal"
)

// TestSlot is what every hal.Slot must do. open prepares an empty one; each call
// of what it returns is a restart of the device.
func TestSlot(t *testing.T, open func(t *testing.T) (restart func(t *testing.T) hal.Slot)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, restart func(t *testing.T) hal.Slot)
	}{
		{"NothingStored", slotEmpty},
		{"OutlivesRestart", slotRestart},
		{"ReplaceAndRemove", slotReplace},
		{"NamesKeepApart", slotNames},
		{"BytesBelongToTheCaller", slotOwnership},
		{"Concurrent", slotConcurrent},
		{"CancelledContext", slotCancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func slotEmpty(t *testing.T, restart func(t *testing.T) hal.Slot) {
	s := restart(t)
	if v, err := s.Load(t.Context(), "secret"); !errors.Is(err, hal.ErrNoValue) || v != nil {
		t.Errorf("Load of nothing = %q, %v, want ErrNoValue", v, err)
	}
	if err := s.Store(t.Context(), "secret", nil); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
}

func slotRestart(t *testing.T, restart func(t *testing.T) hal.Slot) {
	value := bytes.Repeat([]byte{0, 1, 0xff, '\n'}, 4<<10)
	slotStore(t, restart(t), "state", value)
	s := restart(t)
	slotHolds(t, s, "state", value)
	slotStore(t, s, "state", nil)
	if _, err := restart(t).Load(t.Context(), "state"); !errors.Is(err, hal.ErrNoValue) {
		t.Errorf("removed value after a restart: %v, want ErrNoValue", err)
	}
}

func slotReplace(t *testing.T, restart func(t *testing.T) hal.Slot) {
	s := restart(t)
	for _, value := range []string{"a long first value", "short", "", "again"} {
		slotStore(t, s, "x", []byte(value))
		slotHolds(t, s, "x", []byte(value))
	}
	slotStore(t, s, "x", nil)
	if _, err := s.Load(t.Context(), "x"); !errors.Is(err, hal.ErrNoValue) {
		t.Errorf("removed value: %v, want ErrNoValue", err)
	}
}

func slotNames(t *testing.T, restart func(t *testing.T) hal.Slot) {
	names := []string{
		"a", "A", "a.tmp", "../a", "/a", `..\a`, ".", "..", "a b", "a%20b", "名", "a\x00", "CON", "v-a",
		strings.Repeat("n", 64),
	}
	s := restart(t)
	for _, name := range names {
		slotStore(t, s, name, []byte("value of "+name))
	}
	s = restart(t)
	for _, name := range names {
		slotHolds(t, s, name, []byte("value of "+name))
	}
	if err := s.Store(t.Context(), "", []byte("x")); err == nil {
		t.Error("an empty name is taken")
	}
}

func slotOwnership(t *testing.T, restart func(t *testing.T) hal.Slot) {
	s := restart(t)
	value := []byte("before")
	slotStore(t, s, "x", value)
	copy(value, "behind")
	got, err := s.Load(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	slotHolds(t, s, "x", []byte("before"))
}

func slotConcurrent(t *testing.T, restart func(t *testing.T) hal.Slot) {
	s := restart(t)
	slotStore(t, s, "shared", bytes.Repeat([]byte{'z'}, 2000))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			own := fmt.Sprintf("own-%d", i)
			for range 8 {
				slotStore(t, s, own, []byte(own))
				slotStore(t, s, "shared", bytes.Repeat([]byte{'a' + byte(i)}, 1000+i))
				v, err := s.Load(t.Context(), "shared")
				if err != nil || len(bytes.Trim(v, string(v[:1]))) != 0 {
					t.Errorf("shared value is a mixture: %v", err)
				}
			}
			slotHolds(t, s, own, []byte(own))
		})
	}
	wg.Wait()
}

func slotCancelled(t *testing.T, restart func(t *testing.T) hal.Slot) {
	s := restart(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Load(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v, want context.Canceled", err)
	}
	if err := s.Store(ctx, "x", []byte("v")); !errors.Is(err, context.Canceled) {
		t.Errorf("Store = %v, want context.Canceled", err)
	}
}

func slotStore(t *testing.T, s hal.Slot, name string, value []byte) {
	t.Helper()
	if err := s.Store(t.Context(), name, value); err != nil {
		t.Errorf("Store(%q): %v", name, err)
	}
}

func slotHolds(t *testing.T, s hal.Slot, name string, want []byte) {
	t.Helper()
	if got, err := s.Load(t.Context(), name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("Load(%q) = %.60q, %v, want %.60q", name, got, err, want)
	}
}
