// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/openalink/iot/hal"
)

// Update brings the firmware of a notice: it fetches, going on where an earlier
// try stopped, verifies, has the next boot try it and calls Reboot. It returns
// nil when it did, or when there is nothing to do because the version runs. A
// failure is reported with its step and returned: ErrDowngrade, ErrDifference,
// ErrSignature, ErrDigest, or the error of Source, Firmware or State; what was
// fetched is kept unless it is wrong.
func (u *Updater) Update(ctx context.Context, n Notice) error {
	u.run.Lock()
	defer u.run.Unlock()
	if n.Version == u.cfg.Version {
		return nil
	}
	rec, err := u.load(ctx)
	if err != nil {
		return err
	}
	if step, err := u.acceptable(&n); err != nil {
		return u.failed(ctx, rec, step, err)
	}
	switch {
	case !same(&rec.Notice, &n):
		rec = record{Phase: Fetching}
	case rec.Phase == Ready:
	case rec.Phase == Fetching, rec.Phase == Stopped:
		rec.Phase = Fetching
	default:
		rec = record{Phase: Fetching}
	}
	rec.Notice, rec.Owed = n, nil
	if err := u.save(ctx, rec); err != nil {
		return err
	}
	u.show(func(s *UpdateStatus) { *s = rec.status() })
	if step, err := u.bring(ctx, &rec); err != nil {
		return u.failed(ctx, rec, step, err)
	}
	return u.try(ctx, rec)
}

// acceptable decides from the notice alone.
func (u *Updater) acceptable(n *Notice) (Step, error) {
	if err := n.check(); err != nil {
		return UpgradeFailed, err
	}
	if n.Module != u.cfg.Module {
		return UpgradeFailed, fmt.Errorf("%w: module %.80q", ErrMessage, n.Module)
	}
	if n.Diff {
		return UpgradeFailed, ErrDifference
	}
	if !u.cfg.Downgrade && u.cfg.Compare(n.Version, u.cfg.Version) <= 0 {
		return UpgradeFailed, fmt.Errorf("%w: %s, running %s", ErrDowngrade, n.Version, u.cfg.Version)
	}
	if u.cfg.Trusted != nil {
		p := Package{
			Product: u.cfg.Product, Module: n.Module, Version: n.Version, Size: n.Size,
			MD5: n.MD5, SHA256: n.SHA256, Signature: n.Signature,
		}
		if err := Verify(&p, u.cfg.Trusted); err != nil {
			return VerifyFailed, err
		}
	}
	return 0, nil
}

// same reports whether two notices are of the same bytes; links may differ.
func same(a, b *Notice) bool {
	return a.Version == b.Version && a.Size == b.Size && a.MD5 == b.MD5 && a.SHA256 == b.SHA256
}

// failed notes and reports a failure.
func (u *Updater) failed(ctx context.Context, rec record, step Step, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // interrupted, not failed: it goes on
	}
	rec.owe(step, err.Error())
	switch {
	case step == VerifyFailed:
		rec.Phase, rec.Fetched = Idle, 0
	case rec.Phase == Fetching:
		rec.Phase = Stopped
	}
	u.show(func(s *UpdateStatus) { *s = rec.status() })
	u.pay(ctx, &rec)
	return errors.Join(err, u.save(ctx, rec))
}

// bring has the spare image hold the verified firmware.
func (u *Updater) bring(ctx context.Context, rec *record) (Step, error) {
	image, err := u.cfg.Firmware.Spare(ctx)
	if err != nil {
		return BurnFailed, err
	}
	f := &fetcher{u: u, rec: rec, image: image, told: -1}
	step, err := f.all(ctx)
	if closing := image.Close(); err == nil && closing != nil {
		return BurnFailed, closing
	}
	return step, err
}

// try has the next boot try the image. The mark comes before the record: a record
// without mark would look like a rollback.
func (u *Updater) try(ctx context.Context, rec record) error {
	_ = u.cfg.Report(ctx, Progress{Step: 100, Module: u.cfg.Module}) // the version tells it again
	if err := u.cfg.Firmware.Mark(ctx, hal.TrySpare); err != nil {
		return u.failed(ctx, rec, BurnFailed, err)
	}
	rec.Phase = Tried
	if err := u.save(ctx, rec); err != nil {
		return err
	}
	u.show(func(s *UpdateStatus) { *s = rec.status() })
	return u.cfg.Reboot(ctx)
}

// fetcher is one run of a download.
type fetcher struct {
	u     *Updater
	rec   *record
	image hal.FirmwareImage
	at    int64 // written
	told  Step  // reported last
}

// all fetches what is missing and verifies the whole.
func (f *fetcher) all(ctx context.Context) (Step, error) {
	if f.rec.Phase == Fetching {
		if step, err := f.fetch(ctx); err != nil {
			return step, err
		}
	}
	if err := f.image.Truncate(f.rec.Notice.Size); err != nil {
		return BurnFailed, err
	}
	if err := f.image.Sync(); err != nil {
		return BurnFailed, err
	}
	f.u.show(func(s *UpdateStatus) { s.Phase, s.Fetched = Verifying, f.rec.Notice.Size })
	if step, err := f.verify(ctx); err != nil {
		return step, err
	}
	f.rec.Phase, f.rec.Fetched = Ready, f.rec.Notice.Size
	f.u.show(func(s *UpdateStatus) { *s = f.rec.status() })
	return UpgradeFailed, f.u.save(ctx, *f.rec)
}

// fetch reads until all is there, opening the source again when it breaks off.
func (f *fetcher) fetch(ctx context.Context) (Step, error) {
	f.at = f.rec.Fetched
	stalls, pause := 0, f.u.cfg.Pause
	for f.at < f.rec.Notice.Size {
		before := f.at
		step, err := f.stream(ctx)
		switch {
		case err == nil, ctx.Err() != nil:
			return step, ctx.Err()
		case step == BurnFailed, step == VerifyFailed, errors.Is(err, errors.ErrUnsupported):
			return step, err
		case errors.Is(err, ErrRefusedLink):
			if renewErr := f.renew(ctx); renewErr != nil {
				return DownloadFailed, errors.Join(err, renewErr)
			}
		}
		if f.at > before {
			stalls, pause = 0, f.u.cfg.Pause
			continue
		}
		if stalls++; stalls >= f.u.cfg.Stalls {
			return DownloadFailed, err
		}
		if !sleep(ctx, pause) {
			return DownloadFailed, ctx.Err()
		}
		pause = min(2*pause, time.Minute)
	}
	return 0, nil
}

// renew replaces a link that was refused.
func (f *fetcher) renew(ctx context.Context) error {
	n, ok, err := f.u.cfg.Renew(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%w: the platform has no update any more", ErrRefusedLink)
	case !same(&n, &f.rec.Notice):
		return fmt.Errorf("%w: the platform has another update now", ErrRefusedLink)
	}
	f.rec.Notice.URL, f.rec.Notice.Stream, f.rec.Notice.File = n.URL, n.Stream, n.File
	return nil
}

// stream copies one stream into the image, chunk by chunk.
func (f *fetcher) stream(ctx context.Context) (Step, error) {
	body, err := f.u.cfg.Source.Open(ctx, &f.rec.Notice, f.at)
	if errors.Is(err, ErrDigest) {
		return VerifyFailed, err
	}
	if err != nil {
		return DownloadFailed, err
	}
	defer body.Close()
	chunk := make([]byte, f.u.cfg.Chunk)
	for f.at < f.rec.Notice.Size {
		n, err := body.Read(chunk[:min(int64(len(chunk)), f.rec.Notice.Size-f.at)])
		if n > 0 {
			if _, err := f.image.WriteAt(chunk[:n], f.at); err != nil {
				return BurnFailed, err
			}
			f.at += int64(n)
			if step, err := f.checkpoint(ctx); err != nil {
				return step, err
			}
		}
		if err != nil && f.at < f.rec.Notice.Size {
			return DownloadFailed, fmt.Errorf("ota: download broke off at %d of %d bytes: %w", f.at, f.rec.Notice.Size, err)
		}
	}
	return 0, nil
}

// checkpoint makes durable what was written, now and then, and reports whole
// tens of percent.
func (f *fetcher) checkpoint(ctx context.Context) (Step, error) {
	size := f.rec.Notice.Size
	f.u.show(func(s *UpdateStatus) { s.Fetched = f.at })
	if f.at-f.rec.Fetched >= f.u.cfg.Checkpoint || f.at == size {
		if err := f.image.Sync(); err != nil {
			return BurnFailed, err
		}
		f.rec.Fetched = f.at
		if err := f.u.save(ctx, *f.rec); err != nil {
			return BurnFailed, err
		}
	}
	if step := Step(f.at * 100 / size / 10 * 10); step > f.told && step < 100 {
		f.told = step
		_ = f.u.cfg.Report(ctx, Progress{Step: step, Module: f.u.cfg.Module}) // the next one tells as much
	}
	return 0, nil
}

// verify reads the image back: what counts is what would boot.
func (f *fetcher) verify(ctx context.Context) (Step, error) {
	d := newDigests()
	n, size := int64(0), f.rec.Notice.Size
	chunk := make([]byte, f.u.cfg.Chunk)
	for n < size {
		if ctx.Err() != nil {
			return DownloadFailed, ctx.Err()
		}
		k, err := f.image.ReadAt(chunk[:min(int64(len(chunk)), size-n)], n)
		if k == 0 && err != nil && !errors.Is(err, io.EOF) {
			return BurnFailed, err
		}
		if k == 0 {
			return VerifyFailed, fmt.Errorf("%w: %d of %d bytes", ErrDigest, n, size)
		}
		_, _ = d.Write(chunk[:k]) // a hash does not fail
		n += int64(k)
	}
	md5Hex, shaHex := d.hex()
	if want := f.rec.Notice.SHA256; want != "" && want != shaHex {
		return VerifyFailed, fmt.Errorf("%w: SHA-256 is %s", ErrDigest, shaHex)
	}
	if want := f.rec.Notice.MD5; want != "" && want != md5Hex {
		return VerifyFailed, fmt.Errorf("%w: MD5 is %s", ErrDigest, md5Hex)
	}
	return 0, nil
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
