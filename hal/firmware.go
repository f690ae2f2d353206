// SPDX-License-Identifier: Apache-2.0

package hal

import (
	"context"
	"errors"
	"io"
)

// ErrFirmwareNeeded is what a FirmwareSlot answers when an image is asked for
// that the next boot may need: the spare one while the running one is on trial,
// or after it was given up.
var ErrFirmwareNeeded = errors.New("hal: the other firmware image is needed for the next boot")

// FirmwareState is what the next boot of a device will run.
type FirmwareState int

// The states of a FirmwareSlot.
const (
	// FirmwareSettled: what runs now runs again.
	FirmwareSettled FirmwareState = iota
	// FirmwarePending: the spare image is tried.
	FirmwarePending
	// FirmwareTrial: what runs now is being tried and was not kept yet; the next
	// boot runs the one before, for good.
	FirmwareTrial
	// FirmwareRejected: what runs now was given up; the next boot runs the one
	// before, for good.
	FirmwareRejected
)

// FirmwareMark is a decision about the next boot.
type FirmwareMark int

// The marks of a FirmwareSlot.
const (
	// TrySpare has the next boot try the spare image, once: FirmwarePending. On
	// trial or given up it fails with ErrFirmwareNeeded.
	TrySpare FirmwareMark = iota
	// KeepRunning has what runs now run for good: FirmwareSettled. It ends a trial
	// with success and takes TrySpare back.
	KeepRunning
	// RejectRunning ends a trial with failure: FirmwareRejected. Off trial it does
	// nothing.
	RejectRunning
)

// FirmwareSlot is a pair of firmware images, one running and one spare. Whatever
// is marked outlives a power cut once Mark returned nil; a cut in the middle of
// Mark leaves the state before or the state after. Methods are safe for
// concurrent use. Boards implement it over their boot loader; hal/fileslot does
// so over a folder.
type FirmwareSlot interface {
	// State tells what the next boot will run.
	State(ctx context.Context) (FirmwareState, error)
	// Spare opens the image that does not run, holding what it held before, so that
	// an interrupted download goes on. A pending trial of it is called off first. It
	// fails with ErrFirmwareNeeded on trial and when the running one was given up.
	Spare(ctx context.Context) (FirmwareImage, error)
	// Mark decides about the next boot.
	Mark(ctx context.Context, m FirmwareMark) error
}

// FirmwareImage is the content of a spare image. One goroutine uses it at a
// time. What was read back before Sync may be lost by a power cut.
type FirmwareImage interface {
	io.ReaderAt
	io.WriterAt
	// Sync makes durable what was written.
	Sync() error
	// Truncate cuts the image to size, or fills it with zeros up to there.
	Truncate(size int64) error
	io.Closer
}
