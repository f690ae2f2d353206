// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"

	"github.com/plgd-dev/go-coap/v3/message"
)

// ErrServerClosed is returned by Serve and ServeDTLS after Shutdown or Close.
var ErrServerClosed = errors.New("coap: server closed")

// Server serves
//
//	POST /auth           a login, answered with a token
//	POST /topic/{topic}  a message; the token is in option 2088 or 61
//
// to devices, over DTLS and over plain UDP, on any number of sockets. It is safe
// for concurrent use. Its bounds are those of Config: of requests and of sessions
// with AES for all sockets together, of DTLS for each.
//
// A socket should be bound to the one address that devices know: on a host with
// several, the system may answer from another than was asked.
type Server struct {
	cfg      Config
	sessions *sessions
	long     longAnswers
	slots    chan struct{} // one for each request in progress
	drains   chan struct{} // capacity 1: one takes them all at a time
	seed     maphash.Seed  // of marks
	buffers  sync.Pool     // of *[]byte
	options  sync.Pool     // of *[maxOptions]message.Option
	lastID   atomic.Uint32 // of messages that are no acknowledgement

	mu      sync.Mutex
	closed  bool // also when it drains
	sockets map[*net.UDPConn]io.Closer
	serving sync.WaitGroup
}

// NewServer makes a Server. It fails without a platform.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, sessions: newSessions(cfg.MaxSessions, cfg.Idle), sockets: map[*net.UDPConn]io.Closer{},
		slots: make(chan struct{}, cfg.MaxRequests), drains: make(chan struct{}, 1), seed: maphash.MakeSeed(),
	}
	size := cfg.MaxBody + 1024 // options and what DTLS adds
	s.buffers.New = func() any { b := make([]byte, size); return &b }
	s.options.New = func() any { return new([maxOptions]message.Option) }
	s.lastID.Store(rand.Uint32())
	return s, nil
}

// socketBuffer is asked for to outlast moments in which nobody reads.
const socketBuffer = 4 << 20

// open registers a socket. closer ends what is on it at once; the function
// returned waits for that and forgets the socket.
func (s *Server) open(conn *net.UDPConn, closer io.Closer) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return nil, ErrServerClosed
	}
	_ = conn.SetReadBuffer(socketBuffer) // as much of it as the system grants
	_ = conn.SetWriteBuffer(socketBuffer)
	s.sockets[conn] = closer
	s.serving.Add(1)
	return func() {
		_ = closer.Close()
		s.mu.Lock()
		delete(s.sockets, conn)
		s.mu.Unlock()
		s.serving.Done()
	}, nil
}

// ended is the error of a socket that cannot be read any more.
func (s *Server) ended(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrServerClosed
	}
	return err
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// Shutdown takes no more requests, answers those in progress, then closes. When
// ctx ends before that it closes at once and returns the context's error. It may be
// called again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	err := s.drain(ctx)
	return errors.Join(err, s.Close())
}

// drain takes every slot: who has them all knows that no request has one. It gives
// them back for who drains as well.
func (s *Server) drain(ctx context.Context) error {
	select {
	case s.drains <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.drains }()
	for n := range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
			continue
		case <-ctx.Done():
		}
		for range n {
			<-s.slots
		}
		return ctx.Err()
	}
	for range cap(s.slots) {
		<-s.slots
	}
	return nil
}

// Close ends everything at once and waits until it has. It is idempotent. What
// the platform has not answered by then stays unanswered.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	var all []io.Closer
	for _, c := range s.sockets {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
	s.serving.Wait()
	return nil
}

// draining reports whether requests are not to be taken any more.
func (s *Server) draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) buffer() *[]byte {
	b, _ := s.buffers.Get().(*[]byte)
	*b = (*b)[:cap(*b)]
	return b
}

func (s *Server) recycle(b *[]byte) { s.buffers.Put(b) }

// slot takes a slot if one is free. begin gives it back.
func (s *Server) slot() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}
