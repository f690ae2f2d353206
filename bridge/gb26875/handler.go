// SPDX-License-Identifier: Apache-2.0

package gb26875

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openalink/iot/bridge"
)

// Handler brings transmitters to a bridge. It implements bridge.Handler; the
// Server needs Decoder and Encoder of this package too. The zero value is ready.
//
// A transmitter is online with its first frame: the protocol knows no login, so
// that who must not be trusted with an address has to be kept out by TLS, by
// bridge.Authenticator (which gets the remote address as its credential), or by
// Config.Exclusive. Data is confirmed when it waits for the platform and denied
// when it was dropped.
//
// States of systems and of the transmitter become properties by Table; everything
// else becomes events: PartState, AnalogValue, SystemOperation, SystemVersion,
// SystemConfig, PartConfig, SystemClock, Operation, Version, Config and Clock, with the
// fields of Object.Output. Types that are not of the standard are denied.
//
// From the platform come the services setClock, checkPost ({"Minutes"}), initialise,
// readState, which answers with properties, and read, which reads anything:
// {"Type":2,"System":1,"SystemAddress":3,"PartAddress":7} answers with {"Objects":[...]},
// each as its event has it. Records of operations, types 4 and 24, are asked for with
// {"Records":10,"Since":1700000000000}, Since in milliseconds of Unix time.
type Handler struct {
	// Table says which fields of states become which properties; nil is the usual
	// one: TransmitterState, TransmitterFire, TransmitterFault, SystemState,
	// SystemFire and SystemFault. See Fields.
	Table bridge.Table
	// Centre is the address of this end.
	Centre Address
	// Silence is how long a transmitter may say nothing; zero is 10 min.
	Silence time.Duration
}

// NewDecoder makes the Decoder of a connection, for bridge.Server.
func NewDecoder() bridge.Decoder { return new(Decoder) }

// NewEncoder makes the Encoder of a connection, for bridge.Server.
func NewEncoder() bridge.Encoder { return Encoder{} }

func (h *Handler) table() bridge.Table {
	if h.Table != nil {
		return h.Table
	}
	return bridge.Table{
		{Name: "transmitterState", Property: "TransmitterState"},
		{Name: "transmitterFire", Property: "TransmitterFire"},
		{Name: "transmitterFault", Property: "TransmitterFault"},
		{Name: "systemState", Property: "SystemState"},
		{Name: "systemFire", Property: "SystemFire"},
		{Name: "systemFault", Property: "SystemFault"},
	}
}

// link is what a connection has beside its session.
type link struct {
	c    *bridge.Conn
	h    *Handler
	peer Address
	vers [2]uint8

	mu     sync.Mutex
	serial uint16
	waits  map[uint16]chan *Frame // for answers, by the serial of the question
}

// Serve implements bridge.Handler.
func (h *Handler) Serve(ctx context.Context, c *bridge.Conn, m any) error {
	f, ok := m.(*Frame)
	if !ok {
		return fmt.Errorf("gb26875: message is a %T", m)
	}
	l, _ := c.State().(*link)
	if l == nil {
		l = &link{c: c, h: h, peer: f.From, vers: f.Version, waits: make(map[uint16]chan *Frame)}
		c.SetState(l)
	}
	silence := h.Silence
	if silence == 0 {
		silence = 10 * time.Minute
	}
	opts := bridge.SessionOptions{Heartbeat: silence, Downlink: l}
	if _, err := c.Online(ctx, f.From.String(), opts, c.RemoteAddr().String()); err != nil {
		return errors.Join(err, l.answer(ctx, f, Deny))
	}
	switch f.Command {
	case Confirm, Deny, Reply:
		l.answered(f)
	case Data:
		return l.answer(ctx, f, l.data(ctx, f))
	default:
		return l.answer(ctx, f, Deny)
	}
	return nil
}

// data publishes objects and returns the answer.
func (l *link) data(ctx context.Context, f *Frame) Command {
	if f.Objects == nil {
		return Confirm // a heartbeat
	}
	all, err := f.Parse()
	if err != nil {
		return Deny
	}
	for i := range all {
		if m, ok := l.h.message(f, &all[i]); ok && l.c.Publish(ctx, m).Err() != nil {
			return Deny // all of them: the transmitter sends them again
		}
	}
	return Confirm
}

// answer confirms or denies: the serial is that of the frame, and there is no
// data.
func (l *link) answer(ctx context.Context, f *Frame, cmd Command) error {
	return l.c.Send(ctx, &Frame{Serial: f.Serial, Version: f.Version, Time: time.Now(), From: l.h.Centre, To: f.From, Command: cmd})
}

func (l *link) answered(f *Frame) {
	l.mu.Lock()
	wait := l.waits[f.Serial]
	delete(l.waits, f.Serial)
	l.mu.Unlock()
	if wait != nil {
		wait <- f
	}
}
