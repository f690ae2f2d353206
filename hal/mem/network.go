// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// pipeBuffer is what one direction of a connection holds, like a socket's
// buffer.
const pipeBuffer = 64 << 10

// Network is a network of its own: addresses are any text. It implements
// hal.Net. The zero Network is ready and safe for concurrent use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
}

// Listen announces on addr, which must be free.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: Addr(addr), Err: fmt.Errorf("mem: address in use")}
	}
	if n.listeners == nil {
		n.listeners = make(map[string]*listener)
	}
	l := &listener{network: n, addr: Addr(addr), waiting: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// DialContext connects to a listener; network is ignored. It waits until the
// listener accepts, ctx ends, or the listener closes.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "mem", Addr: Addr(addr), Err: fmt.Errorf("mem: connection refused")}
	if l == nil {
		return nil, refused
	}
	client, server := Pipe(pipeBuffer)
	select {
	case l.waiting <- server:
		return client, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Addr is an address of a Network.
type Addr string

// Network returns "mem".
func (Addr) Network() string { return "mem" }

// String returns the text.
func (a Addr) String() string { return string(a) }

type listener struct {
	network *Network
	addr    Addr
	waiting chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.waiting:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "mem", Addr: l.addr, Err: net.ErrClosed}
	}
}

// Close implements net.Listener. The address is free again.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.addr))
		l.network.mu.Unlock()
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }
