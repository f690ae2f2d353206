// SPDX-License-Identifier: Apache-2.0

package device

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/topic"
)

// Firmware has a Client keep the device's firmware up to date: it reports the
// version at each login, takes updates the platform tells of, and confirms a new
// firmware on trial. Version, State, Slot and Reboot are required.
type Firmware struct {
	// Version is that of the firmware that runs, as it was built in, Module what it
	// is of; empty is ota.DefaultModule.
	Version, Module string
	// State keeps a small record over power cuts, Slot the images.
	State hal.Slot
	Slot  hal.FirmwareSlot
	// Reboot restarts the device into what Slot says.
	Reboot func(ctx context.Context) error
	// SelfTest decides whether a firmware on trial works, once the device is online
	// with it; nil takes being online for proof. ConfirmWithin bounds both together,
	// zero is five minutes: after it the device goes back to the firmware before.
	SelfTest      func(ctx context.Context) error
	ConfirmWithin time.Duration
	// Trusted are the keys one of which must have signed; nil takes all that has
	// the right digest. Downgrade allows older versions.
	Trusted   []crypto.PublicKey
	Downgrade bool
	// Progress, when not nil, hears of every step that is reported.
	Progress func(ota.UpdateStatus)
	// Source brings the bytes instead of Config.Links and the connection; nil is those.
	Source ota.Source
}

const defaultConfirm = 5 * time.Minute

// ReportVersion tells the platform what a module runs; an empty module is
// ota.DefaultModule. With Config.Firmware the Client does so itself.
func (c *Client) ReportVersion(ctx context.Context, module, version string) error {
	payload, err := ota.AppendInform(nil, c.ids.Next(), ota.Inform{Version: version, Module: cmp.Or(module, ota.DefaultModule)})
	if err != nil {
		return err
	}
	return c.send(ctx, topic.OTA("inform", c.Device()), payload)
}

// ReportProgress tells the platform how far an update is.
func (c *Client) ReportProgress(ctx context.Context, p ota.Progress) error {
	payload, err := ota.AppendProgress(nil, c.ids.Next(), p)
	if err != nil {
		return err
	}
	return c.send(ctx, topic.OTA("progress", c.Device()), payload)
}

// send publishes with QoS 1.
func (c *Client) send(ctx context.Context, name string, payload []byte) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	conn, err := c.current()
	if err != nil {
		return err
	}
	if err := conn.Publish(ctx, iot.Message{Topic: name, Payload: payload, QoS: iot.AtLeastOnce}); err != nil {
		return c.why(ctx, err)
	}
	return nil
}

// FirmwareNotice asks the platform for an update of a module; ok is false when
// there is none. Errors are those of Call, or wrap ota.ErrMessage.
func (c *Client) FirmwareNotice(ctx context.Context, module string) (n ota.Notice, ok bool, err error) {
	params := map[string]string{}
	if module != "" && module != ota.DefaultModule {
		params["module"] = module
	}
	data, err := c.Call(ctx, "thing/ota/firmware/get", params)
	if err != nil {
		return n, false, err
	}
	return ota.ParseNoticeData(data)
}

// upgrade takes a notice the platform sent.
func (c *Client) upgrade(payload []byte) {
	n, ok, err := ota.ParseNotice(payload)
	switch {
	case err != nil:
		c.cfg.Logger.Warn("firmware notice that cannot be read", "error", err)
	case !ok:
	case c.cfg.Firmware != nil && cmp.Or(c.cfg.Firmware.Module, ota.DefaultModule) == n.Module:
		select { // only the newest matters
		case <-c.upgrades:
		default:
		}
		c.upgrades <- n
	case c.cfg.Handlers.Upgrade != nil:
		c.cfg.Handlers.Upgrade(c.ctx, n)
	default:
		c.cfg.Logger.Warn("firmware notice nobody takes", "version", n.Version, "module", n.Module)
	}
}

// FirmwareStatus returns how far an update is; the zero value without
// Config.Firmware.
func (c *Client) FirmwareStatus() ota.UpdateStatus {
	c.mu.Lock()
	u := c.updater
	c.mu.Unlock()
	if u == nil {
		return ota.UpdateStatus{}
	}
	return u.Status()
}

// newUpdater makes the updater of Config.Firmware.
func (c *Client) newUpdater() error {
	id, err := c.cfg.Identity.Identity(c.ctx)
	if err != nil {
		return fmt.Errorf("device: identity: %w", err)
	}
	f := c.cfg.Firmware
	source := f.Source
	if source == nil {
		source = firmwareSource{c}
	}
	u, err := ota.NewUpdater(ota.UpdaterConfig{
		Version: f.Version, Module: f.Module, State: f.State, Firmware: f.Slot, Source: source, Reboot: f.Reboot,
		Product: id.Device.Product, Trusted: f.Trusted, Downgrade: f.Downgrade,
		Report: func(ctx context.Context, p ota.Progress) error {
			if f.Progress != nil {
				f.Progress(c.FirmwareStatus())
			}
			return c.ReportProgress(ctx, p)
		},
		Renew: func(ctx context.Context) (ota.Notice, bool, error) {
			if err := c.WaitOnline(ctx); err != nil {
				return ota.Notice{}, false, err
			}
			return c.FirmwareNotice(ctx, f.Module)
		},
	})
	if err != nil {
		return fmt.Errorf("device: Config.Firmware: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.updater = u
	return nil
}

// updateFirmware is the life of an updater.
func (c *Client) updateFirmware() {
	if err := c.followUpdates(); err != nil && c.ctx.Err() == nil {
		c.cfg.Logger.Error("firmware is not kept up to date any more", "error", err)
	}
}

// followUpdates settles what the last run left, then takes updates until the
// Client closes or the device reboots.
func (c *Client) followUpdates() error {
	if err := c.newUpdater(); err != nil {
		return err
	}
	boot, err := c.updater.Resume(c.ctx)
	if err != nil || boot.Rebooting {
		return err
	}
	if boot.Trial {
		if err := c.prove(); err != nil {
			return err
		}
	}
	for again := boot.Unfinished != nil; ; again = false {
		conn, err := c.announce()
		if err != nil {
			return err
		}
		if again {
			if n, ok, err := c.FirmwareNotice(c.ctx, c.cfg.Firmware.Module); err == nil && ok && c.update(n) {
				return nil
			}
		}
		if done := c.takeUpdates(conn); done {
			return nil
		}
	}
}

// announce waits for a connection and tells the version on it.
func (c *Client) announce() (hal.Conn, error) {
	for {
		if err := c.WaitOnline(c.ctx); err != nil {
			return nil, err
		}
		conn, err := c.current()
		if err != nil {
			continue
		}
		err = c.ReportVersion(c.ctx, c.cfg.Firmware.Module, c.cfg.Firmware.Version)
		if err == nil {
			err = c.updater.Pay(c.ctx)
		}
		if err == nil {
			return conn, nil
		}
		c.cfg.Logger.Warn("firmware version not reported", "error", err)
		select {
		case <-conn.Done():
		case <-c.ctx.Done():
			return nil, ErrClosed
		case <-time.After(c.cfg.MinBackoff):
		}
	}
}

// takeUpdates carries out what the platform tells until the connection ends. It
// reports true when the device reboots or the Client closes.
func (c *Client) takeUpdates(conn hal.Conn) bool {
	for {
		select {
		case n := <-c.upgrades:
			if c.update(n) {
				return true
			}
		case <-conn.Done():
			return false
		case <-c.ctx.Done():
			return true
		}
	}
}

// update carries one out and reports whether the device reboots.
func (c *Client) update(n ota.Notice) bool {
	err := c.updater.Update(c.ctx, n)
	if err != nil && c.ctx.Err() == nil {
		c.cfg.Logger.Error("firmware update failed", "version", n.Version, "error", err)
	}
	return c.updater.Status().Phase == ota.Tried || c.ctx.Err() != nil
}

// prove confirms a firmware on trial, or gives it up.
func (c *Client) prove() error {
	f := c.cfg.Firmware
	ctx, cancel := context.WithTimeout(c.ctx, cmp.Or(f.ConfirmWithin, defaultConfirm))
	defer cancel()
	err := c.WaitOnline(ctx)
	if err == nil && f.SelfTest != nil {
		err = f.SelfTest(ctx)
	}
	if c.ctx.Err() != nil {
		return ErrClosed // the trial is not over: the next boot goes back
	}
	if err != nil {
		return errors.Join(fmt.Errorf("device: new firmware %s: %w", f.Version, err), c.updater.Reject(c.ctx, err.Error()))
	}
	return c.updater.Confirm(c.ctx)
}

// firmwareSource brings bytes from behind a link, or over the device's connection.
type firmwareSource struct{ c *Client }

// Open implements ota.Source.
func (s firmwareSource) Open(ctx context.Context, n *ota.Notice, from int64) (io.ReadCloser, error) {
	if n.URL != "" {
		return s.c.openLink(ctx, n, from)
	}
	return &download{c: s.c, ctx: ctx, n: n, at: from}, nil
}
