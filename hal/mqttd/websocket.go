// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// wsBuffer is the size of the buffer a WebSocket keeps while idle.
const wsBuffer = 512

func newUpgrader(timeout time.Duration) websocket.Upgrader {
	return websocket.Upgrader{
		HandshakeTimeout: timeout,
		ReadBufferSize:   wsBuffer,
		WriteBufferSize:  outBufferSize,
		WriteBufferPool:  new(sync.Pool),
		Subprotocols:     []string{"mqtt", "mqttv3.1"},
		// Devices are no browsers: most send no Origin, some send nonsense, and
		// no cookie of a browser would let it in.
		CheckOrigin: func(*http.Request) bool { return true },
	}
}

// WebSocket returns a handler that upgrades requests on any path to MQTT over
// WebSocket (MQTT 3.1.1 section 6). Clients should offer the subprotocol "mqtt"
// or "mqttv3.1"; those that offer none are served too. Packets may be split
// over frames and share one.
func (s *Server) WebSocket() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping() {
			http.Error(w, "server closed", http.StatusServiceUnavailable)
			return
		}
		h := &hijacker{ResponseWriter: w}
		ws, err := s.upgrader.Upgrade(h, r, nil)
		if err != nil {
			s.cfg.Logger.Debug("websocket upgrade", "addr", r.RemoteAddr, "err", err)
			return
		}
		c := &wsConn{Conn: h.nc, ws: ws}
		if r.TLS == nil {
			s.ServeConn(c)
			return
		}
		s.ServeConn(&wsTLSConn{wsConn: c, state: r.TLS})
	})
}

// hijacker gives the WebSocket library a connection whose write deadline it
// cannot change. The library sets one before each write, which would undo the
// one that ends a write to a client that does not read.
type hijacker struct {
	http.ResponseWriter
	nc net.Conn // what was hijacked
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.nc = nc
	return fixedDeadline{nc}, buffered, nil
}

type fixedDeadline struct{ net.Conn }

func (fixedDeadline) SetWriteDeadline(time.Time) error { return nil }

var errFrames = errors.New("mqttd: websocket frames that may not be")

// brokenFrames marks an error of the library that is about what the client sent,
// and not about the connection or its end.
func brokenFrames(err error) error {
	if _, network := errors.AsType[net.Error](err); network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return err
	}
	if _, closed := errors.AsType[*websocket.CloseError](err); closed {
		return err
	}
	return fmt.Errorf("%w: %w", errFrames, err)
}

// saidGoodbye reports whether a write came after the library's last frame. Whoever
// reads had it written, ends the connection and knows why.
func saidGoodbye(err error) bool { return errors.Is(err, websocket.ErrCloseSent) }

// wsConn is a WebSocket as a stream of bytes. Deadlines and addresses are
// those of the connection below.
type wsConn struct {
	net.Conn
	ws      *websocket.Conn
	message io.Reader // nil between messages
}

// NetConn returns the connection below.
func (c *wsConn) NetConn() net.Conn { return c.Conn }

// Read reads on in a message or waits for the next one.
func (c *wsConn) Read(b []byte) (int, error) {
	for {
		if c.message == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				return 0, brokenFrames(err)
			}
			if kind != websocket.BinaryMessage { // MQTT-6.0.0-1
				return 0, errFrames
			}
			c.message = r
		}
		n, err := c.message.Read(b)
		switch {
		case errors.Is(err, io.EOF):
			c.message, err = nil, nil
		case err != nil:
			err = brokenFrames(err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write sends b as one message.
func (c *wsConn) Write(b []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// wsTLSConn is a wsConn over TLS. The HTTP server did the handshake.
type wsTLSConn struct {
	*wsConn
	state *tls.ConnectionState
}

func (c *wsTLSConn) HandshakeContext(context.Context) error { return nil }

func (c *wsTLSConn) ConnectionState() tls.ConnectionState { return *c.state }
