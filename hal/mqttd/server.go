// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/openalink/iot/hal"
)

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("mqttd: server closed")

// Server is an MQTT front door. It is safe for concurrent use.
type Server struct {
	cfg        Config
	base       context.Context // of the calls of Access.Connect
	cancel     context.CancelFunc
	connecting chan struct{} // one token for each running Access.Connect
	buffers    bufferPool
	outs       outPool
	flights    inflightPool
	wheel      wheel
	flushers   []*flusher
	upgrader   websocket.Upgrader

	running sync.WaitGroup // connections, and goroutines that write for them
	helpers sync.WaitGroup // flushers and the wheel
	stop    chan struct{}  // ends the helpers

	mu        sync.Mutex
	phase     phase
	started   bool // the helpers run
	conns     int
	accepted  uint // connections so far
	listeners map[net.Listener]struct{}
}

type phase uint8

const (
	serving  phase = iota
	draining       // Shutdown was called
	closed         // Close was called
)

// New returns a Server that serves nothing yet and runs no goroutine. The
// error tells what is wrong with cfg.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:        cfg,
		connecting: make(chan struct{}, cfg.MaxConnecting),
		stop:       make(chan struct{}),
		listeners:  make(map[net.Listener]struct{}),
		upgrader:   newUpgrader(cfg.HandshakeTimeout),
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	for range min(max(1, runtime.GOMAXPROCS(0)/2), 64) {
		s.flushers = append(s.flushers, newFlusher())
	}
	return s, nil
}

// Serve accepts connections on l until the listener or the server is closed,
// and closes l. Each connection is a stream of MQTT packets; a *tls.Conn (from
// tls.NewListener) does its handshake first. The error is never nil: it is
// ErrServerClosed after Shutdown or Close.
//
// MQTT has a keep-alive of its own. A listener of net.ListenConfig with
// KeepAlive -1 leaves the one of TCP off, which saves system calls here and
// wakes no sleeping radio there.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.addListener(l) {
		return ErrServerClosed
	}
	defer s.removeListener(l)
	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.ServeConn(nc)
		case s.stopping():
			return ErrServerClosed
		case !temporary(err):
			return err
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.cfg.Logger.Error("accept", "err", err, "retry", pause)
			s.sleep(pause)
		}
	}
}

// temporary recognises the lack of file descriptors and the like.
func temporary(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Temporary() //nolint:staticcheck // what net/http does, for want of a better test
}

func (s *Server) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.stop:
	}
}

// ServeConn serves a connection that was accepted elsewhere. It returns at
// once; nc belongs to the server and is closed by it, at once if the server is
// closed or full. A *net.TCPConn is served without a buffer while idle.
//
// When nc, or a connection it wraps and returns from NetConn, has the methods
// HandshakeContext and ConnectionState of *tls.Conn, they are used as those of
// TLS; what PSKIdentity() string returns becomes an auth.PSK. A wrapper that
// passes the bytes of a *tls.Conn on as they are should return it from
// TLSConn(), which saves memory while it is idle.
func (s *Server) ServeConn(nc net.Conn) {
	c := &conn{s: s, nc: nc}
	c.raw, c.tls = newRaw(c), newTLS(nc)
	if !s.add(c) {
		_ = nc.Close()
		return
	}
	go c.handshake()
}

// Shutdown stops accepting, reads nothing more, waits until every QoS 1
// message in flight is acknowledged, and closes the connections with
// hal.CauseServerStop. When ctx ends first it does what Close does and returns
// the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.enter(draining)
	for _, c := range s.wheel.all() {
		c.drain()
	}
	drained := make(chan struct{})
	go func() {
		s.running.Wait()
		close(drained)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = s.Close()
	<-drained
	return err
}

// Close closes listeners and connections, waits for the goroutines that serve
// them, and returns nil. Sessions are closed with hal.CauseServerStop, messages
// in flight stay unacknowledged. It must not be called from within a call of
// Access or Session. It is idempotent.
func (s *Server) Close() error {
	first := s.enter(closed)
	s.cancel()
	for _, c := range s.wheel.all() {
		c.Close(hal.CauseServerStop)
	}
	s.running.Wait()
	if first {
		close(s.stop)
	}
	s.helpers.Wait()
	return nil
}

// Conns returns how many connections are open, undecided ones included.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// enter moves on to a phase, never back, and closes the listeners. It reports
// whether p is new.
func (s *Server) enter(p phase) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase >= p {
		return false
	}
	s.phase = p
	for l := range s.listeners {
		_ = l.Close()
	}
	return true
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase > serving
}

func (s *Server) aborting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == closed
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase > serving {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// add takes c in, unless the server is full or closing.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase > serving || s.conns >= s.cfg.MaxConns {
		return false
	}
	s.startHelpers()
	s.conns++
	s.accepted++
	s.running.Add(1)
	c.shard = uint8(s.accepted % uint(len(s.flushers)))
	c.last.Store(s.wheel.now.Load())
	c.limit.Store(seconds(s.cfg.HandshakeTimeout))
	s.wheel.add(c)
	return true
}

// startHelpers is called with s.mu held.
func (s *Server) startHelpers() {
	if s.started {
		return
	}
	s.started = true
	s.wheel.start = time.Now()
	for _, f := range s.flushers {
		s.helpers.Go(func() { f.run(s.stop) })
	}
	s.helpers.Go(func() { s.wheel.run(s.stop) })
}

// forget is the end of c.
func (s *Server) forget(c *conn) {
	s.wheel.remove(c)
	s.mu.Lock()
	s.conns--
	s.mu.Unlock()
	s.running.Done()
}
