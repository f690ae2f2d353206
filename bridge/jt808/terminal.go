// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/openalink/iot/bridge"
)

// Terminal is a simulated terminal. Its fields must not change after Dial.
type Terminal struct {
	Phone    string
	Version  Version
	Register Register
	// Text takes texts of the platform; nil answers Unsupported.
	Text func(t Text)
	// Location answers questions for it; nil answers Unsupported.
	Location func() Location
	// Parameters are its settings, which the platform may change.
	Parameters map[uint32][]byte
	// Attributes are what it tells of itself.
	Attributes Attributes
	// Control takes orders; nil answers Unsupported.
	Control func(c Control)
	// Track takes orders to report more often; nil answers Unsupported.
	Track func(t Tracking)
	// Lose says which frames get lost on their way to the platform, to try that; nil
	// loses none. It is called for one after the other.
	Lose func(f *Frame) bool
	// PartsWait is how long a terminal of 2019 waits for the next part of a message
	// before it asks for those that miss; zero is 5 s.
	PartsWait time.Duration

	nc     net.Conn
	mu     sync.Mutex
	serial uint16
	waits  map[uint32]chan *Frame
	kept   kept
	gaps   *gaps
	err    error
	done   chan struct{}
}

// Dial connects, registers and authenticates the terminal, and answers the
// platform until Close.
func (t *Terminal) Dial(ctx context.Context, addr string) error {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("jt808: %w", err)
	}
	t.nc, t.done, t.waits = nc, make(chan struct{}), make(map[uint32]chan *Frame)
	t.gaps = newGaps(t.PartsWait, t.askParts, func(context.Context, *Parts, []uint16) {})
	go t.read()
	if err := t.login(ctx); err != nil {
		_ = t.Close()
		return err
	}
	return nil
}

func (t *Terminal) login(ctx context.Context) error {
	body, err := t.Register.Append(nil, t.Version)
	if err != nil {
		return err
	}
	f, err := t.Ask(ctx, RegisterID, body)
	if err != nil {
		return err
	}
	a, err := ParseRegisterAnswer(f.Body)
	if err == nil && (f.ID != RegisterReply || a.Result != 0) {
		err = fmt.Errorf("jt808: registration answered with %d", a.Result)
	}
	if err != nil {
		return err
	}
	if body, err = (Authenticate{Code: a.Code, IMEI: "490154203237518", Software: "1.0"}).Append(nil, t.Version); err != nil {
		return err
	}
	return t.Do(ctx, AuthenticateID, body)
}

// Report sends a location and waits for the platform's answer.
func (t *Terminal) Report(ctx context.Context, l Location) error {
	body, err := l.Append(nil)
	if err != nil {
		return err
	}
	return t.Do(ctx, LocationID, body)
}

// Do sends a message and waits until the platform says it is done.
func (t *Terminal) Do(ctx context.Context, id ID, body []byte) error {
	f, err := t.Ask(ctx, id, body)
	if err != nil {
		return err
	}
	a, err := ParseAnswer(f.Body)
	if err == nil && a.Result != Done {
		err = fmt.Errorf("jt808: the platform answers %#04x with %d", uint16(id), a.Result)
	}
	return err
}

// Ask sends a message and waits for the platform's answer.
func (t *Terminal) Ask(ctx context.Context, id ID, body []byte) (*Frame, error) {
	wait := make(chan *Frame, 1)
	key, err := t.send(id, body, wait)
	if err != nil {
		return nil, err
	}
	select {
	case f := <-wait:
		return f, nil
	case <-t.done:
		select {
		case f := <-wait: // the platform's last word, as to Logout
			return f, nil
		default:
			return nil, fmt.Errorf("jt808: connection ended: %w", t.err)
		}
	case <-ctx.Done():
		t.mu.Lock()
		delete(t.waits, key)
		t.mu.Unlock()
		return nil, ctx.Err()
	}
}

// send sends a message, and returns what its answer is known by.
func (t *Terminal) send(id ID, body []byte, wait chan *Frame) (key uint32, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &Frame{ID: id, Version: t.Version, Revision: uint8(t.Version), Phone: t.Phone, Serial: t.serial, Body: body}
	parts := f.Split()
	t.kept.keep(parts)
	last := parts[len(parts)-1].Serial
	t.serial = last + 1
	key = waitFor(last) // a whole message is answered by the serial of its last part
	if id == QueryTime {
		key = waitForID(TimeReply)
	}
	if wait != nil {
		t.waits[key] = wait
	}
	return key, t.write(parts)
}

// write sends frames; mu is held.
func (t *Terminal) write(parts []Frame) error {
	var b []byte
	for i := range parts {
		if t.Lose != nil && t.Lose(&parts[i]) {
			continue
		}
		var err error
		if b, err = parts[i].Append(b); err != nil {
			return err
		}
	}
	_, err := t.nc.Write(b)
	return err
}

func (t *Terminal) read() {
	defer close(t.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t.err = bridge.ReadMessages(t.nc, new(Decoder), func(m any) {
		switch m := m.(type) {
		case *Frame:
			t.take(m)
		case *Parts:
			if t.Version == V2019 { // before, a terminal could not ask
				t.gaps.watch(ctx, m)
			}
		}
	})
}

func (t *Terminal) askParts(_ context.Context, r Resend) error {
	body, err := r.Append(nil, t.Version)
	if err == nil {
		_, err = t.send(PartsAgainUp, body, nil)
	}
	return err
}

// again sends parts of an earlier message again and reports whether it has them.
func (t *Terminal) again(f *Frame) bool {
	r, err := ParseResend(f.Version, f.Body)
	if err != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	parts := t.kept.again(r)
	return len(parts) > 0 && t.write(parts) == nil
}

// reply sends the settings with these ids.
func (t *Terminal) reply(f *Frame, ids []uint32) {
	var list []Parameter
	for _, id := range ids {
		if v, ok := t.Parameters[id]; ok {
			list = append(list, Parameter{id, v})
		}
	}
	body, _ := AppendParameters([]byte{byte(f.Serial >> 8), byte(f.Serial)}, list)
	_, _ = t.send(ParametersReply, body, nil) // a loss shows in read
}

// take serves one message of the platform.
func (t *Terminal) take(f *Frame) {
	result := Unsupported
	switch f.ID {
	case PlatformAnswer, RegisterReply, TimeReply:
		if len(f.Body) < 2 {
			return
		}
		key := waitFor(uint16(f.Body[0])<<8 | uint16(f.Body[1]))
		if f.ID == TimeReply {
			key = waitForID(f.ID)
		}
		t.mu.Lock()
		wait := t.waits[key]
		delete(t.waits, key)
		t.mu.Unlock()
		if wait != nil {
			wait <- f
		}
		return
	case TextDown:
		if text, err := ParseText(f.Version, f.Body); err == nil && t.Text != nil {
			t.Text(text)
			result = Done
		}
	case QueryLocation:
		if t.Location != nil {
			body, _ := t.Location().Append([]byte{byte(f.Serial >> 8), byte(f.Serial)})
			_, _ = t.send(LocationReply, body, nil) // a loss shows in read
			return
		}
	case SetParameters:
		if list, err := ParseParameters(f.Body); err == nil && t.Parameters != nil {
			for _, p := range list {
				t.Parameters[p.ID] = p.Value
			}
			result = Done
		}
	case QueryParameters:
		t.reply(f, slices.Sorted(maps.Keys(t.Parameters)))
		return
	case QuerySome:
		if ids, err := ParseIDs(f.Body); err == nil {
			t.reply(f, ids)
			return
		}
		result = Wrong
	case QueryAttributes:
		if body, err := t.Attributes.Append(nil, t.Version); err == nil {
			_, _ = t.send(AttributesReply, body, nil)
			return
		}
	case ControlID:
		if c, err := ParseControl(f.Body); err == nil && t.Control != nil {
			t.Control(c)
			result = Done
		}
	case TrackID:
		if order, err := ParseTracking(f.Body); err == nil && t.Track != nil {
			t.Track(order)
			result = Done
		}
	case PartsAgain:
		if t.again(f) {
			return
		}
		result = Failed
	default: // Unsupported
	}
	_, _ = t.send(TerminalAnswer, Answer{f.Serial, f.ID, result}.Append(nil), nil)
}

// Done is closed when the connection ended, whoever ended it.
func (t *Terminal) Done() <-chan struct{} { return t.done }

// Close ends the connection.
func (t *Terminal) Close() error {
	if t.nc == nil {
		return nil
	}
	err := t.nc.Close()
	<-t.done
	return err
}
