// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"testing"
	"testing/synctest"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
)

// mute is a platform that lets in and acknowledges nothing.
type mute struct{ done chan struct{} }

func (m mute) Connect(context.Context, hal.Login, func(iot.Message)) (hal.Conn, error) { return m, nil }

func (m mute) Done() <-chan struct{} { return m.done }

func (mute) Close() error { return nil }

func (mute) Publish(ctx context.Context, _ iot.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

// Close does not wait for what the platform does not take.
func TestCloseWithReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := device.New(device.Config{
			Identity:  hal.Identity{Device: iot.DeviceID{Product: "a1Test00001", Name: "lamp"}, DeviceSecret: auth.NewSecret("s")},
			Transport: mute{make(chan struct{})},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := c.Report(map[string]any{"Power": 1}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // one is on its way
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if n := c.Waiting(); n != 3 {
			t.Errorf("%d reports wait", n)
		}
	})
}
