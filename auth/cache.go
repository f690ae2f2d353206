// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"container/list"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
)

// CacheOptions bounds CachedSecrets. A field that is zero or less has the
// default.
type CacheOptions struct {
	TTL         time.Duration // how long a secret is kept; default 1 minute
	NegativeTTL time.Duration // how long ErrUnknownDevice is kept; default 5 seconds
	MaxEntries  int           // how many devices are kept; default 10,000
	MaxCalls    int           // how many calls to the source run at once; default 16
}

func (o CacheOptions) withDefaults() CacheOptions {
	if o.TTL <= 0 {
		o.TTL = time.Minute
	}
	if o.NegativeTTL <= 0 {
		o.NegativeTTL = 5 * time.Second
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = 10_000
	}
	if o.MaxCalls <= 0 {
		o.MaxCalls = 16
	}
	return o
}

// CachedSecrets is a SecretSource that stands before a slow one. It keeps
// secrets for a while, asks for a device once however many wait for it, and runs
// a bounded number of calls; more of them wait until their context ends. When
// the cache is full the entry unused for longest goes.
//
// It fails closed: an error of the source is an error, an entry past its time is
// not used. ErrUnknownDevice is kept for a short time, other errors are not. It
// starts no goroutines and is safe for concurrent use.
type CachedSecrets struct {
	src  SecretSource
	opt  CacheOptions
	slot chan struct{} // holds one element per running call

	mu      sync.Mutex
	entries map[iot.DeviceID]*list.Element // of cacheEntry
	used    list.List                      // most recently used first
	flights map[iot.DeviceID]*flight
}

type cacheEntry struct {
	id      iot.DeviceID
	secret  Secret // zero for an unknown device
	err     error
	expires time.Time
}

// flight is a call that others wait for.
type flight struct {
	done   chan struct{} // closed when the rest is set
	secret Secret
	err    error
	again  bool // the caller's context ended: who waits must ask itself
	stale  bool // Forget came in between: the result is not kept
}

// NewCachedSecrets puts a cache before src.
func NewCachedSecrets(src SecretSource, o CacheOptions) *CachedSecrets {
	o = o.withDefaults()
	return &CachedSecrets{
		src:     src,
		opt:     o,
		slot:    make(chan struct{}, o.MaxCalls),
		entries: make(map[iot.DeviceID]*list.Element),
		flights: make(map[iot.DeviceID]*flight),
	}
}

// DeviceSecret implements SecretSource. It returns the source's error as it is,
// or ctx's error when ctx ends first.
func (c *CachedSecrets) DeviceSecret(ctx context.Context, id iot.DeviceID) (Secret, error) {
	for {
		c.mu.Lock()
		if e := c.fresh(id); e != nil {
			c.mu.Unlock()
			return e.secret, e.err
		}
		f := c.flights[id]
		if f == nil {
			f = &flight{done: make(chan struct{}), again: true}
			id = iot.DeviceID{Product: strings.Clone(id.Product), Name: strings.Clone(id.Name)}
			c.flights[id] = f
			c.mu.Unlock()
			return c.fly(ctx, id, f)
		}
		c.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return Secret{}, ctx.Err()
		}
		if !f.again {
			return f.secret, f.err
		}
	}
}

// Forget drops what is known about a device, for after its secret changed or it
// was made or deleted. A call under way does not bring it back.
func (c *CachedSecrets) Forget(id iot.DeviceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.entries[id]; el != nil {
		c.remove(el)
	}
	if f := c.flights[id]; f != nil {
		f.stale = true
		delete(c.flights, id)
	}
}

// fly asks the source on behalf of all who wait for f.
func (c *CachedSecrets) fly(ctx context.Context, id iot.DeviceID, f *flight) (Secret, error) {
	defer c.land(id, f)
	select {
	case c.slot <- struct{}{}:
	case <-ctx.Done():
		return Secret{}, ctx.Err()
	}
	defer func() { <-c.slot }()
	secret, err := c.src.DeviceSecret(ctx, id)
	if err != nil {
		secret = Secret{}
	}
	f.secret, f.err, f.again = secret, err, err != nil && ctx.Err() != nil
	return secret, err
}

// land lets go who waits and keeps the result if it may be kept.
func (c *CachedSecrets) land(id iot.DeviceID, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[id] == f {
		delete(c.flights, id)
	}
	close(f.done)
	switch {
	case f.again || f.stale:
	case f.err == nil:
		c.keep(cacheEntry{id: id, secret: f.secret, expires: time.Now().Add(c.opt.TTL)})
	case errors.Is(f.err, ErrUnknownDevice):
		c.keep(cacheEntry{id: id, err: f.err, expires: time.Now().Add(c.opt.NegativeTTL)})
	}
}

// fresh returns the entry of id unless it is past its time.
func (c *CachedSecrets) fresh(id iot.DeviceID) *cacheEntry {
	el := c.entries[id]
	if el == nil {
		return nil
	}
	e := el.Value.(*cacheEntry)
	if !time.Now().Before(e.expires) {
		c.remove(el)
		return nil
	}
	c.used.MoveToFront(el)
	return e
}

func (c *CachedSecrets) keep(e cacheEntry) {
	if old := c.entries[e.id]; old != nil {
		c.remove(old)
	}
	for len(c.entries) >= c.opt.MaxEntries {
		c.remove(c.used.Back())
	}
	c.entries[e.id] = c.used.PushFront(&e)
}

func (c *CachedSecrets) remove(el *list.Element) {
	delete(c.entries, c.used.Remove(el).(*cacheEntry).id)
}
