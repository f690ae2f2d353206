// SPDX-License-Identifier: Apache-2.0

package mochi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"go.uber.org/goleak"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mochi"
	"github.com/openalink/iot/internal/mqttwire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door is a mochi broker with a guard.
type door struct {
	server *mqtt.Server
	guard  *mochi.Guard
	dial   func(ctx context.Context) (net.Conn, error)
	once   sync.Once
	closed atomic.Bool
}

func (d *door) Dial(ctx context.Context) (net.Conn, error) { return d.dial(ctx) }

func (d *door) Shutdown(ctx context.Context) error {
	return errors.Join(d.guard.Shutdown(ctx), d.Close())
}

func (d *door) Close() (err error) {
	d.closed.Store(true)
	d.once.Do(func() { err = d.server.Close() })
	return err
}

func newServer() *mqtt.Server {
	return mqtt.New(&mqtt.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

// open runs a broker whose devices come in at l.
func open(t *testing.T, a hal.Access, l listeners.Listener) *door {
	t.Helper()
	d := &door{server: newServer()}
	var err error
	if d.guard, err = mochi.New(d.server, mochi.Config{Access: a}); err != nil {
		t.Fatal(err)
	}
	if err := d.server.AddListener(d.guard.Wrap(l)); err != nil {
		t.Fatal(err)
	}
	if err := d.server.Serve(); err != nil {
		t.Fatal(err)
	}
	return d
}

func openTCP(t *testing.T, a hal.Access) haltest.Door {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, a, listeners.NewNet("devices", l))
	d.dial = func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", l.Addr().String())
	}
	return d
}

func openTLS(t *testing.T, a hal.Access) haltest.Door {
	l, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS())
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, a, listeners.NewNet("devices", l))
	d.dial = func(ctx context.Context) (net.Conn, error) {
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		return dialer.DialContext(ctx, "tcp", l.Addr().String())
	}
	return d
}

// serverTLS makes a certificate nobody checks.
var serverTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// openWebSocket has mochi's own listener for WebSockets, which insists on a port.
func openWebSocket(t *testing.T, a hal.Access) haltest.Door {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	d := open(t, a, listeners.NewWebsocket(listeners.Config{ID: "devices", Address: addr}))
	d.dial = func(ctx context.Context) (net.Conn, error) {
		dialer := websocket.Dialer{Subprotocols: []string{"mqtt"}}
		for {
			ws, resp, err := dialer.DialContext(ctx, "ws://"+addr+"/mqtt", nil)
			if err == nil {
				_ = resp.Body.Close()
				return &wsClient{Conn: ws.NetConn(), ws: ws}, nil
			}
			if !errors.Is(err, syscall.ECONNREFUSED) || d.closed.Load() {
				return nil, err
			}
			time.Sleep(time.Millisecond) // Serve listens in a goroutine of its own
		}
	}
	return d
}

// wsClient is the client's end of a WebSocket as a stream of bytes.
type wsClient struct {
	net.Conn
	ws   *websocket.Conn
	mu   sync.Mutex // for Write
	rest []byte
}

func (c *wsClient) Read(b []byte) (int, error) {
	for len(c.rest) == 0 {
		_, m, err := c.ws.ReadMessage()
		if err != nil {
			return 0, err
		}
		c.rest = m
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *wsClient) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(b), c.ws.WriteMessage(websocket.BinaryMessage, b)
}

// openPipe has connections of mem.Pipe, for virtual time.
func openPipe(t *testing.T, a hal.Access) haltest.Door {
	network := new(mem.Network)
	l, err := network.Listen("devices")
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, a, listeners.NewNet("devices", l))
	d.dial = func(ctx context.Context) (net.Conn, error) { return network.DialContext(ctx, "tcp", "devices") }
	return d
}

func TestContract(t *testing.T) {
	t.Run("TCP", func(t *testing.T) {
		t.Parallel()
		haltest.TestFrontDoor(t, openTCP)
	})
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		haltest.TestFrontDoor(t, openTLS)
	})
	t.Run("WebSocket", func(t *testing.T) {
		t.Parallel()
		haltest.TestFrontDoor(t, openWebSocket)
	})
	t.Run("Pipe", func(t *testing.T) {
		t.Parallel()
		haltest.TestFrontDoor(t, openPipe)
	})
}

func TestTimeouts(t *testing.T) {
	haltest.TestTimeouts(t, openPipe,
		haltest.LeaveOut("KeepAliveOff", "mochi wakes four times a second, also in virtual time, where the case's 30 days take minutes; TestKeepAliveOff takes two hours"))
}

// TestKeepAliveOff: who need not say anything stays.
func TestKeepAliveOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(haltest.FakeAccess) // allows any silence
		d := openPipe(t, a)
		nc, err := d.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write(mqttwire.AppendConnect(nil, &mqttwire.Connect{Level: mqttwire.Level311, ClientID: "x", KeepAlive: 30, CleanSession: true})); err != nil {
			t.Fatal(err)
		}
		s := a.Next(t)
		time.Sleep(2 * time.Hour)
		if n := s.Closes(); n > 0 {
			t.Errorf("closed with %q", s.Closed(t))
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}
