// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
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
// A message in parts of which some miss is asked for again, up to three times, and
// then dropped: the Logger hears of it, and the terminal is answered with Failed.
//
// From the platform come PropertySet of properties in Settings, and the services
// text (Text, Flag), locate, parameters (IDs; none is all of them), attributes,
// control (Command, Params) and track (Interval, Seconds).
type Handler struct {
	// Table says which fields of a location become which properties; nil is the usual
	// one: Latitude, Longitude, Altitude, Speed, Direction, Ignition, Alarm, Mileage
	// and Fuel.
	Table bridge.Table
	// Settings are the properties that are parameters of the terminal (table 12), by
	// identifier: their ids. Texts are sent as texts, whole numbers with the size the
	// standard has for the id, four bytes for those it does not know.
	Settings map[string]uint32
	// Code makes the code a terminal must show when it authenticates; nil makes one
	// from Secret, and the Handler checks it. The Handler does not know what Code made:
	// bridge.Config.Authenticator must check it, as the first of its credentials.
	// Without one, every code is good, and anybody may pretend to be any terminal.
	Code func(phone string, r Register) (string, error)
	// Secret keeps codes secret; empty makes the code the telephone number itself, as
	// small servers do. Either way the protocol gives the code to whoever registers, so
	// that anybody may pretend to be any terminal: where that matters, refuse in Code
	// who registers without right, or in Config.Authenticator who comes online.
	Secret []byte
	// Heartbeat is how often terminals are told to be heard of; zero is 60 s.
	// Probes is how many may be missing; zero is 2.
	Heartbeat time.Duration
	Probes    int
	// PartsWait is how long to wait for the next part of a message before those that
	// miss are asked for; zero is 5 s.
	PartsWait time.Duration
	// Logger hears of messages of which parts are missing; nil is silent.
	Logger *slog.Logger
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
	waits  map[uint32]chan *Frame // for answers, by waitFor
	kept   kept
}

// waitFor is what an answer is known by: the serial of its question, or for those
// that do not name it, the message.
func waitFor(serial uint16) uint32 { return uint32(serial) }

func waitForID(id ID) uint32 { return 1<<16 | uint32(id) }

func (h *Handler) link(c *bridge.Conn, f *Frame) *link {
	return &link{c: c, h: h, phone: f.Phone, version: f.Version, rev: f.Revision, waits: make(map[uint32]chan *Frame)}
}

// Serve implements bridge.Handler.
func (h *Handler) Serve(ctx context.Context, c *bridge.Conn, m any) error {
	var f *Frame
	p, parts := m.(*Parts)
	if parts {
		head := p.Frame()
		f = &head
	} else if whole, ok := m.(*Frame); ok {
		f = whole
	} else {
		return fmt.Errorf("jt808: message is a %T", m)
	}
	l, _ := c.State().(*link)
	if l == nil {
		l = h.link(c, f)
		c.SetState(l)
	}
	if l.phone != f.Phone {
		return fmt.Errorf("%w: %s over the connection of %s", bridge.ErrForeign, f.Phone, l.phone)
	}
	if parts {
		return l.begun(ctx, p)
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
	case QueryTime:
		body, err := AppendServerTime(nil, time.Now())
		if err == nil {
			_, err = l.send(ctx, TimeReply, body)
		}
		return err
	case PartsAgainUp:
		return l.partsAgain(ctx, f)
	case LocationID:
		loc, err := ParseLocation(f.Body)
		return l.located(ctx, f, err, loc)
	case BatchID:
		all, _, err := ParseBatch(f.Body)
		return l.located(ctx, f, err, all...)
	case TerminalAnswer, ParametersReply, LocationReply:
		l.answered(ctx, f)
		return nil
	case AttributesReply:
		l.wake(waitForID(f.ID), f)
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
	f := &Frame{ID: id, Version: l.version, Revision: l.rev, Phone: l.phone, Serial: serial, Body: body}
	if len(body) > MaxBody && l.version == V2019 {
		l.mu.Lock()
		l.kept.keep(f.Split())
		l.mu.Unlock()
	}
	return l.c.Send(ctx, f)
}

// partsAgain sends parts of an earlier message again, as they were.
func (l *link) partsAgain(ctx context.Context, f *Frame) error {
	r, err := ParseResend(f.Version, f.Body)
	if err != nil {
		return l.answer(ctx, f, Wrong)
	}
	l.mu.Lock()
	parts := l.kept.again(r)
	l.mu.Unlock()
	if len(parts) == 0 {
		return l.answer(ctx, f, Failed)
	}
	for i := range parts {
		if err := l.c.Send(ctx, &parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// begun waits for the parts of a message. Who did not authenticate sends none: they
// would be memory for strangers.
func (l *link) begun(ctx context.Context, p *Parts) error {
	if l.c.Session() == nil {
		p.Drop()
		h := p.Frame()
		h.Serial = p.last()
		return l.answer(ctx, &h, Failed)
	}
	newGaps(l.h.PartsWait, l.askParts, l.lostParts).watch(ctx, p)
	return nil
}

// askParts has the terminal send parts again.
func (l *link) askParts(ctx context.Context, r Resend) error {
	body, err := r.Append(nil, l.version)
	if err == nil {
		_, err = l.send(ctx, PartsAgain, body)
	}
	return err
}

// lostParts says that a message is not waited for any more. That its connection is
// gone too shows elsewhere.
func (l *link) lostParts(ctx context.Context, p *Parts, missing []uint16) {
	h := p.Frame()
	if l.h.Logger != nil {
		l.h.Logger.WarnContext(ctx, "message in parts dropped", "phone", l.phone, "message", fmt.Sprintf("%#04x", uint16(h.ID)), "parts", h.Total, "missing", missing)
	}
	h.Serial = p.last()
	_ = l.answer(ctx, &h, Failed)
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
	for i := range all {
		if r := l.c.Publish(ctx, l.h.message(&all[i])); r.Err() != nil {
			return l.answer(ctx, f, Failed) // for all of them: the terminal sends them again
		}
	}
	return l.answer(ctx, f, Done)
}

func (h *Handler) table() bridge.Table {
	if h.Table == nil {
		return usual()
	}
	return h.Table
}

func (h *Handler) message(loc *Location) bridge.Message {
	values := h.table().Apply(loc.Fields())
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
	l.wake(waitFor(uint16(f.Body[0])<<8|uint16(f.Body[1])), f)
	if f.ID == LocationReply {
		if loc, err := ParseLocation(f.Body[2:]); err == nil {
			l.c.Publish(ctx, l.h.message(&loc))
		}
	}
}
