// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/device"
)

// usual is the table of Location.Fields to properties without another.
func usual() bridge.Table {
	return bridge.Table{
		{Name: "latitude", Property: "Latitude"},
		{Name: "longitude", Property: "Longitude"},
		{Name: "altitude", Property: "Altitude"},
		{Name: "speed", Property: "Speed"},
		{Name: "direction", Property: "Direction"},
		{Name: "ignition", Property: "Ignition"},
		{Name: "alarm", Property: "Alarm"},
		{Name: "mileage", Property: "Mileage"},
		{Name: "fuel", Property: "Fuel"},
	}
}

// Handler brings terminals to a bridge. It implements bridge.Handler; the Server
// needs Decoder and Encoder of this package too. The zero value is ready. One
// serves all connections.
//
// A terminal that registers gets the code of Code; one that authenticates shows
// it and comes online: bridge.Authenticator is asked with the code and, of 2019,
// the IMEI. Locations are posted as properties with their own time, and answered
// when they wait for the platform. What was dropped is answered with Failed; the
// terminal sends it again. A location the terminal sends before it authenticated
// is answered with Failed.
//
// From the platform come the services text (Text, Flag), locate, and parameters;
// and PropertySet of properties in Settings.
type Handler struct {
	// Table says which fields of a location become which properties; nil is the usual
	// one: Latitude, Longitude, Altitude, Speed, Direction, Ignition, Alarm, Mileage
	// and Fuel.
	Table bridge.Table
	// Settings are the properties that are parameters of the terminal (table 12), by
	// identifier: their ids. Their values are whole numbers of four bytes.
	Settings map[string]uint32
	// Code makes the code a terminal must show; nil makes one from Secret. Codes it made
	// are checked by bridge.Authenticator alone: set one with it.
	Code func(phone string, r Register) (string, error)
	// Secret keeps codes secret; empty makes the code the telephone number itself, as
	// small servers do, and then anybody may pretend to be any terminal unless
	// Config.Authenticator stops them.
	Secret []byte
	// Heartbeat is how often terminals are told to be heard of; zero is 60 s.
	// Probes is how many may be missing; zero is 2.
	Heartbeat time.Duration
	Probes    int
}

// NewDecoder makes the Decoder of a connection, for bridge.Server.
func NewDecoder() bridge.Decoder { return new(Decoder) }

// NewEncoder makes the Encoder of a connection, for bridge.Server.
func NewEncoder() bridge.Encoder { return Encoder{} }

// Identity returns the original identity of a terminal: its number without leading
// zeros.
func Identity(phone string) string {
	if s := strings.TrimLeft(phone, "0"); s != "" {
		return s
	}
	return "0"
}

// CodeOf returns the code of a telephone number under Secret.
func (h *Handler) CodeOf(phone string) string {
	if len(h.Secret) == 0 {
		return Identity(phone)
	}
	mac := hmac.New(sha256.New, h.Secret)
	mac.Write([]byte(Identity(phone)))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// link is what a connection has beside its session.
type link struct {
	c       *bridge.Conn
	h       *Handler
	version Version
	rev     uint8
	phone   string

	mu     sync.Mutex
	serial uint16
	waits  map[uint16]chan *Frame // for answers, by the serial of the question
}

// Serve implements bridge.Handler.
func (h *Handler) Serve(ctx context.Context, c *bridge.Conn, m any) error {
	f, ok := m.(*Frame)
	if !ok {
		return fmt.Errorf("jt808: message is a %T", m)
	}
	l, _ := c.State().(*link)
	if l == nil {
		l = &link{c: c, h: h, phone: f.Phone, version: f.Version, rev: f.Revision, waits: make(map[uint16]chan *Frame)}
		c.SetState(l)
	}
	if l.phone != f.Phone {
		return fmt.Errorf("%w: %s over the connection of %s", bridge.ErrForeign, f.Phone, l.phone)
	}
	return l.serve(ctx, f)
}

func (l *link) serve(ctx context.Context, f *Frame) error {
	if f.Encryption != 0 {
		return l.answer(ctx, f, Unsupported)
	}
	switch f.ID {
	case RegisterID:
		return l.register(ctx, f)
	case AuthenticateID:
		return l.authenticate(ctx, f)
	case Heartbeat:
		return l.answer(ctx, f, Done)
	case Logout:
		if err := l.answer(ctx, f, Done); err != nil {
			return err
		}
		return fmt.Errorf("%w: the terminal logged out", bridge.ErrOffline)
	case LocationID:
		loc, err := ParseLocation(f.Body)
		return l.located(ctx, f, err, loc)
	case BatchID:
		all, _, err := ParseBatch(f.Body)
		return l.located(ctx, f, err, all...)
	case TerminalAnswer, ParametersReply, LocationReply:
		l.answered(ctx, f)
		return nil
	default:
		return l.answer(ctx, f, Unsupported)
	}
}

func (l *link) answer(ctx context.Context, f *Frame, r Result) error {
	_, err := l.send(ctx, PlatformAnswer, Answer{f.Serial, f.ID, r}.Append(nil))
	return err
}

// send sends a message and returns its serial.
func (l *link) send(ctx context.Context, id ID, body []byte) (uint16, error) {
	l.mu.Lock()
	serial := l.next(body)
	l.mu.Unlock()
	return serial, l.sendAs(ctx, serial, id, body)
}

// next takes the serials a message needs; mu is held.
func (l *link) next(body []byte) uint16 {
	s := l.serial
	l.serial += uint16(max(1, (len(body)+MaxBody-1)/MaxBody))
	return s
}

func (l *link) sendAs(ctx context.Context, serial uint16, id ID, body []byte) error {
	return l.c.Send(ctx, &Frame{ID: id, Version: l.version, Revision: l.rev, Phone: l.phone, Serial: serial, Body: body})
}

func (l *link) register(ctx context.Context, f *Frame) error {
	r, err := ParseRegister(f.Version, f.Body)
	if err != nil {
		return l.answer(ctx, f, Wrong)
	}
	a := RegisterAnswer{Serial: f.Serial}
	if l.h.Code != nil {
		a.Code, err = l.h.Code(f.Phone, r)
	} else {
		a.Code = l.h.CodeOf(f.Phone)
	}
	if err != nil {
		a.Result, a.Code = 4, ""
	}
	body, err := a.Append(nil)
	if err != nil {
		return err
	}
	_, err = l.send(ctx, RegisterReply, body)
	return err
}

// authenticate brings the terminal online. Without Handler.Code the code is
// checked here.
func (l *link) authenticate(ctx context.Context, f *Frame) error {
	a, err := ParseAuthenticate(f.Version, f.Body)
	if err == nil && l.h.Code == nil && !hmac.Equal([]byte(a.Code), []byte(l.h.CodeOf(f.Phone))) {
		err = errors.New("jt808: wrong code")
	}
	if err == nil {
		opts := bridge.SessionOptions{Heartbeat: l.h.Heartbeat, Probes: l.h.Probes, Downlink: l}
		if opts.Heartbeat == 0 {
			opts.Heartbeat = time.Minute
		}
		if opts.Probes == 0 {
			opts.Probes = 2
		}
		_, err = l.c.Online(ctx, Identity(f.Phone), opts, a.Code, a.IMEI)
	}
	if err != nil {
		return errors.Join(err, l.answer(ctx, f, Failed))
	}
	return l.answer(ctx, f, Done)
}

// located posts locations.
func (l *link) located(ctx context.Context, f *Frame, bad error, all ...Location) error {
	if bad != nil {
		return l.answer(ctx, f, Wrong)
	}
	result := Done
	for i := range all {
		if r := l.c.Publish(ctx, l.h.message(&all[i])); r.Err() != nil {
			result = Failed
		}
	}
	return l.answer(ctx, f, result)
}

func (h *Handler) message(loc *Location) bridge.Message {
	table := h.Table
	if table == nil {
		table = usual()
	}
	values := table.Apply(loc.Fields())
	if !loc.Time.IsZero() {
		for k, v := range values {
			values[k] = device.Timed{Value: v, Time: loc.Time}
		}
	}
	return bridge.Properties(values)
}

// answered hands an answer of the terminal to who waits for it.
func (l *link) answered(ctx context.Context, f *Frame) {
	if len(f.Body) < 2 {
		return
	}
	serial := uint16(f.Body[0])<<8 | uint16(f.Body[1])
	l.mu.Lock()
	wait := l.waits[serial]
	delete(l.waits, serial)
	l.mu.Unlock()
	if wait != nil {
		wait <- f
	}
	if f.ID == LocationReply {
		if loc, err := ParseLocation(f.Body[2:]); err == nil {
			l.c.Publish(ctx, l.h.message(&loc))
		}
	}
}

// answerTime is how long a terminal may take to answer.
const answerTime = 10 * time.Second

// ask sends a message and waits for the terminal's answer.
func (l *link) ask(ctx context.Context, id ID, body []byte) (*Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	wait := make(chan *Frame, 1)
	l.mu.Lock()
	serial := l.next(body)
	last := l.serial - 1 // of a body in parts, what the answer names
	l.waits[last] = wait
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.waits[last] == wait {
			delete(l.waits, last)
		}
	}()
	if err := l.sendAs(ctx, serial, id, body); err != nil {
		return nil, err
	}
	select {
	case f := <-wait:
		return f, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("jt808: no answer to %#04x: %w", uint16(id), ctx.Err())
	}
}

// do asks for something whose answer is a general one.
func (l *link) do(ctx context.Context, id ID, body []byte) error {
	f, err := l.ask(ctx, id, body)
	if err != nil {
		return err
	}
	a, err := ParseAnswer(f.Body)
	if err == nil && (f.ID != TerminalAnswer || a.Result != Done) {
		err = fmt.Errorf("jt808: the terminal answers %d", a.Result)
	}
	return err
}

// Push implements bridge.Downlink.
func (l *link) Push(ctx context.Context, r *bridge.Request) (any, error) {
	switch {
	case r.Kind == bridge.PropertySet:
		return nil, l.set(ctx, r.Params)
	case r.Kind == bridge.Service && r.Name == "text":
		return nil, l.text(ctx, r.Params)
	case r.Kind == bridge.Service && r.Name == "locate":
		return l.locate(ctx)
	case r.Kind == bridge.Service && r.Name == "parameters":
		return l.parameters(ctx)
	}
	return nil, bridge.ErrNoDownlink
}

func (l *link) set(ctx context.Context, params []byte) error {
	var values map[string]uint32
	if err := json.Unmarshal(params, &values); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	var list []Parameter
	for name, v := range values {
		id, ok := l.h.Settings[name]
		if !ok {
			return fmt.Errorf("%w: %s is no setting", ErrValue, name)
		}
		list = append(list, Parameter{id, []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}})
	}
	body, err := AppendParameters(nil, list)
	if err != nil {
		return err
	}
	return l.do(ctx, SetParameters, body)
}

func (l *link) text(ctx context.Context, params []byte) error {
	t := Text{Flag: 4, Kind: 1}
	if err := json.Unmarshal(params, &t); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	body, err := t.Append(nil, l.version)
	if err != nil {
		return err
	}
	return l.do(ctx, TextDown, body)
}

func (l *link) locate(ctx context.Context) (any, error) {
	f, err := l.ask(ctx, QueryLocation, nil)
	if err != nil {
		return nil, err
	}
	if f.ID != LocationReply {
		return nil, fmt.Errorf("jt808: answer %#04x to a question for the location", uint16(f.ID))
	}
	loc, err := ParseLocation(f.Body[2:])
	if err != nil {
		return nil, err
	}
	table := l.h.Table
	if table == nil {
		table = usual()
	}
	return table.Apply(loc.Fields()), nil
}

// parameters answers with whole numbers by id in hexadecimal, and other values as
// hexadecimal text.
func (l *link) parameters(ctx context.Context) (any, error) {
	f, err := l.ask(ctx, QueryParameters, nil)
	if err != nil {
		return nil, err
	}
	_, list, err := ParseParametersReply(f.Body)
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, len(list))
	for _, p := range list {
		name := "P" + strconv.FormatUint(uint64(p.ID), 16)
		if n, ok := p.Uint(); ok {
			out[name] = n
			continue
		}
		out[name] = hex.EncodeToString(p.Value)
	}
	return out, nil
}
