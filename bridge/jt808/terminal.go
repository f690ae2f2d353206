// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"context"
	"fmt"
	"net"
	"sync"

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

	nc     net.Conn
	mu     sync.Mutex
	serial uint16
	waits  map[uint16]chan *Frame
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
	t.nc, t.done, t.waits = nc, make(chan struct{}), make(map[uint16]chan *Frame)
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
	serial, err := t.send(id, body, wait)
	if err != nil {
		return nil, err
	}
	select {
	case f := <-wait:
		return f, nil
	case <-t.done:
		return nil, fmt.Errorf("jt808: connection ended: %w", t.err)
	case <-ctx.Done():
		t.mu.Lock()
		delete(t.waits, serial)
		t.mu.Unlock()
		return nil, ctx.Err()
	}
}

func (t *Terminal) send(id ID, body []byte, wait chan *Frame) (uint16, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &Frame{ID: id, Version: t.Version, Revision: uint8(t.Version), Phone: t.Phone, Serial: t.serial, Body: body}
	parts := f.Split()
	last := parts[len(parts)-1].Serial
	t.serial = last + 1
	if wait != nil {
		t.waits[last] = wait // a whole message is answered by the serial of its last part
	}
	b, err := Encoder{}.Append(nil, f)
	if err == nil {
		_, err = t.nc.Write(b)
	}
	return last, err
}

func (t *Terminal) read() {
	defer close(t.done)
	t.err = bridge.ReadMessages(t.nc, new(Decoder), func(m any) {
		if f, ok := m.(*Frame); ok {
			t.take(f)
		}
	})
}

// take serves one message of the platform.
func (t *Terminal) take(f *Frame) {
	result := Unsupported
	switch f.ID {
	case PlatformAnswer, RegisterReply:
		if len(f.Body) < 2 {
			return
		}
		serial := uint16(f.Body[0])<<8 | uint16(f.Body[1])
		t.mu.Lock()
		wait := t.waits[serial]
		delete(t.waits, serial)
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
		var list []Parameter
		for id, v := range t.Parameters {
			list = append(list, Parameter{id, v})
		}
		body, _ := AppendParameters([]byte{byte(f.Serial >> 8), byte(f.Serial)}, list)
		_, _ = t.send(ParametersReply, body, nil)
		return
	default: // Unsupported
	}
	_, _ = t.send(TerminalAnswer, Answer{f.Serial, f.ID, result}.Append(nil), nil)
}

// Done is closed when the connection ended, whoever ended it.
func (t *Terminal) Done() <-chan struct{} { return t.done }

// Close ends the connection.
func (t *Terminal) Close() error {
	err := t.nc.Close()
	<-t.done
	return err
}
