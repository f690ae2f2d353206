// SPDX-License-Identifier: Apache-2.0

package fileslot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/durable"
)

// The files of a Firmware.
const (
	imageA   = "a.img"
	imageB   = "b.img"
	bootFile = "boot"
)

// ErrBootRecord means that the file that says what boots is damaged.
var ErrBootRecord = errors.New("fileslot: boot record is damaged")

// Firmware is a pair of images, files a.img and b.img, and the file boot, which
// says what boots next. It implements hal.FirmwareSlot for the program that
// runs, and Boot for the launcher that starts it.
type Firmware struct {
	root *os.Root
	mu   sync.Mutex
	boot record
}

// record is the content of the file boot.
type record struct {
	runs  byte // 'a' or 'b': what runs now
	state hal.FirmwareState
}

// OpenFirmware opens the pair in root, which belongs to the caller and is closed
// by them. An empty folder is a pair whose image a runs. The error wraps
// ErrBootRecord or is the file system's.
func OpenFirmware(root *os.Root) (*Firmware, error) {
	f := &Firmware{root: root, boot: record{runs: 'a'}}
	text, err := root.ReadFile(bootFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("fileslot: %w", err)
	}
	if f.boot, err = parseRecord(text); err != nil {
		return nil, err
	}
	return f, nil
}

// Boot is what the launcher calls once before it starts the program: it settles
// what runs and returns the name of its image in the folder. An image on trial
// that was not kept is not booted a second time.
func (f *Firmware) Boot() (image string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.boot
	switch f.boot.state {
	case hal.FirmwareSettled:
	case hal.FirmwarePending:
		next = record{runs: other(f.boot.runs), state: hal.FirmwareTrial}
	case hal.FirmwareTrial, hal.FirmwareRejected:
		next = record{runs: other(f.boot.runs), state: hal.FirmwareSettled}
	}
	if err := f.save(next); err != nil {
		return "", err
	}
	return imageName(f.boot.runs), nil
}

// State implements hal.FirmwareSlot.
func (f *Firmware) State(ctx context.Context) (hal.FirmwareState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.boot.state, ctx.Err()
}

// Spare implements hal.FirmwareSlot.
func (f *Firmware) Spare(ctx context.Context) (hal.FirmwareImage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.boot.needsOther() {
		return nil, hal.ErrFirmwareNeeded
	}
	if err := f.save(record{runs: f.boot.runs}); err != nil {
		return nil, err
	}
	image, err := f.root.OpenFile(imageName(other(f.boot.runs)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("fileslot: %w", err)
	}
	if err := durable.Sync(f.root); err != nil {
		return nil, errors.Join(fmt.Errorf("fileslot: %w", err), image.Close())
	}
	return image, nil
}

// Mark implements hal.FirmwareSlot.
func (f *Firmware) Mark(ctx context.Context, m hal.FirmwareMark) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.boot
	switch m {
	case hal.TrySpare:
		if f.boot.needsOther() {
			return hal.ErrFirmwareNeeded
		}
		next.state = hal.FirmwarePending
	case hal.KeepRunning:
		next.state = hal.FirmwareSettled
	case hal.RejectRunning:
		if f.boot.state == hal.FirmwareTrial {
			next.state = hal.FirmwareRejected
		}
	default:
		return fmt.Errorf("fileslot: unknown mark %d", m)
	}
	return f.save(next)
}

// save makes next the record; mu is held.
func (f *Firmware) save(next record) error {
	if next == f.boot {
		return nil
	}
	if _, err := durable.Write(f.root, bootFile, bootFile+".tmp", bytes.NewReader(next.text())); err != nil {
		return fmt.Errorf("fileslot: boot record: %w", err)
	}
	f.boot = next
	return nil
}

// needsOther reports whether the next boot runs, or may run, the image that does
// not run now.
func (r record) needsOther() bool {
	return r.state == hal.FirmwareTrial || r.state == hal.FirmwareRejected
}

// The text of a record is "1 a settled\n".
var stateNames = [...]string{"settled", "pending", "trial", "rejected"}

func (r record) text() []byte {
	return fmt.Appendf(nil, "1 %c %s\n", r.runs, stateNames[r.state])
}

func parseRecord(text []byte) (record, error) {
	for state := range stateNames {
		for _, runs := range []byte("ab") {
			r := record{runs: runs, state: hal.FirmwareState(state)}
			if string(text) == string(r.text()) {
				return r, nil
			}
		}
	}
	return record{}, fmt.Errorf("%w: %.40q", ErrBootRecord, text)
}

func other(runs byte) byte {
	if runs == 'a' {
		return 'b'
	}
	return 'a'
}

func imageName(runs byte) string {
	if runs == 'a' {
		return imageA
	}
	return imageB
}
