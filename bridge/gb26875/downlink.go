// SPDX-License-Identifier: Apache-2.0

package gb26875

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/openalink/iot/bridge"
)

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
	in := struct {
		Object
		Type  Type
		Since int64
	}{Object: Object{Minutes: 10, Records: 1}}
	if len(r.Params) > 0 {
		if err := json.Unmarshal(r.Params, &in); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrValue, err)
		}
	}
	var err error
	switch r.Name {
	case "setClock":
		_, err = l.ask(ctx, Control, SetClock, Object{Time: time.Now()})
	case "initialise":
		_, err = l.ask(ctx, Control, Initialise, Object{})
	case "checkPost":
		_, err = l.ask(ctx, Control, CheckPost, in.Object)
	case "readState":
		return l.readState(ctx)
	case "read":
		if in.Since != 0 {
			in.Time = time.UnixMilli(in.Since)
		}
		return l.readObjects(ctx, in.Type, in.Object)
	default:
		err = bridge.ErrNoDownlink
	}
	return nil, err
}

func (l *link) readState(ctx context.Context) (any, error) {
	all, _, err := l.read(ctx, TransmitterState, Object{})
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%w: %d states of one transmitter", ErrBody, len(all))
	}
	return l.h.table().Apply(all[0].Fields(TransmitterState)), nil
}

func (l *link) readObjects(ctx context.Context, t Type, o Object) (any, error) {
	all, f, err := l.read(ctx, t, o)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, 0, len(all))
	for i := range all {
		out = append(out, f.output(&all[i]))
	}
	return map[string]any{"Objects": out}, nil
}

// read asks for objects of a type.
func (l *link) read(ctx context.Context, t Type, o Object) ([]Object, *Frame, error) {
	if t > Clock {
		return nil, nil, fmt.Errorf("%w: type %d cannot be read", ErrValue, t)
	}
	f, err := l.ask(ctx, Ask, t+asked, o)
	if err != nil {
		return nil, nil, err
	}
	if f.Command != Reply || f.Type != t {
		return nil, nil, fmt.Errorf("%w: answer of type %d to %d", ErrBody, f.Type, t)
	}
	all, err := f.Parse()
	return all, f, err
}
