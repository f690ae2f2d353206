// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Decoder cuts what a device sends into messages. One serves one connection and
// is used by one goroutine; a packet of UDP is decoded from its beginning, and
// what is left of it is dropped.
type Decoder interface {
	// Decode reads one message from the beginning of buf and returns how many bytes
	// it took. More are needed when it returns 0; bytes without a message, as
	// garbage between frames, are taken with a nil message. An error ends the
	// connection. The message must not refer to buf.
	Decode(buf []byte) (m any, n int, err error)
}

// Encoder writes messages for a device. It is used under a lock.
type Encoder interface {
	// Append appends the bytes of m.
	Append(dst []byte, m any) ([]byte, error)
}

// Handler takes the messages of a connection, one at a time and in order. The
// socket is not read meanwhile, which is the device's back-pressure. An error ends
// the connection.
type Handler interface {
	Serve(ctx context.Context, c *Conn, m any) error
}

// HandlerFunc is a Handler.
type HandlerFunc func(ctx context.Context, c *Conn, m any) error

// Serve implements Handler.
func (f HandlerFunc) Serve(ctx context.Context, c *Conn, m any) error { return f(ctx, c, m) }

// ListenType is the kind of socket of a Server.
type ListenType string

// The kinds of sockets; the empty one is TCP.
const (
	TCP ListenType = "tcp"
	UDP ListenType = "udp"
)

// DefaultPort is where a Server listens without Ports.
const DefaultPort = 9123

// Server lets devices in over TCP or UDP. Bridge and Handler are required; the
// zero value of everything else is a good choice. The fields must not change
// while it serves.
type Server struct {
	Bridge  *Bridge
	Handler Handler
	// Decoder and Encoder make those of a connection. Nil ones take []byte as they come
	// and give []byte and string as they are.
	Decoder func() Decoder
	Encoder func() Encoder

	// Address is where to listen: an address, the name of a network interface, or
	// empty for all.
	Address string
	// Ports to listen on; empty is DefaultPort. Port 0 is any free one: see Addrs.
	Ports []int
	// ListenType is TCP or UDP.
	ListenType ListenType
	// Backlog is how many connections may wait to be accepted; zero is the operating
	// system's. Unix only; elsewhere it has no effect.
	Backlog int
	// UnicastOnly drops packets that were sent to a broadcast address, by listening
	// on single addresses only: Address must not be empty. By default a UDP server
	// hears broadcasts.
	UnicastOnly bool
	// TLS secures TCP; nil is plain.
	TLS *tls.Config

	// MaxMessage is how many bytes a message may have before it is decoded; zero is
	// 64 KiB. A longer one ends the connection; a longer packet is dropped.
	MaxMessage int
	// MaxConns is how many connections, or addresses with UDP, are served at once;
	// zero is 20,000. Further ones are closed, packets dropped. Of UDP 16 packets of one
	// address and 16 MiB of all may wait for the handler.
	MaxConns int
	// MaxRate is how many messages a second one connection may send; zero is 100.
	// TCP is read no faster; packets of UDP beyond are dropped.
	MaxRate int
	// IdleTimeout ends connections, and forgets addresses, nothing came from; zero
	// is 10 min.
	IdleTimeout time.Duration
	// LoginTimeout ends connections without a session; zero is 60 s.
	LoginTimeout time.Duration
	// WriteTimeout bounds each write; zero is 10 s.
	WriteTimeout time.Duration
	// Logger hears why connections end; nil is silent.
	Logger *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	once   sync.Once
	mu     sync.Mutex
	socks  []interface{ Close() error }
	addrs  []net.Addr
	conns  map[*Conn]struct{}
	closed bool
	work   sync.WaitGroup

	// dropped counts packets of UDP nobody had room for, waiting the bytes of those that
	// wait for their handlers.
	dropped, waiting atomic.Int64
}

func (s *Server) init() error {
	if s.Bridge == nil || s.Handler == nil {
		return errors.New("bridge: Server needs Bridge and Handler")
	}
	switch s.ListenType {
	case "", TCP:
	case UDP:
		if s.TLS != nil {
			return errors.New("bridge: TLS needs TCP")
		}
		if s.UnicastOnly && s.Address == "" {
			return errors.New("bridge: UnicastOnly needs Address")
		}
	default:
		return fmt.Errorf("bridge: no such ListenType: %q", s.ListenType)
	}
	s.once.Do(func() {
		s.ctx, s.cancel = context.WithCancel(context.Background())
		s.conns = make(map[*Conn]struct{})
		orDefault(&s.MaxMessage, 64<<10)
		orDefault(&s.MaxConns, 20000)
		orDefault(&s.MaxRate, 100)
		orDefault(&s.IdleTimeout, 10*time.Minute)
		orDefault(&s.LoginTimeout, time.Minute)
		orDefault(&s.WriteTimeout, 10*time.Second)
		if len(s.Ports) == 0 {
			s.Ports = []int{DefaultPort}
		}
		if s.Logger == nil {
			s.Logger = slog.New(slog.DiscardHandler)
		}
	})
	return nil
}

// Listen opens the sockets and serves them in the background until Close.
func (s *Server) Listen(ctx context.Context) error {
	if err := s.init(); err != nil {
		return err
	}
	host, err := hostOf(s.Address)
	if err != nil {
		return err
	}
	for _, port := range s.Ports {
		addr := net.JoinHostPort(host, strconv.Itoa(port))
		if err := s.listen(ctx, addr); err != nil {
			_ = s.Close()
			return fmt.Errorf("bridge: %w", err)
		}
	}
	return nil
}

func (s *Server) listen(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	if s.ListenType == UDP {
		pc, err := lc.ListenPacket(ctx, "udp", addr)
		if err != nil {
			return err
		}
		return s.background(pc, pc.LocalAddr(), func() error { return s.ServePacket(pc) })
	}
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	if s.Backlog > 0 {
		if err := setBacklog(l, s.Backlog); err != nil {
			_ = l.Close()
			return err
		}
	}
	return s.background(l, l.Addr(), func() error { return s.Serve(l) })
}

func (s *Server) background(sock interface{ Close() error }, addr net.Addr, serve func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = sock.Close()
		return ErrClosed
	}
	s.addrs = append(s.addrs, addr)
	s.socks = append(s.socks, sock)
	s.work.Go(func() {
		if err := serve(); !errors.Is(err, ErrClosed) {
			s.Logger.Error("socket lost", "address", addr, "error", err)
		}
	})
	return nil
}

// Addrs returns where Listen listens, in the order of Ports.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]net.Addr(nil), s.addrs...)
}

// Serve accepts connections on l until Close, or l's error. It always returns an
// error: ErrClosed after Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.init(); err != nil {
		return err
	}
	if s.TLS != nil {
		l = tls.NewListener(l, s.TLS)
	}
	stop := context.AfterFunc(s.ctx, func() { _ = l.Close() })
	defer stop()
	for {
		nc, err := l.Accept()
		if s.ctx.Err() != nil {
			if err == nil {
				_ = nc.Close()
			}
			return ErrClosed
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.rest() // out of descriptors, most likely
			continue
		}
		s.begin(nc)
	}
}

// begin serves one connection.
func (s *Server) begin(nc net.Conn) {
	c := s.newConn(nc.RemoteAddr())
	c.nc = nc
	if !s.admit(c, c.read) {
		_ = nc.Close()
	}
}

// admit counts a connection and runs it, if there is room.
func (s *Server) admit(c *Conn, run func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= s.MaxConns {
		s.Logger.Warn("connection not admitted", "address", c.addr, "connections", len(s.conns))
		return false
	}
	c.await()
	s.conns[c] = struct{}{}
	if run != nil {
		s.work.Go(run)
	}
	return true
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Conns returns how many connections, or addresses, are served.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Dropped returns how many packets of UDP were dropped: for want of room, beyond
// MaxRate, or longer than MaxMessage.
func (s *Server) Dropped() int64 { return s.dropped.Load() }

// Close closes the sockets and all connections and returns when no goroutine is
// left. The Bridge stays open.
func (s *Server) Close() error {
	if err := s.init(); err != nil {
		return err
	}
	s.mu.Lock()
	s.closed = true
	socks := s.socks
	s.socks = nil
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	s.cancel()
	for _, l := range socks {
		_ = l.Close()
	}
	for _, c := range conns {
		c.Close(ErrClosed)
	}
	s.work.Wait()
	return nil
}

// hostOf returns the first address of a network interface, or address as it is.
func hostOf(address string) (string, error) {
	if address == "" || net.ParseIP(address) != nil {
		return address, nil
	}
	i, err := net.InterfaceByName(address)
	if err != nil {
		return address, nil // a host name, perhaps
	}
	addrs, err := i.Addrs()
	if err != nil {
		return "", fmt.Errorf("bridge: interface %s: %w", address, err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil {
			return ip.IP.String(), nil
		}
	}
	return "", fmt.Errorf("bridge: interface %s has no IPv4 address", address)
}
