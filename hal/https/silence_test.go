// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hub"
)

// deafNet opens connections of which those that are open may go deaf: to TCP a peer
// that lost its power is one that may still answer.
type deafNet struct {
	mu   sync.Mutex
	open []*deafConn
}

// DialContext implements hal.Net.
func (d *deafNet) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &deafConn{Conn: conn}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = append(d.open, c)
	return c, nil
}

func (d *deafNet) deafen() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.open {
		c.deaf.Store(true)
	}
}

type deafConn struct {
	net.Conn
	deaf atomic.Bool
}

// Read implements net.Conn.
func (c *deafConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.deaf.Load() {
			return n, err
		}
	}
}

// A platform that vanished without a word is found again over a new connection,
// although each request has a deadline of its own.
func TestSilence(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	web := httptest.NewUnstartedServer(p.web.Config.Handler)
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	for protocol, url := range map[string]string{"h2": web.URL, "http/1.1": p.web.URL} {
		t.Run(protocol, func(t *testing.T) {
			board := new(deafNet)
			tr := &https.Transport{
				URL: url, Net: board, Timeout: time.Second, TLS: &tls.Config{InsecureSkipVerify: true},
			}
			c, err := tr.Connect(t.Context(), login(labSecret), ignore)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			board.deafen()
			m := iot.Message{Topic: "/a1LabPk00001/lab_dev_01/user/update", Payload: []byte("x")}
			for end := time.Now().Add(30 * time.Second); ; {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
				err := c.Publish(ctx, m)
				cancel()
				if err == nil {
					return
				}
				select {
				case <-c.Done(): // the Client would log in anew
					return
				default:
				}
				if time.Now().After(end) {
					t.Fatalf("still into a dead connection: %v", err)
				}
			}
		})
	}
}
