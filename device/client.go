// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/ota"
)

// maxCalls is how many calls may wait for the platform's answer at once.
const maxCalls = 1000

// Client is a device's connection to a platform. It is safe for concurrent use.
type Client struct {
	cfg   Config
	calls *alink.Calls
	ids   alink.IDs

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	work     sync.WaitGroup
	requests requests
	reports  chan struct{} // capacity 1: a report or a connection came

	gw       *Gateway        // of a gateway's own client
	sub      *subDevice      // of a sub-device's
	upgrades chan ota.Notice // with Config.Firmware; capacity 1: the newest, filled by serve alone
	updater  *ota.Updater    // nil before the first Connect and without Config.Firmware
	applying sync.Mutex      // of a configuration
	oneWay   sync.Once       // told that the transport has no way down

	mu      sync.Mutex
	id      hal.Identity
	started bool
	// following tells that updateFirmware was begun.
	following bool
	closed    bool
	kept      bool          // Connect succeeded
	reporting bool          // sendReports was begun
	conn      hal.Conn      // nil while offline
	online    chan struct{} // closed while online, replaced when offline
	filters   []hal.Filter  // custom subscriptions, restored after each login
	queue     []report      // reports that wait
}

// New makes a Client. It fails when the configuration is not usable, and touches
// nothing outside.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return newClient(cfg, requestQueue), nil
}

func newClient(cfg Config, waiting int) *Client {
	c := &Client{
		cfg: cfg, calls: alink.NewCalls(maxCalls), requests: requests{most: waiting},
		reports: make(chan struct{}, 1), online: make(chan struct{}),
	}
	if cfg.Firmware != nil {
		c.upgrades = make(chan ota.Notice, 1)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Connect logs in and returns when the device is online, or with the error of
// the first attempt: a *hal.RefusedError when the platform refused it. After a
// success the Client reconnects by itself until Close; after an error Connect may
// be called again.
func (c *Client) Connect(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	if c.started {
		c.mu.Unlock()
		return nil
	}
	c.started = true
	if c.cfg.Firmware != nil && !c.following {
		c.following = true
		c.work.Go(c.updateFirmware) // a trial ends in time even if no login succeeds
	}
	c.mu.Unlock()
	err := c.login(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.started = false
		return err
	}
	if c.closed {
		return ErrClosed
	}
	c.watch(c.conn, c.cfg.MinBackoff)
	c.requests.open(c)
	c.kept = true
	c.startReports()
	return nil
}

// spawn runs f unless the Client is closed; Close waits for it. c.mu is held.
func (c *Client) spawn(f func()) {
	if !c.closed {
		c.work.Go(f)
	}
}

// Device returns the device's name; zero before the first Connect.
func (c *Client) Device() iot.DeviceID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.id.Device
}

// Online reports whether the device is connected now.
func (c *Client) Online() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// WaitOnline returns when the device is connected, with ctx's error or ErrClosed
// when that comes first.
func (c *Client) WaitOnline(ctx context.Context) error {
	c.mu.Lock()
	online, closed := c.online, c.closed
	c.mu.Unlock()
	if closed {
		return ErrClosed
	}
	select {
	case <-online:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return ErrClosed
	}
}

// Close says goodbye, ends all calls with ErrClosed, drops reports that wait,
// and returns when no goroutine of the Client is left. It must not be called from
// a handler.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	conn := c.conn
	c.mu.Unlock()
	c.cancel()
	c.calls.Close(ErrClosed)
	var err error
	if conn != nil {
		err = conn.Close()
	}
	c.work.Wait()
	return err
}
