// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
)

// A platform that crashed does not know the sessions it had, and does not answer
// their records; nor does anything come through a NAT that forgot its mapping. The
// device must find that out by itself, although each of its requests has a deadline
// that ends long before the repeats do.
func TestSilence(t *testing.T) {
	eachWay(t, func(t *testing.T, p *platform, tr *coap.Transport) {
		board := new(deafNet)
		tr.Net = board
		c, err := tr.Connect(t.Context(), loginFor(labSecret), ignore)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		board.deaf().Store(true)
		m := iot.Message{Topic: "/a1LabPk00001/lab_dev_01/user/update", Payload: []byte("x")}
		end := time.Now().Add(patience)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 3*tr.Repeat)
			err := c.Publish(ctx, m)
			cancel()
			if errors.Is(err, hal.ErrGone) {
				break
			}
			if err == nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("published to nobody: %v", err)
			}
			if time.Now().After(end) {
				t.Fatalf("after %v it still hopes", patience)
			}
		}
		<-c.Done()
		again, err := tr.Connect(t.Context(), loginFor(labSecret), ignore)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if err := again.Publish(t.Context(), m); err != nil {
			t.Errorf("anew: %v", err)
		}
	})
}

// deafNet opens connections of which the latest may go deaf.
type deafNet struct{ latest *deafConn }

func (d *deafNet) deaf() *atomic.Bool { return &d.latest.deaf }

// DialContext implements hal.Net.
func (d *deafNet) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	d.latest = &deafConn{Conn: conn}
	return d.latest, err
}

type deafConn struct {
	net.Conn
	deaf atomic.Bool
}

// Read implements net.Conn.
func (d *deafConn) Read(b []byte) (int, error) {
	for {
		n, err := d.Conn.Read(b)
		if err != nil || !d.deaf.Load() {
			return n, err
		}
	}
}

// A report the platform will never take does not keep those behind it.
func TestRefusedReport(t *testing.T) {
	eachWay(t, func(t *testing.T, p *platform, tr *coap.Transport) {
		c := p.device(tr, nil)
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, values := range []map[string]any{{"long": string(make([]byte, 2048))}, {"n": 1}} {
			if err := c.Report(values); err != nil {
				t.Fatal(err)
			}
		}
		for end := time.Now().Add(patience); c.Waiting() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d reports wait", c.Waiting())
			}
		}
		if values, err := p.hub.Properties(t.Context(), lab); err != nil || string(values["n"].Value) != "1" {
			t.Errorf("values %v, %v", values, err)
		}
	})
}
