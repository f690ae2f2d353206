// SPDX-License-Identifier: Apache-2.0

package quickjs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
)

// The defaults of Engine.
const (
	DefaultTimeout  = 100 * time.Millisecond
	DefaultMemory   = 16 << 20
	DefaultMachines = 4
)

// Engine compiles scripts. The zero value is ready. It implements
// hub.ScriptEngine and is safe for concurrent use.
type Engine struct {
	// Timeout is how long one call may run; zero is DefaultTimeout.
	Timeout time.Duration
	// Memory is how many bytes a machine may hold; zero is DefaultMemory.
	Memory int
	// Machines is how many machines a script has at most: calls beyond wait. Zero is
	// DefaultMachines. A machine is made when it is first needed.
	Machines int
}

// Compile reads a script, runs its top level once, and returns its codec, a
// *Script. A script that does not parse or has none of the three functions is an
// *alink.CodeError with alink.CodeScriptSyntax or alink.CodeScriptNoFunction.
func (e Engine) Compile(source string) (alink.RawCodec, error) {
	if e.Timeout <= 0 {
		e.Timeout = DefaultTimeout
	}
	if e.Memory <= 0 {
		e.Memory = DefaultMemory
	}
	if e.Machines <= 0 {
		e.Machines = DefaultMachines
	}
	s := &Script{engine: e, source: source, slots: make(chan struct{}, e.Machines)}
	m, err := s.newMachine()
	if err != nil {
		return nil, err
	}
	if !m.hasAny() {
		m.close()
		return nil, &alink.CodeError{Code: alink.CodeScriptNoFunction, Message: "none of rawDataToProtocol, protocolToRawData and transformPayload is there"}
	}
	s.idle = append(s.idle, m)
	return s, nil
}

// ErrClosed means the script was closed.
var ErrClosed = errors.New("quickjs: script is closed")

// Script is a compiled script. It implements alink.RawCodec, alink.Transformer and
// io.Closer and is safe for concurrent use.
type Script struct {
	engine Engine
	source string
	slots  chan struct{} // one a machine at work

	mu     sync.Mutex
	idle   []*machine
	closed bool
}

// Decode implements alink.RawCodec with rawDataToProtocol. Errors are
// *alink.CodeError with a script code, ctx's, or ErrClosed.
func (s *Script) Decode(ctx context.Context, _ iot.DeviceID, raw []byte) ([]byte, error) {
	return s.call(ctx, func(m *machine) (string, error) { return m.call(m.decode, characters(raw)) }, fromJSON)
}

// Encode implements alink.RawCodec with protocolToRawData. Errors are those of
// Decode.
func (s *Script) Encode(ctx context.Context, _ iot.DeviceID, message []byte) ([]byte, error) {
	return s.call(ctx, func(m *machine) (string, error) { return m.call(m.encode, string(message)) }, fromCharacters)
}

// Transform implements alink.Transformer with transformPayload. Errors are those
// of Decode.
func (s *Script) Transform(ctx context.Context, _ iot.DeviceID, topic string, raw []byte) ([]byte, error) {
	return s.call(ctx, func(m *machine) (string, error) { return m.call(m.transform, topic, characters(raw)) }, fromJSON)
}

// Close gives up the machines: those at work when they are done. It is idempotent.
func (s *Script) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, m := range idle {
		m.close()
	}
	return nil
}

// call runs one call on a machine and reads what it returned: "=" and the result,
// "?" for a function that is not there, "!" for a result of no use.
func (s *Script) call(ctx context.Context, run func(*machine) (string, error), read func(string) ([]byte, error)) ([]byte, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m, err := s.take()
	if err != nil {
		return nil, err
	}
	out, err := run(m)
	s.give(m)
	switch {
	case err != nil:
		return nil, &alink.CodeError{Code: alink.CodeScriptBadResult, Message: err.Error()}
	case out == "?":
		return nil, &alink.CodeError{Code: alink.CodeScriptNoFunction}
	case out == "" || out[0] != '=':
		return nil, &alink.CodeError{Code: alink.CodeScriptBadResult, Message: "the script returned nothing of use"}
	}
	return read(out[1:])
}

func (s *Script) take() (*machine, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	if n := len(s.idle); n > 0 {
		m := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return m, nil
	}
	s.mu.Unlock()
	return s.newMachine()
}

// give takes a machine back, unless it went over its bounds.
func (s *Script) give(m *machine) {
	s.mu.Lock()
	keep := !m.broken && !s.closed
	if keep {
		s.idle = append(s.idle, m)
	}
	s.mu.Unlock()
	if !keep {
		m.close()
	}
}

// characters makes text of one character a byte.
func characters(raw []byte) string {
	out := make([]byte, 0, 2*len(raw))
	for _, b := range raw {
		if b < 0x80 {
			out = append(out, b)
		} else {
			out = append(out, 0xc0|b>>6, 0x80|b&0x3f)
		}
	}
	return string(out)
}

func fromCharacters(text string) ([]byte, error) {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return nil, fmt.Errorf("quickjs: character %U is no byte", r)
		}
		out = append(out, byte(r))
	}
	return out, nil
}

func fromJSON(text string) ([]byte, error) { return []byte(text), nil }
