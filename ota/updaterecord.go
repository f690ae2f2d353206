// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/openalink/iot/hal"
)

// record is what an Updater keeps over power cuts.
type record struct {
	Phase   Phase     `json:"phase"`
	Notice  Notice    `json:"notice,omitzero"`
	Fetched int64     `json:"fetched,omitempty"` // bytes of the image that are durable
	Owed    *Progress `json:"owed,omitempty"`    // a failure the platform was not told yet
}

func (r *record) status() UpdateStatus {
	return UpdateStatus{
		Phase: r.Phase, Version: r.Notice.Version, Fetched: r.Fetched, Size: r.Notice.Size,
		Digest: cmp.Or(r.Notice.SHA256, r.Notice.MD5), Valid: r.Phase == Ready || r.Phase == Tried,
	}
}

// owe notes a failure; the first one of an update is the one that counts.
func (r *record) owe(step Step, detail string) {
	if r.Owed == nil {
		r.Owed = &Progress{Step: step, Detail: cut(detail)}
	}
}

func (u *Updater) slotName() string { return "ota-" + u.cfg.Module }

// load reads the record. One that cannot be read is none: the images are safe
// without it, and what was fetched is fetched again.
func (u *Updater) load(ctx context.Context) (record, error) {
	text, err := u.cfg.State.Load(ctx, u.slotName())
	var rec record
	switch {
	case errors.Is(err, hal.ErrNoValue):
		return record{Phase: Idle}, nil
	case err != nil:
		return rec, fmt.Errorf("ota: state: %w", err)
	case json.Unmarshal(text, &rec) != nil || rec.Fetched < 0 || rec.Fetched > rec.Notice.Size:
		return record{Phase: Idle}, nil
	}
	rec.Phase = cmp.Or(rec.Phase, Idle)
	return rec, nil
}

// save writes the record; an idle one that owes nothing is removed.
func (u *Updater) save(ctx context.Context, rec record) error {
	var text []byte
	if rec.Phase != "" && rec.Phase != Idle || rec.Owed != nil {
		var err error
		if text, err = json.Marshal(rec); err != nil {
			return fmt.Errorf("ota: state: %w", err)
		}
	}
	if err := u.cfg.State.Store(ctx, u.slotName(), text); err != nil {
		return fmt.Errorf("ota: state: %w", err)
	}
	return nil
}

// pay tells the platform of a failure it was not told.
func (u *Updater) pay(ctx context.Context, rec *record) {
	if rec.Owed == nil {
		return
	}
	p := *rec.Owed
	p.Module = u.cfg.Module
	if u.cfg.Report(ctx, p) == nil {
		rec.Owed = nil
	}
}

// Pay tells the platform of a failure that could not be told before, as after a
// rollback without a connection. It does nothing when there is none.
func (u *Updater) Pay(ctx context.Context) error {
	u.run.Lock()
	defer u.run.Unlock()
	rec, err := u.load(ctx)
	if err != nil || rec.Owed == nil {
		return err
	}
	if state, err := u.cfg.Firmware.State(ctx); err != nil || state == hal.FirmwareTrial || state == hal.FirmwareRejected {
		return err // the one before tells it
	}
	u.pay(ctx, &rec)
	return u.save(ctx, rec)
}
