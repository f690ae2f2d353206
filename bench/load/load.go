// SPDX-License-Identifier: Apache-2.0

// Package load makes MQTT traffic: many connections of devices that post
// properties as fast as their window allows or at a given rate, that log in and
// leave, or that do nothing.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what to send.
type Config struct {
	Addr    string
	Conns   int
	First   int  // number of the first device
	Stride  int  // distance between the numbers of devices, 0 is 1
	TLS     bool // TLS 1.2
	Window  int  // QoS 1 posts in flight on a connection
	QoS     byte
	Payload int           // bytes of a post
	Rate    int           // posts a second over all connections; 0 is as fast as possible
	Warm    time.Duration // sent before anything counts
	Time    time.Duration
}

func (c *Config) device(i int) int { return c.First + i*max(c.Stride, 1) }

// Result is what came of it.
type Result struct {
	// Posts were acknowledged (QoS 1) or written (QoS 0), or connections accepted.
	Posts   int64
	Replies int64
	Elapsed time.Duration
	// P50 and P99 are the time from a post to its PUBACK: of all posts of a paced
	// run, otherwise of one post in flight on each connection.
	P50, P99 time.Duration
	CPU      time.Duration // of the generator itself
}

// PerSecond is the rate of posts.
func (r Result) PerSecond() float64 { return float64(r.Posts) / r.Elapsed.Seconds() }

// String renders a result for people.
func (r Result) String() string {
	return fmt.Sprintf("%.0f/s, replies %d, p50 %v, p99 %v, generator %.2f cores",
		r.PerSecond(), r.Replies, r.P50, r.P99, r.CPU.Seconds()/r.Elapsed.Seconds())
}

// Fleet are connected devices.
type Fleet struct {
	cfg       Config
	conns     []*conn
	measuring atomic.Bool
}

// Dial connects all devices.
func Dial(cfg Config) (*Fleet, error) {
	f := &Fleet{cfg: cfg, conns: make([]*conn, cfg.Conns)}
	err := each(cfg.Conns, 64, func(i int) error {
		n := cfg.device(i)
		nc, err := Connect(cfg.Addr, Login(n), cfg.TLS)
		if err == nil {
			f.conns[i] = newConn(f, nc, n)
		}
		return err
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// each calls do for 0 to n-1, some at a time, and returns the first error.
func each(n, parallel int, do func(i int) error) error {
	var next atomic.Int64
	errs := make([]error, parallel)
	var wg sync.WaitGroup
	for p := range parallel {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[p] == nil; i = int(next.Add(1)) - 1 {
				errs[p] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close hangs up.
func (f *Fleet) Close() {
	for _, c := range f.conns {
		if c != nil {
			_ = c.nc.Close()
		}
	}
}

// Run posts for Config.Warm and then for Config.Time, which is what counts. It
// calls begin in between. The connections stay open.
func (f *Fleet) Run(ctx context.Context, begin func()) (Result, error) {
	var wg sync.WaitGroup
	deadline := time.Now().Add(f.cfg.Warm + f.cfg.Time)
	for _, c := range f.conns {
		wg.Go(func() { c.run(deadline) })
	}
	if f.cfg.Rate > 0 {
		wg.Go(func() { f.pace(ctx, deadline) })
	}
	select {
	case <-time.After(f.cfg.Warm):
	case <-ctx.Done():
	}
	begin()
	before := f.sum()
	f.measuring.Store(true)
	select {
	case <-time.After(time.Until(deadline)):
	case <-ctx.Done():
	}
	r := f.sum()
	r.Posts, r.Replies = r.Posts-before.Posts, r.Replies-before.Replies
	r.Elapsed, r.CPU = r.Elapsed-before.Elapsed, r.CPU-before.CPU
	wg.Wait()
	r.P50, r.P99 = f.latency()
	return r, cmp.Or(ctx.Err(), f.failure())
}

// sum counts what happened until now.
func (f *Fleet) sum() Result {
	r := Result{Elapsed: time.Since(epoch), CPU: processorTime()}
	for _, c := range f.conns {
		r.Posts += c.posts.Load()
		r.Replies += c.replies.Load()
	}
	return r
}

var epoch = time.Now()

func (f *Fleet) latency() (p50, p99 time.Duration) {
	var sample []time.Duration
	for _, c := range f.conns {
		sample = append(sample, c.sample...)
	}
	if len(sample) == 0 {
		return 0, 0
	}
	slices.Sort(sample)
	return sample[len(sample)/2], sample[len(sample)*99/100]
}

func (f *Fleet) failure() error {
	for _, c := range f.conns {
		if c.err != nil && !errors.Is(c.err, os.ErrDeadlineExceeded) {
			return c.err
		}
	}
	return nil
}

// pace sends single posts at a fixed rate, in steps of a millisecond.
func (f *Fleet) pace(ctx context.Context, deadline time.Time) {
	start, sent := time.Now(), 0
	for now := start; now.Before(deadline) && ctx.Err() == nil; now = time.Now() {
		for due := int(now.Sub(start).Seconds() * float64(f.cfg.Rate)); sent < due; sent++ {
			f.conns[sent%len(f.conns)].one()
		}
		time.Sleep(time.Millisecond)
	}
}
