// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/openalink/iot/bridge"
)

// answerTime is how long a terminal may take to answer.
const answerTime = 10 * time.Second

// wake hands an answer to who waits for it, once.
func (l *link) wake(key uint32, f *Frame) {
	l.mu.Lock()
	wait := l.waits[key]
	delete(l.waits, key)
	l.mu.Unlock()
	if wait == nil {
		return
	}
	select {
	case wait <- f:
	default: // it has another answer
	}
}

// ask sends a message and waits for the terminal's answer: one that names its
// serial, or one of the kinds in unnamed, which do not.
func (l *link) ask(ctx context.Context, id ID, body []byte, unnamed ...ID) (*Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	wait := make(chan *Frame, 1)
	l.mu.Lock()
	serial := l.next(body)
	keys := []uint32{waitFor(l.serial - 1)} // of a body in parts, what the answer names
	for _, id := range unnamed {
		keys = append(keys, waitForID(id))
	}
	for _, key := range keys {
		l.waits[key] = wait
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, key := range keys {
			if l.waits[key] == wait {
				delete(l.waits, key)
			}
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

// read asks for something whose answer is a message of its own.
func (l *link) read(ctx context.Context, id ID, body []byte, reply ID, unnamed ...ID) (*Frame, error) {
	f, err := l.ask(ctx, id, body, unnamed...)
	if err == nil && f.ID != reply {
		if a, _ := ParseAnswer(f.Body); a.ID == id {
			return nil, fmt.Errorf("jt808: the terminal answers %d", a.Result)
		}
		err = fmt.Errorf("jt808: answer %#04x to %#04x", uint16(f.ID), uint16(id))
	}
	return f, err
}

// Push implements bridge.Downlink.
func (l *link) Push(ctx context.Context, r *bridge.Request) (any, error) {
	if r.Kind == bridge.PropertySet {
		return nil, l.set(ctx, r.Params)
	}
	if r.Kind != bridge.Service {
		return nil, bridge.ErrNoDownlink
	}
	switch r.Name {
	case "text":
		return nil, l.text(ctx, r.Params)
	case "locate":
		return l.locate(ctx)
	case "parameters":
		return l.parameters(ctx, r.Params)
	case "attributes":
		return l.attributes(ctx)
	case "control":
		return nil, l.control(ctx, r.Params)
	case "track":
		var t Tracking
		if err := input(r.Params, &t); err != nil {
			return nil, err
		}
		return nil, l.do(ctx, TrackID, t.Append(nil))
	}
	return nil, bridge.ErrNoDownlink
}

// input reads what the platform sends with a service; nothing leaves v as it is.
func input(params []byte, v any) error {
	if len(params) == 0 {
		return nil
	}
	if err := json.Unmarshal(params, v); err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	return nil
}

func (l *link) set(ctx context.Context, params []byte) error {
	var values map[string]any
	if err := input(params, &values); err != nil {
		return err
	}
	var list []Parameter
	for _, name := range slices.Sorted(maps.Keys(values)) {
		id, ok := l.h.Settings[name]
		if !ok {
			return fmt.Errorf("%w: %s is no setting", ErrValue, name)
		}
		p, err := NewParameter(id, values[name])
		if err != nil {
			return fmt.Errorf("%w of %s", err, name)
		}
		list = append(list, p)
	}
	body, err := AppendParameters(nil, list)
	if err != nil {
		return err
	}
	return l.do(ctx, SetParameters, body)
}

func (l *link) text(ctx context.Context, params []byte) error {
	t := Text{Flag: 4, Kind: 1}
	if err := input(params, &t); err != nil {
		return err
	}
	body, err := t.Append(nil, l.version)
	if err != nil {
		return err
	}
	return l.do(ctx, TextDown, body)
}

func (l *link) locate(ctx context.Context) (any, error) {
	f, err := l.read(ctx, QueryLocation, nil, LocationReply)
	if err != nil {
		return nil, err
	}
	loc, err := ParseLocation(f.Body[2:])
	if err != nil {
		return nil, err
	}
	return l.h.table().Apply(loc.Fields()), nil
}

func (l *link) control(ctx context.Context, params []byte) error {
	var c Control
	if err := input(params, &c); err != nil {
		return err
	}
	body, err := c.Append(nil)
	if err != nil {
		return err
	}
	return l.do(ctx, ControlID, body)
}

func (l *link) attributes(ctx context.Context) (any, error) {
	f, err := l.read(ctx, QueryAttributes, nil, AttributesReply, AttributesReply)
	if err != nil {
		return nil, err
	}
	return ParseAttributes(f.Version, f.Body)
}

// parameters answers with texts and whole numbers by id, in hexadecimal, and with
// other values as hexadecimal digits.
func (l *link) parameters(ctx context.Context, params []byte) (any, error) {
	var some struct{ IDs []uint32 }
	if err := input(params, &some); err != nil {
		return nil, err
	}
	id, body := QueryParameters, []byte(nil)
	if len(some.IDs) > 0 {
		var err error
		if body, err = AppendIDs(nil, some.IDs); err != nil {
			return nil, err
		}
		id = QuerySome
	}
	f, err := l.read(ctx, id, body, ParametersReply)
	if err != nil {
		return nil, err
	}
	_, list, err := ParseParametersReply(f.Body)
	if err != nil {
		return nil, err
	}
	out := make(map[string]any, len(list))
	for _, p := range list {
		out["P"+strconv.FormatUint(uint64(p.ID), 16)] = p.plain()
	}
	return out, nil
}
