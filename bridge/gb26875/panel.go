// SPDX-License-Identifier: Apache-2.0

package gb26875

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/openalink/iot/bridge"
)

// Panel is a simulated transmitter with its fire panel. Its fields must not change
// after Dial.
type Panel struct {
	Address Address
	// Control is told what the centre orders; an error denies it. Nil takes all.
	Control func(t Type, o Object) error
	// State is what the centre reads of the transmitter.
	State func() uint8
	// Read returns objects of a type the centre asks for; o says of what. An error, and
	// nil, denies it. The state of the transmitter comes from State if that is set.
	Read func(t Type, o Object) ([]Object, error)

	nc     net.Conn
	mu     sync.Mutex
	serial uint16
	waits  map[uint16]chan *Frame
	done   chan struct{}
}

// Dial connects and answers the centre until Close.
func (p *Panel) Dial(ctx context.Context, addr string) error {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("gb26875: %w", err)
	}
	p.nc, p.done, p.waits = nc, make(chan struct{}), make(map[uint16]chan *Frame)
	go p.read()
	return nil
}

// Report sends objects and waits until the centre confirms them.
func (p *Panel) Report(ctx context.Context, t Type, all ...Object) error {
	f := &Frame{Version: [2]uint8{1, 0}, Time: time.Now(), From: p.Address, Command: Data}
	if err := f.Put(t, all...); err != nil {
		return err
	}
	wait := make(chan *Frame, 1)
	p.mu.Lock()
	f.Serial = p.serial
	p.serial++
	p.waits[f.Serial] = wait
	p.mu.Unlock()
	if err := p.write(f); err != nil {
		return err
	}
	select {
	case got := <-wait:
		return confirmed(got)
	case <-p.done:
		select {
		case got := <-wait: // the centre's last word
			return confirmed(got)
		default:
			return fmt.Errorf("gb26875: connection ended")
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func confirmed(f *Frame) error {
	if f.Command != Confirm {
		return fmt.Errorf("gb26875: the centre answers %d", f.Command)
	}
	return nil
}

func (p *Panel) write(f *Frame) error {
	b, err := f.Append(nil)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = p.nc.Write(b)
	return err
}

func (p *Panel) read() {
	defer close(p.done)
	_ = bridge.ReadMessages(p.nc, new(Decoder), func(m any) {
		if f, ok := m.(*Frame); ok {
			p.take(f)
		}
	}) // its connection ended
}

// take serves one frame of the centre.
func (p *Panel) take(f *Frame) {
	answer := &Frame{Serial: f.Serial, Version: f.Version, Time: time.Now(), From: p.Address, To: f.From, Command: Deny}
	switch f.Command {
	case Confirm, Deny:
		p.mu.Lock()
		wait := p.waits[f.Serial]
		delete(p.waits, f.Serial)
		p.mu.Unlock()
		if wait != nil {
			wait <- f
		}
		return
	case Control:
		all, err := f.Parse()
		if err == nil && len(all) == 1 && (p.Control == nil || p.Control(f.Type, all[0]) == nil) {
			answer.Command = Confirm
		}
	case Ask:
		if p.answer(f, answer) == nil {
			answer.Command = Reply
		}
	default:
	}
	_ = p.write(answer) // a loss shows in read
}

// answer puts what the centre asks for into a frame.
func (p *Panel) answer(f, answer *Frame) error {
	all, err := f.Parse()
	switch {
	case err != nil:
		return err
	case f.Type == AskTransmitterState && p.State != nil:
		return answer.Put(TransmitterState, Object{State: uint16(p.State()), Time: time.Now()})
	case p.Read == nil || len(all) != 1:
		return fmt.Errorf("%w: %d questions", ErrBody, len(all))
	}
	if all, err = p.Read(f.Type-asked, all[0]); err != nil {
		return err
	}
	return answer.Put(f.Type-asked, all...)
}

// Close ends the connection.
func (p *Panel) Close() error {
	if p.nc == nil {
		return nil
	}
	err := p.nc.Close()
	<-p.done
	return err
}
