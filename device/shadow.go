// SPDX-License-Identifier: Apache-2.0

package device

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/shadow"
	"github.com/openalink/iot/topic"
)

// Desired is an attribute of the shadow that an application wishes.
type Desired struct {
	Name  string
	Value json.RawMessage
	Time  time.Time // when it was wished, to the second; zero if the platform did not say
}

// Shadow is the shadow of the device as the platform has it.
type Shadow struct {
	Reported map[string]json.RawMessage
	Desired  []Desired // by name
	Version  int64
}

// Shadow asks the platform for the device's shadow. A refusal is a
// *shadow.Error; other errors are those of Call.
func (c *Client) Shadow(ctx context.Context) (Shadow, error) {
	raw, err := c.shadowCall(ctx, func(token string) []byte {
		return fmt.Appendf(nil, `{"method":"get","clientToken":%s}`, token)
	})
	if err != nil {
		return Shadow{}, err
	}
	return readShadow(raw)
}

// ReportShadow writes the reported section: an object whose members replace
// those of the same name, null removes. Errors are those of Shadow.
func (c *Client) ReportShadow(ctx context.Context, reported any) error {
	body, err := alink.Marshal(reported)
	if err != nil {
		return fmt.Errorf("device: reported: %w", err)
	}
	_, err = c.shadowCall(ctx, func(token string) []byte {
		return fmt.Appendf(nil, `{"method":"update","state":{"reported":%s},"clientToken":%s}`, body, token)
	})
	return err
}

// clearWishes reports what was done, if anything, and clears desired, unless the
// shadow is past a version.
func (c *Client) clearWishes(ctx context.Context, done map[string]json.RawMessage, version int64) error {
	state := []byte(`"desired":null`)
	if len(done) > 0 {
		body, err := alink.Marshal(done)
		if err != nil {
			return fmt.Errorf("device: reported: %w", err)
		}
		state = fmt.Appendf(state, `,"reported":%s`, body)
	}
	_, err := c.shadowCall(ctx, func(token string) []byte {
		return fmt.Appendf(nil, `{"method":"update","state":{%s},"version":%d,"clientToken":%s}`, state, version+1, token)
	})
	return err
}

// shadowCall sends a request on /shadow/update and returns the payload of the
// answer, which it knows by the token.
func (c *Client) shadowCall(ctx context.Context, request func(token string) []byte) ([]byte, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	id := c.Device()
	token := strconv.Quote(id.Product + "." + id.Name + "-" + c.ids.Next())
	m := iot.Message{Topic: topic.Shadow("update", id), QoS: iot.AtLeastOnce, Payload: request(token)}
	answer, err := c.exchange(ctx, shadowKey(token), m)
	if err != nil {
		return nil, err
	}
	var got struct {
		Payload struct {
			Status  string
			Content struct {
				ErrorCode    string
				ErrorMessage string
			}
		}
	}
	if err := json.Unmarshal(answer.Payload, &got); err != nil {
		return nil, fmt.Errorf("device: answer of the shadow: %w", err)
	}
	if got.Payload.Status != "success" {
		code, err := strconv.Atoi(got.Payload.Content.ErrorCode)
		if err != nil {
			code = int(shadow.ServerError)
		}
		return nil, &shadow.Error{Code: shadow.Code(code), Message: got.Payload.Content.ErrorMessage}
	}
	return answer.Payload, nil
}

func shadowKey(token string) string { return "shadow " + token }

// shadowMessage takes a message on /shadow/get: an answer for its caller, or a
// wish for the handler. It reports whether it was an answer.
func (c *Client) shadowMessage(payload []byte) (answered bool) {
	var head struct {
		Method string
		Token  json.RawMessage `json:"clientToken"`
	}
	if err := json.Unmarshal(payload, &head); err != nil {
		c.cfg.Logger.Warn("shadow message that cannot be read", "error", err)
		return true
	}
	if head.Method != "reply" {
		return false
	}
	c.calls.Resolve(shadowKey(string(head.Token)), payload)
	return true
}

// follow hands wishes to the handler and, when it took them, reports them as done
// and clears them.
func (c *Client) follow(payload []byte) {
	s, err := readShadow(payload)
	if err != nil {
		c.cfg.Logger.Warn("shadow message that cannot be read", "error", err)
		return
	}
	f := c.cfg.Handlers.Desired
	if f == nil || len(s.Desired) == 0 {
		return
	}
	wishes := s.Desired
	if age := c.cfg.MaxDesiredAge; age > 0 {
		wishes = slices.DeleteFunc(slices.Clone(wishes), func(d Desired) bool {
			return !d.Time.IsZero() && c.cfg.Clock.Now().Sub(d.Time) > age
		})
	}
	done := make(map[string]json.RawMessage, len(wishes))
	if len(wishes) > 0 {
		if err := f(c.ctx, wishes); err != nil {
			c.cfg.Logger.Warn("wish not followed", "error", err)
			return
		}
		for _, w := range wishes {
			done[w.Name] = w.Value
		}
	}
	if err := c.acknowledgeWishes(c.ctx, s, done); err != nil && !errors.Is(err, ErrClosed) {
		c.cfg.Logger.Warn("shadow not reported", "error", err)
	}
}

// clearTries is how often a wish is cleared anew because the shadow changed.
const clearTries = 5

// acknowledgeWishes reports what was done and clears the wishes that s has; those
// too old to follow are cleared alone. A wish made meanwhile is not cleared: the
// platform tells of it next.
func (c *Client) acknowledgeWishes(ctx context.Context, s Shadow, done map[string]json.RawMessage) error {
	wishes, version := s.Desired, s.Version
	for try := 1; ; try++ {
		err := c.clearWishes(ctx, done, version)
		if try == clearTries || !errors.Is(err, &shadow.Error{Code: shadow.VersionConflict}) {
			return err
		}
		now, err := c.Shadow(ctx)
		switch {
		case err != nil:
			return err
		case slices.EqualFunc(wishes, now.Desired, sameWish):
			version = now.Version // something else changed
		case len(done) > 0:
			return c.ReportShadow(ctx, done)
		default:
			return nil
		}
	}
}

func sameWish(a, b Desired) bool {
	return a.Name == b.Name && bytes.Equal(a.Value, b.Value) && a.Time.Equal(b.Time)
}

// readShadow reads a control message or the answer to a get.
func readShadow(payload []byte) (Shadow, error) {
	type sections struct {
		Reported, Desired map[string]json.RawMessage
	}
	var m struct {
		Version int64
		Payload struct {
			State    sections
			Metadata sections
		}
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return Shadow{}, fmt.Errorf("device: shadow: %w", err)
	}
	s := Shadow{Reported: m.Payload.State.Reported, Version: m.Version}
	for _, name := range slices.Sorted(maps.Keys(m.Payload.State.Desired)) {
		d := Desired{Name: name, Value: m.Payload.State.Desired[name]}
		if at := latest(m.Payload.Metadata.Desired[name]); at > 0 {
			d.Time = time.Unix(at, 0)
		}
		s.Desired = append(s.Desired, d)
	}
	return s, nil
}

// latest is the newest timestamp in the metadata of an attribute, which nests as
// the attribute does.
func latest(metadata json.RawMessage) int64 {
	var leaf struct{ Timestamp json.Number }
	if json.Unmarshal(metadata, &leaf) == nil && leaf.Timestamp != "" {
		n, _ := leaf.Timestamp.Int64()
		return n
	}
	var kids map[string]json.RawMessage
	if json.Unmarshal(metadata, &kids) != nil {
		return 0
	}
	newest := int64(0)
	for _, k := range kids {
		newest = max(newest, latest(k))
	}
	return newest
}

// Synced keeps a Go struct in step with the shadow: its Desired method is a
// handler for Handlers.Desired, and Set reports what the device changed by
// itself. T is a struct with JSON tags. It is safe for concurrent use.
type Synced[T any] struct {
	apply func(ctx context.Context, next T) error
	mu    sync.Mutex
	now   T
}

// NewSynced starts from a value. apply makes the hardware follow; when it fails
// the value stays and the wish is not reported as done.
func NewSynced[T any](start T, apply func(ctx context.Context, next T) error) *Synced[T] {
	return &Synced[T]{apply: apply, now: start}
}

// Value returns the present value.
func (s *Synced[T]) Value() T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Desired merges wishes into the value and applies it.
func (s *Synced[T]) Desired(ctx context.Context, wishes []Desired) error {
	changes := make(map[string]json.RawMessage, len(wishes))
	for _, w := range wishes {
		changes[w.Name] = w.Value
	}
	body, err := alink.Marshal(changes)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.now
	if err := json.Unmarshal(body, &next); err != nil {
		return fmt.Errorf("device: wish: %w", err)
	}
	if err := s.apply(ctx, next); err != nil {
		return err
	}
	s.now = next
	return nil
}

// Set changes the value and reports all of it to the shadow. Errors are those of
// Client.ReportShadow; the value is changed all the same.
func (s *Synced[T]) Set(ctx context.Context, c *Client, change func(*T)) error {
	s.mu.Lock()
	change(&s.now)
	now := s.now
	s.mu.Unlock()
	return c.ReportShadow(ctx, now)
}
