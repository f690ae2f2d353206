// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqttd"
)

// door is a Server and a way to reach it.
type door struct {
	*mqttd.Server
	dial  func(ctx context.Context) (net.Conn, error)
	close func() // what must be closed besides the server
}

func (d *door) Dial(ctx context.Context) (net.Conn, error) { return d.dial(ctx) }

func (d *door) Close() error {
	err := d.Server.Close()
	d.close()
	return err
}

func TestContract(t *testing.T) {
	for name, open := range map[string]haltest.Opener{
		"TCP":             openTCP,
		"TLS":             openTLS,
		"WebSocket":       openWebSocket,
		"SecureWebSocket": openSecureWebSocket,
		"Pipe":            openPipe,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			haltest.TestFrontDoor(t, open)
		})
	}
}

func TestTimeouts(t *testing.T) {
	haltest.TestTimeouts(t, openPipe)
}

func newServer(t *testing.T, a hal.Access) *mqttd.Server {
	t.Helper()
	s, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve runs s on l. The door's close waits for the end of Serve.
func serve(t *testing.T, s *mqttd.Server, l net.Listener) (wait func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); !errors.Is(err, mqttd.ErrServerClosed) {
			t.Errorf("Serve: %v, want ErrServerClosed", err)
		}
	}()
	return func() { <-done }
}

func openTCP(t *testing.T, a hal.Access) haltest.Door {
	s, l := newServer(t, a), listen(t)
	return &door{Server: s, close: serve(t, s, l), dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}}
}

func openTLS(t *testing.T, a hal.Access) haltest.Door {
	s, l := newServer(t, a), listen(t)
	wait := serve(t, s, tls.NewListener(l, serverTLS()))
	return &door{Server: s, close: wait, dial: func(ctx context.Context) (net.Conn, error) {
		d := tls.Dialer{Config: clientTLS()}
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}}
}

func openWebSocket(t *testing.T, a hal.Access) haltest.Door {
	s := newServer(t, a)
	web := httptest.NewServer(s.WebSocket())
	return openWeb(s, web, &websocket.Dialer{Subprotocols: []string{"mqtt"}})
}

func openSecureWebSocket(t *testing.T, a hal.Access) haltest.Door {
	s := newServer(t, a)
	web := httptest.NewUnstartedServer(s.WebSocket())
	web.TLS = serverTLS()
	web.StartTLS()
	return openWeb(s, web, &websocket.Dialer{Subprotocols: []string{"mqttv3.1"}, TLSClientConfig: clientTLS()})
}

func openWeb(s *mqttd.Server, web *httptest.Server, d *websocket.Dialer) haltest.Door {
	return &door{Server: s, close: web.Close, dial: func(ctx context.Context) (net.Conn, error) {
		ws, resp, err := d.DialContext(ctx, strings.Replace(web.URL, "http", "ws", 1)+"/mqtt", http.Header{"Origin": {"http://device"}})
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		return &wsClient{Conn: ws.NetConn(), ws: ws}, nil
	}}
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

func openPipe(t *testing.T, a hal.Access) haltest.Door {
	s := newServer(t, a)
	return &door{Server: s, close: func() {}, dial: func(context.Context) (net.Conn, error) {
		ours, theirs := mem.Pipe(64 << 10)
		s.ServeConn(theirs)
		return ours, nil
	}}
}
