// SPDX-License-Identifier: Apache-2.0

package sniff

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("sniff: server closed")

// Server tells protocols apart. It is safe for concurrent use.
type Server struct {
	cfg    Config
	web    *http.Server
	queue  *queue // connections for web
	crowd  *crowd // those web has
	base   context.Context
	cancel context.CancelFunc

	running sync.WaitGroup // undecided connections, and web

	mu        sync.Mutex
	closed    bool
	started   bool // web runs
	listeners map[net.Listener]struct{}
	waiting   map[net.Conn]time.Time // undecided, and since when
}

// New returns a Server that serves nothing yet and runs no goroutine. The
// error tells what is wrong with cfg.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:       cfg,
		queue:     newQueue(),
		crowd:     newCrowd(cfg.MaxWeb),
		listeners: make(map[net.Listener]struct{}),
		waiting:   make(map[net.Conn]time.Time),
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.web = s.newWeb()
	return s, nil
}

// Serve accepts connections on l until the listener or the server is closed,
// and closes l. The error is never nil: it is ErrServerClosed after Shutdown
// or Close.
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
			s.serveConn(nc)
		case s.base.Err() != nil:
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
	ctx, cancel := context.WithTimeout(s.base, d)
	defer cancel()
	<-ctx.Done()
}

// Shutdown stops accepting, closes connections that are undecided, and waits
// for running HTTP requests until ctx ends, whose error it returns then. MQTT
// connections, WebSockets included, belong to the MQTT server.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	err := s.web.Shutdown(ctx)
	return errors.Join(err, s.Close())
}

// Close closes listeners and all connections that are undecided or speak HTTP,
// and returns nil. HTTP handlers that are running are not waited for. It is
// idempotent.
func (s *Server) Close() error {
	s.stop()
	_ = s.web.Close()
	s.running.Wait()
	return nil
}

// stop closes listeners and undecided connections.
func (s *Server) stop() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for nc := range s.waiting {
		_ = nc.Close()
	}
	_ = s.queue.Close()
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[l] = struct{}{}
	if !s.started {
		s.started = true
		s.running.Go(func() { _ = s.web.Serve(s.queue) }) // ends with the queue
	}
	return true
}

func (s *Server) removeListener(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// serveConn decides about nc in a goroutine of its own.
func (s *Server) serveConn(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = nc.Close()
		return
	}
	if len(s.waiting) >= s.cfg.MaxWaiting {
		s.evict()
	}
	s.waiting[nc] = time.Now()
	s.running.Go(func() { s.decide(nc) })
}

// evict closes the connection that is undecided for longest: a client that means
// well needs moments. The lock is held.
func (s *Server) evict() {
	var oldest net.Conn
	for nc, since := range s.waiting {
		if oldest == nil || since.Before(s.waiting[oldest]) {
			oldest = nc
		}
	}
	delete(s.waiting, oldest)
	_ = oldest.Close()
}

// decided takes nc off the list. It reports whether the server is still open.
func (s *Server) decided(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, nc)
	return !s.closed
}
