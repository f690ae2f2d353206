// SPDX-License-Identifier: Apache-2.0

package gb26875

import (
	"context"
	"encoding/json"
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
// States of systems and of the transmitter become properties by Table; parts,
// analogue values and operations become the events PartState, AnalogValue,
// SystemOperation and Operation. From the platform come the services setClock,
// checkPost ({"Minutes"}), readState and initialise.
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

// Fields returns a state by name, for a bridge.Table: transmitterState,
// transmitterFire, transmitterFault; systemType, systemAddress, systemState,
// systemFire and systemFault. It is empty for other types.
func (o *Object) Fields(t Type) map[string]any {
	switch t {
	case TransmitterState:
		return map[string]any{"transmitterState": o.State, "transmitterFire": bit(o.State & Fire), "transmitterFault": bit(o.State & Fault)}
	case SystemState:
		return map[string]any{
			"systemType": o.System, "systemAddress": o.SystemAddress,
			"systemState": o.State, "systemFire": bit(o.State & Fire), "systemFault": bit(o.State & Fault),
		}
	default:
		return nil
	}
}

func bit(v uint16) int {
	if v != 0 {
		return 1
	}
	return 0
}

// message makes what goes to the platform, false for what does not.
func (h *Handler) message(t Type, o *Object) (bridge.Message, bool) {
	switch t {
	case TransmitterState, SystemState:
		return bridge.Properties(h.table().Apply(o.Fields(t))), true
	case PartState:
		return bridge.Event("PartState", map[string]any{
			"System": o.System, "SystemAddress": o.SystemAddress, "Part": o.Part, "PartAddress": o.PartAddress,
			"State": o.State, "Fire": bit(o.State & Fire), "Fault": bit(o.State & Fault), "Text": o.Text, "At": o.Time.UnixMilli(),
		}), true
	case Analog:
		step, unit := Resolution(o.Quantity)
		return bridge.Event("AnalogValue", map[string]any{
			"System": o.System, "SystemAddress": o.SystemAddress, "Part": o.Part, "PartAddress": o.PartAddress,
			"Quantity": o.Quantity, "Value": float64(o.Value) * step, "Unit": unit, "At": o.Time.UnixMilli(),
		}), true
	case SystemOperation:
		return bridge.Event("SystemOperation", map[string]any{
			"System": o.System, "SystemAddress": o.SystemAddress, "Flags": o.Flags, "Operator": o.Operator, "At": o.Time.UnixMilli(),
		}), true
	case Operation:
		return bridge.Event("Operation", map[string]any{"Flags": o.Flags, "Operator": o.Operator, "At": o.Time.UnixMilli()}), true
	default:
		return bridge.Message{}, false
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
	verdict := Confirm
	for i := range all {
		m, ok := l.h.message(f.Type, &all[i])
		if ok && l.c.Publish(ctx, m).Err() != nil {
			verdict = Deny
		}
	}
	return verdict
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

// answerTime is how long a transmitter may take to answer.
const answerTime = 10 * time.Second

// ask sends one object and waits for the transmitter's answer.
func (l *link) ask(ctx context.Context, cmd Command, t Type, o Object) (*Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	wait := make(chan *Frame, 1)
	l.mu.Lock()
	serial := l.serial
	l.serial++
	l.waits[serial] = wait
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.waits[serial] == wait {
			delete(l.waits, serial)
		}
	}()
	f := &Frame{Serial: serial, Version: l.vers, Time: time.Now(), From: l.h.Centre, To: l.peer, Command: cmd}
	if err := f.Put(t, o); err != nil {
		return nil, err
	}
	if err := l.c.Send(ctx, f); err != nil {
		return nil, err
	}
	select {
	case got := <-wait:
		if got.Command == Deny {
			return nil, fmt.Errorf("gb26875: the transmitter denies type %d", t)
		}
		return got, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("gb26875: no answer to type %d: %w", t, ctx.Err())
	}
}

// Push implements bridge.Downlink.
func (l *link) Push(ctx context.Context, r *bridge.Request) (any, error) {
	if r.Kind != bridge.Service {
		return nil, bridge.ErrNoDownlink
	}
	var err error
	switch r.Name {
	case "setClock":
		_, err = l.ask(ctx, Control, SetClock, Object{Time: time.Now()})
	case "initialise":
		_, err = l.ask(ctx, Control, Initialise, Object{})
	case "checkPost":
		o := Object{Minutes: 10}
		if err = json.Unmarshal(r.Params, &o); err == nil {
			_, err = l.ask(ctx, Control, CheckPost, Object{Minutes: o.Minutes})
		}
	case "readState":
		return l.readState(ctx)
	default:
		err = bridge.ErrNoDownlink
	}
	return nil, err
}

func (l *link) readState(ctx context.Context) (any, error) {
	f, err := l.ask(ctx, Ask, AskTransmitterState, Object{})
	if err != nil {
		return nil, err
	}
	all, err := f.Parse()
	if err != nil || f.Type != TransmitterState || len(all) != 1 {
		return nil, fmt.Errorf("%w: answer of type %d", ErrBody, f.Type)
	}
	return l.h.table().Apply(all[0].Fields(f.Type)), nil
}
