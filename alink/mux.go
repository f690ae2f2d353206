// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/openalink/iot/topic"
)

// Mux hands requests to handlers by their Topic.Path, never by their method,
// which devices leave out or get wrong (wire facts, section 1 row 7).
//
// Patterns are paths. The level "+" stands for any one level, a last level "#"
// for all that follow and for the level above it. Level by level from the left a
// literal beats "+" and "+" beats "#": of "thing/event/+/post" and "thing/#" the
// first takes thing/event/error/post. A request no pattern fits is answered with
// CodeBadParams, as the platform does for methods it does not know; the pattern
// "#" changes that.
//
// Paths of different families can look alike: "update" is a path of /shadow and of
// custom topics. Give a Mux the families it is meant for.
//
// A Mux may be changed while it serves. Serving takes no lock and allocates
// nothing.
type Mux struct {
	mu     sync.Mutex // held by writers
	routes map[string]Handler
	state  atomic.Pointer[muxState]
}

// muxState is what serving reads. It never changes.
type muxState struct {
	exact  map[string]Handler
	root   *muxNode
	layers []Handler // middleware, outermost first
}

type muxNode struct {
	next map[string]*muxNode
	plus *muxNode
	here Handler
	tail Handler // of a pattern that goes on with "#" here
}

// NewMux returns an empty Mux.
func NewMux() *Mux {
	m := &Mux{routes: make(map[string]Handler)}
	m.state.Store(&muxState{root: new(muxNode)})
	return m
}

// Handle registers a handler. The error wraps ErrBadPattern: the pattern is
// empty, begins with a slash, has a wildcard that is not a whole level or a "#"
// that is not last, or is registered already.
func (m *Mux) Handle(pattern string, h Handler) error {
	if err := topic.CheckFilter(pattern); err != nil {
		return fmt.Errorf("%w: %w", ErrBadPattern, err)
	}
	if pattern[0] == '/' {
		return fmt.Errorf("%w: %q begins with a slash", ErrBadPattern, pattern)
	}
	if h == nil {
		return fmt.Errorf("%w: nil handler for %q", ErrBadPattern, pattern)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.routes[pattern] != nil {
		return fmt.Errorf("%w: %q is registered already", ErrBadPattern, pattern)
	}
	m.routes[pattern] = h
	s := &muxState{exact: make(map[string]Handler), root: new(muxNode), layers: m.state.Load().layers}
	for p, h := range m.routes {
		s.add(p, h)
	}
	m.state.Store(s)
	return nil
}

// HandleFunc registers a function. See Handle.
func (m *Mux) HandleFunc(pattern string, f func(ctx context.Context, r *Request) Reply) error {
	if f == nil {
		return m.Handle(pattern, nil)
	}
	return m.Handle(pattern, HandlerFunc(f))
}

// Use puts middleware around everything the Mux serves, patterns that follow
// and requests no pattern fits included. The first one used is the outermost.
func (m *Mux) Use(mw ...Middleware) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := *m.state.Load()
	s.layers = append([]Handler(nil), s.layers...)
	for _, w := range mw {
		s.layers = append(s.layers, w(&muxLayer{m, len(s.layers) + 1}))
	}
	m.state.Store(&s)
}

// ServeAlink calls the handler of the pattern that fits best.
func (m *Mux) ServeAlink(ctx context.Context, r *Request) Reply {
	s := m.state.Load()
	if len(s.layers) > 0 {
		return s.layers[0].ServeAlink(ctx, r)
	}
	return s.dispatch(ctx, r)
}

// muxLayer is what the middleware before layer i calls. It looks the layer up
// when called, so that each middleware is made once however many follow.
type muxLayer struct {
	m *Mux
	i int
}

func (l *muxLayer) ServeAlink(ctx context.Context, r *Request) Reply {
	s := l.m.state.Load()
	if l.i < len(s.layers) {
		return s.layers[l.i].ServeAlink(ctx, r)
	}
	return s.dispatch(ctx, r)
}

func (s *muxState) dispatch(ctx context.Context, r *Request) Reply {
	h := s.exact[r.Topic.Path]
	if h == nil {
		h = s.root.find(r.Topic.Path)
	}
	if h == nil {
		return Reply{Code: CodeBadParams, Message: "unknown method"}
	}
	return h.ServeAlink(ctx, r)
}

func (s *muxState) add(pattern string, h Handler) {
	if !strings.ContainsAny(pattern, "+#") {
		s.exact[pattern] = h
		return
	}
	n := s.root
	for rest, more := pattern, true; more; {
		if rest == "#" {
			n.tail = h
			return
		}
		var level string
		level, rest, more = strings.Cut(rest, "/")
		n = n.child(level)
	}
	n.here = h
}

func (n *muxNode) child(level string) *muxNode {
	if level == "+" {
		if n.plus == nil {
			n.plus = new(muxNode)
		}
		return n.plus
	}
	if n.next == nil {
		n.next = make(map[string]*muxNode)
	}
	if n.next[level] == nil {
		n.next[level] = new(muxNode)
	}
	return n.next[level]
}

// find returns the handler for path below n.
func (n *muxNode) find(path string) Handler {
	level, rest, more := strings.Cut(path, "/")
	if h := n.next[level].follow(rest, more); h != nil {
		return h
	}
	if h := n.plus.follow(rest, more); h != nil {
		return h
	}
	return n.tail
}

// follow goes on with what follows the level that led to n.
func (n *muxNode) follow(rest string, more bool) Handler {
	switch {
	case n == nil:
		return nil
	case more:
		return n.find(rest)
	case n.here != nil:
		return n.here
	}
	return n.tail
}
