// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/bench/load"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
	"github.com/openalink/iot/store/mem"
)

// openHub opens a hub that knows the devices of the load.
func (s *server) openHub() (*hub.Hub, error) {
	st, err := s.openStore()
	if err != nil {
		return nil, err
	}
	h, err := hub.Open(context.Background(), hub.Config{Store: st, Limits: farLimits()})
	if err != nil {
		return nil, err
	}
	s.stop = append(s.stop, func() { _ = h.Close() })
	if _, err := h.CreateProduct(context.Background(), hub.Product{Key: load.Product}); err != nil {
		return nil, err
	}
	if err := forDevices(s.devices, func(n int) error { return register(h, n) }); err != nil {
		return nil, err
	}
	if s.mode == "hubrules" {
		if err := s.openRule(h); err != nil {
			return nil, err
		}
	}
	if s.fill {
		return h, forDevices(s.devices, func(n int) error { return postOnce(h, n) })
	}
	return h, nil
}

func (s *server) openStore() (store.Engine, error) {
	if s.mode == "hubmem" {
		return mem.New(), nil
	}
	path := filepath.Join(s.dir, "bench.db")
	_ = os.Remove(path)
	b, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return nil, err
	}
	s.bolt = b
	s.stop = append(s.stop, func() { _ = b.Close(); _ = os.Remove(path) })
	return b, nil
}

// farLimits keeps every limit of messages and logins in the path, but out of
// reach.
func farLimits() *hub.Limits {
	const far = 100_000_000
	l := hub.NoLimits()
	l.UplinkQoS0, l.UplinkQoS1, l.Uplinks = far, far, far
	l.ConnectionBytes = 1_000_000_000
	l.ConnectsPerMinute, l.Connects = far, far
	return &l
}

// forDevices calls do for devices 0 to n-1, many at a time: what they wait for
// is the disk.
func forDevices(n int, do func(n int) error) error {
	var next atomic.Int64
	errs := make(chan error, 512)
	var wg sync.WaitGroup
	for range cap(errs) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func register(h *hub.Hub, n int) error {
	_, err := h.RegisterDevice(context.Background(), hub.Device{ID: load.Device(n), Secret: auth.NewSecret(load.Secret)})
	return err
}

// postOnce has device n log in, post its properties and leave.
func postOnce(h *hub.Hub, n int) error {
	tr := load.Triple(n)
	ok, err := h.Connect(context.Background(), &hal.ConnectRequest{
		Protocol: "mem", Version: 4, ClientID: tr.ClientID, UserName: tr.UserName,
		Credential: auth.NewPassword(tr.Password.Reveal()), CleanSession: true, Link: nowhere{},
	})
	if err != nil {
		return err
	}
	defer ok.Session.Close(hal.CauseClient)
	done := make(chan error, 1)
	m := iot.Message{Topic: load.Topic(n), Payload: load.Post(435), QoS: iot.AtLeastOnce}
	ok.Session.Receive(context.Background(), m, func(_ []iot.Message, err error) { done <- err })
	return <-done
}

// nowhere is the link of a device that hears nothing.
type nowhere struct{}

func (nowhere) Send(_ context.Context, _ hal.Delivery, done func(error)) { done(hal.ErrGone) }

func (nowhere) Close(hal.Cause) {}
