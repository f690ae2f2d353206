// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openalink/iot/hal"
)

// UpdaterConfig is what an Updater is made of. Version, State, Firmware, Source
// and Reboot are required.
type UpdaterConfig struct {
	Product string // for the signature
	// Version is that of the firmware that runs, as it was built in.
	Version string
	Module  string // what is updated; empty is DefaultModule
	// State keeps a small record over power cuts, Firmware the images.
	State    hal.Slot
	Firmware hal.FirmwareSlot
	Source   Source
	// Reboot restarts the device into what Firmware says. It may return: then the
	// caller of Update, Resume or Reject is to end.
	Reboot func(ctx context.Context) error
	// Trusted are the keys one of which must have signed; nil takes all that has
	// the right digest.
	Trusted []crypto.PublicKey
	// Downgrade allows versions that are not above the running one. Compare tells
	// which is; nil is CompareVersions.
	Downgrade bool
	Compare   func(a, b string) int
	// Report tells the platform; nil tells nobody. A failure it cannot tell is told
	// after the next Resume.
	Report func(ctx context.Context, p Progress) error
	// Renew asks the platform for the notice again, when a link is refused; nil
	// gives up.
	Renew func(ctx context.Context) (n Notice, ok bool, err error)
	// Chunk is what is held in memory, zero is 32 KB. Checkpoint is how much a power
	// cut may cost to fetch again, zero is 256 KB.
	Chunk      int
	Checkpoint int64
	// Stalls is how often in a row the download may break off without a byte, zero
	// is 10; Pause is the first pause between, which doubles up to a minute, zero is
	// a second.
	Stalls int
	Pause  time.Duration
}

// Phase is how far an Updater is.
type Phase string

// The phases.
const (
	Idle      Phase = "idle"
	Fetching  Phase = "fetching"
	Stopped   Phase = "stopped" // failed; what was fetched is kept for the next notice
	Verifying Phase = "verifying"
	Ready     Phase = "ready" // verified, not tried yet
	Tried     Phase = "tried" // the next boot tries it, or this is the try
)

// UpdateStatus is how far an Updater is, for displays.
type UpdateStatus struct {
	Phase   Phase
	Version string // being brought
	Fetched int64
	Size    int64
	Digest  string // SHA-256, or MD5, it must have
	Valid   bool   // it has it, and the signature is good
}

// Updater takes a notice to a running, confirmed firmware. Whenever the power is
// cut, the device afterwards runs the old firmware or the new one, and Resume
// finds out what is to be done. It is safe for concurrent use; one Update runs at
// a time.
type Updater struct {
	cfg UpdaterConfig

	run sync.Mutex // held by what changes the record

	mu     sync.Mutex
	status UpdateStatus
}

// The errors of an Updater, beside ErrDigest, ErrSignature and those of its
// parts.
var (
	// ErrDowngrade means that a version is not above the running one.
	ErrDowngrade = errors.New("ota: version is not newer")
	// ErrDifference means that a notice is of a difference, which an Updater does not
	// apply.
	ErrDifference = errors.New("ota: differences are not supported")
	// ErrNoTrial means that the running firmware is not on trial.
	ErrNoTrial = errors.New("ota: running firmware is not on trial")
)

// NewUpdater makes an Updater. Resume comes next.
func NewUpdater(cfg UpdaterConfig) (*Updater, error) {
	if !ValidVersion(cfg.Version) || cfg.State == nil || cfg.Firmware == nil || cfg.Source == nil || cfg.Reboot == nil {
		return nil, errors.New("ota: UpdaterConfig needs Version, State, Firmware, Source and Reboot")
	}
	if cfg.Module == "" {
		cfg.Module = DefaultModule
	}
	if !ValidModule(cfg.Module) {
		return nil, fmt.Errorf("ota: module %.80q", cfg.Module)
	}
	if cfg.Compare == nil {
		cfg.Compare = CompareVersions
	}
	if cfg.Report == nil {
		cfg.Report = func(context.Context, Progress) error { return nil }
	}
	if cfg.Renew == nil {
		cfg.Renew = func(context.Context) (Notice, bool, error) { return Notice{}, false, nil }
	}
	if cfg.Chunk <= 0 {
		cfg.Chunk = 32 << 10
	}
	if cfg.Checkpoint <= 0 {
		cfg.Checkpoint = 256 << 10
	}
	if cfg.Stalls <= 0 {
		cfg.Stalls = 10
	}
	if cfg.Pause <= 0 {
		cfg.Pause = time.Second
	}
	return &Updater{cfg: cfg, status: UpdateStatus{Phase: Idle}}, nil
}

// Status returns how far the Updater is.
func (u *Updater) Status() UpdateStatus {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.status
}

func (u *Updater) show(change func(*UpdateStatus)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.status)
}

// Boot is what a device finds when it starts.
type Boot struct {
	// Trial tells that this firmware is being tried: it is to call Confirm when it
	// works, soon, or Reject.
	Trial bool
	// Unfinished is an update that was interrupted; Update goes on with it. Its link
	// may be old.
	Unfinished *Notice
	// Rebooting tells that Reboot was called: the caller is to end.
	Rebooting bool
}

// Resume is called once when the device starts. It settles what a power cut, or
// an update that failed, left behind.
func (u *Updater) Resume(ctx context.Context) (Boot, error) {
	u.run.Lock()
	defer u.run.Unlock()
	rec, err := u.load(ctx)
	if err != nil {
		return Boot{}, err
	}
	state, err := u.cfg.Firmware.State(ctx)
	if err != nil {
		return Boot{}, err
	}
	switch state {
	case hal.FirmwareTrial:
		return u.onTrial(ctx, rec)
	case hal.FirmwareRejected:
		return Boot{Rebooting: true}, u.cfg.Reboot(ctx)
	case hal.FirmwarePending:
		if rec.Phase == Ready || rec.Phase == Tried { // marked, and not booted since
			rec.Phase = Tried
			if err := u.save(ctx, rec); err != nil {
				return Boot{}, err
			}
			return Boot{Rebooting: true}, u.cfg.Reboot(ctx)
		}
		if err := u.cfg.Firmware.Mark(ctx, hal.KeepRunning); err != nil {
			return Boot{}, err
		}
	case hal.FirmwareSettled:
	}
	return u.settled(ctx, rec)
}

// onTrial is Resume of a firmware on trial.
func (u *Updater) onTrial(ctx context.Context, rec record) (Boot, error) {
	if rec.Phase == Ready { // the power was cut between mark and record
		rec.Phase = Tried
		if err := u.save(ctx, rec); err != nil {
			return Boot{}, err
		}
	}
	u.show(func(s *UpdateStatus) { *s = rec.status() })
	if rec.Phase == Tried && rec.Notice.Version != u.cfg.Version {
		return Boot{Rebooting: true}, u.reject(ctx, rec, fmt.Sprintf("firmware says it is version %s, not %s", u.cfg.Version, rec.Notice.Version))
	}
	return Boot{Trial: true}, nil
}

// settled is Resume of a firmware that stays.
func (u *Updater) settled(ctx context.Context, rec record) (Boot, error) {
	switch {
	case rec.Phase == Tried && rec.Notice.Version == u.cfg.Version:
		rec = record{} // kept
	case rec.Phase == Tried:
		rec.owe(UpgradeFailed, "rolled back: the new firmware did not confirm")
		rec.Phase = Idle
	case rec.Phase == Fetching || rec.Phase == Ready:
		n := rec.Notice
		u.show(func(s *UpdateStatus) { *s = rec.status() })
		u.pay(ctx, &rec)
		return Boot{Unfinished: &n}, u.save(ctx, rec)
	}
	u.pay(ctx, &rec)
	return Boot{}, u.save(ctx, rec)
}

// Confirm keeps the firmware on trial. The error wraps ErrNoTrial.
func (u *Updater) Confirm(ctx context.Context) error {
	u.run.Lock()
	defer u.run.Unlock()
	if err := u.trial(ctx); err != nil {
		return err
	}
	if err := u.cfg.Firmware.Mark(ctx, hal.KeepRunning); err != nil {
		return err
	}
	u.show(func(s *UpdateStatus) { *s = UpdateStatus{Phase: Idle} })
	return u.save(ctx, record{})
}

// Reject gives the firmware on trial up and reboots into the one before, which
// reports why. The error wraps ErrNoTrial.
func (u *Updater) Reject(ctx context.Context, why string) error {
	u.run.Lock()
	defer u.run.Unlock()
	if err := u.trial(ctx); err != nil {
		return err
	}
	rec, err := u.load(ctx)
	if err != nil {
		return err
	}
	return u.reject(ctx, rec, why)
}

func (u *Updater) trial(ctx context.Context) error {
	state, err := u.cfg.Firmware.State(ctx)
	if err == nil && state != hal.FirmwareTrial {
		err = ErrNoTrial
	}
	return err
}

func (u *Updater) reject(ctx context.Context, rec record, why string) error {
	rec.owe(UpgradeFailed, why)
	if err := u.save(ctx, rec); err != nil {
		return err
	}
	if err := u.cfg.Firmware.Mark(ctx, hal.RejectRunning); err != nil {
		return err
	}
	return u.cfg.Reboot(ctx)
}
