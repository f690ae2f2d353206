// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"testing"

	"github.com/openalink/iot/hal"
)

// Board is a device with two firmware images, for TestFirmwareSlot.
type Board interface {
	// Boot turns the power off and on, and returns the slot as the firmware that
	// then runs sees it.
	Boot(t *testing.T) hal.FirmwareSlot
	// Running returns the first bytes of the image that runs.
	Running(t *testing.T) string
}

// TestFirmwareSlot is what every hal.FirmwareSlot must do. open prepares a board
// whose running image begins with "factory".
func TestFirmwareSlot(t *testing.T, open func(t *testing.T) Board) {
	for _, c := range []struct {
		name string
		test func(f *firmwareFixture)
	}{
		{"FactoryIsSettled", (*firmwareFixture).factory},
		{"TriedAndKept", (*firmwareFixture).kept},
		{"NotKeptIsRolledBack", (*firmwareFixture).notKept},
		{"Rejected", (*firmwareFixture).rejected},
		{"CalledOff", (*firmwareFixture).calledOff},
		{"OpeningTheSpareCallsOff", (*firmwareFixture).spareCallsOff},
		{"FallbackIsNotWritten", (*firmwareFixture).fallback},
		{"ContentStays", (*firmwareFixture).content},
		{"ThereAndBack", (*firmwareFixture).again},
		{"CancelledContext", (*firmwareFixture).cancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &firmwareFixture{T: t, board: open(t)}
			f.boot("factory", hal.FirmwareSettled)
			c.test(f)
		})
	}
}

type firmwareFixture struct {
	*testing.T
	board Board
	slot  hal.FirmwareSlot
}

// boot turns the board off and on, and checks what runs.
func (f *firmwareFixture) boot(image string, state hal.FirmwareState) {
	f.Helper()
	f.slot = f.board.Boot(f.T)
	if got := f.board.Running(f.T); len(got) < len(image) || got[:len(image)] != image {
		f.Errorf("running %.20q, want %q", got, image)
	}
	f.state(state)
}

func (f *firmwareFixture) state(want hal.FirmwareState) {
	f.Helper()
	if got, err := f.slot.State(f.Context()); err != nil || got != want {
		f.Errorf("State = %d, %v, want %d", got, err, want)
	}
}

func (f *firmwareFixture) mark(m hal.FirmwareMark) {
	f.Helper()
	if err := f.slot.Mark(f.Context(), m); err != nil {
		f.Fatalf("Mark(%d): %v", m, err)
	}
}

// write makes content the spare image.
func (f *firmwareFixture) write(content string) {
	f.Helper()
	image := f.spare()
	_, err := image.WriteAt([]byte(content), 0)
	if err = errors.Join(err, image.Truncate(int64(len(content))), image.Sync(), image.Close()); err != nil {
		f.Fatal(err)
	}
}

func (f *firmwareFixture) spare() hal.FirmwareImage {
	f.Helper()
	image, err := f.slot.Spare(f.Context())
	if err != nil {
		f.Fatalf("Spare: %v", err)
	}
	return image
}

func (f *firmwareFixture) factory() {
	f.mark(hal.KeepRunning)
	f.mark(hal.RejectRunning)
	f.boot("factory", hal.FirmwareSettled)
}

func (f *firmwareFixture) kept() {
	f.write("second")
	f.state(hal.FirmwareSettled)
	f.mark(hal.TrySpare)
	f.state(hal.FirmwarePending)
	f.boot("second", hal.FirmwareTrial)
	f.mark(hal.KeepRunning)
	f.state(hal.FirmwareSettled)
	f.boot("second", hal.FirmwareSettled)
}

func (f *firmwareFixture) notKept() {
	f.write("broken")
	f.mark(hal.TrySpare)
	f.boot("broken", hal.FirmwareTrial)
	f.boot("factory", hal.FirmwareSettled)
	f.boot("factory", hal.FirmwareSettled)
}

func (f *firmwareFixture) rejected() {
	f.write("broken")
	f.mark(hal.TrySpare)
	f.boot("broken", hal.FirmwareTrial)
	f.mark(hal.RejectRunning)
	f.state(hal.FirmwareRejected)
	f.boot("factory", hal.FirmwareSettled)
}

func (f *firmwareFixture) calledOff() {
	f.write("second")
	f.mark(hal.TrySpare)
	f.mark(hal.KeepRunning)
	f.boot("factory", hal.FirmwareSettled)
}

func (f *firmwareFixture) spareCallsOff() {
	f.write("second")
	f.mark(hal.TrySpare)
	if err := f.spare().Close(); err != nil {
		f.Fatal(err)
	}
	f.state(hal.FirmwareSettled)
	f.boot("factory", hal.FirmwareSettled)
}

func (f *firmwareFixture) fallback() {
	f.write("second")
	f.mark(hal.TrySpare)
	f.boot("second", hal.FirmwareTrial)
	f.needed()
	f.mark(hal.RejectRunning)
	f.needed()
	f.boot("factory", hal.FirmwareSettled)
}

// needed checks that the image the next boot needs is not given away.
func (f *firmwareFixture) needed() {
	f.Helper()
	if _, err := f.slot.Spare(f.Context()); !errors.Is(err, hal.ErrFirmwareNeeded) {
		f.Errorf("Spare = %v, want ErrFirmwareNeeded", err)
	}
	if err := f.slot.Mark(f.Context(), hal.TrySpare); !errors.Is(err, hal.ErrFirmwareNeeded) {
		f.Errorf("Mark(TrySpare) = %v, want ErrFirmwareNeeded", err)
	}
}

func (f *firmwareFixture) content() {
	f.write("half of it")
	f.boot("factory", hal.FirmwareSettled)
	image := f.spare()
	defer image.Close()
	got := make([]byte, 10)
	if _, err := image.ReadAt(got, 0); err != nil || string(got) != "half of it" {
		f.Errorf("spare image after a boot: %q, %v", got, err)
	}
	if _, err := image.WriteAt([]byte("one"), 8); err != nil {
		f.Error(err)
	}
	if _, err := image.ReadAt(got, 1); err != nil || string(got) != "alf of one" {
		f.Errorf("written in the middle: %q, %v", got, err)
	}
}

func (f *firmwareFixture) again() {
	for _, name := range []string{"second", "third", "fourth"} {
		f.write(name)
		f.mark(hal.TrySpare)
		f.boot(name, hal.FirmwareTrial)
		f.mark(hal.KeepRunning)
	}
	f.boot("fourth", hal.FirmwareSettled)
}

func (f *firmwareFixture) cancelled() {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if _, err := f.slot.Spare(ctx); !errors.Is(err, context.Canceled) {
		f.Errorf("Spare = %v, want context.Canceled", err)
	}
	if err := f.slot.Mark(ctx, hal.TrySpare); !errors.Is(err, context.Canceled) {
		f.Errorf("Mark = %v, want context.Canceled", err)
	}
	f.state(hal.FirmwareSettled)
}
