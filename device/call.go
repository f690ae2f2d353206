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
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// Call sends a request of the device (path "thing/event/property/post") with
// params, anything encoding/json writes, and returns the data of the platform's
// answer. The request goes out with QoS 1. A code other than success is an
// *alink.CodeError. Other errors are ErrOffline, ErrClosed, hal.ErrGone when the
// connection was lost on the way, and ctx's; without a deadline Call waits ten
// seconds.
func (c *Client) Call(ctx context.Context, path string, params any) (json.RawMessage, error) {
	return c.callOn(ctx, topic.Sys(c.Device(), path), path, params, iot.AtLeastOnce)
}

// callOn is Call on a topic of its own.
func (c *Client) callOn(ctx context.Context, name, path string, params any, qos iot.QoS) (json.RawMessage, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	id, payload, err := c.envelope(path, params)
	if err != nil {
		return nil, err
	}
	answer, err := c.exchange(ctx, id, iot.Message{Topic: name, Payload: payload, QoS: qos})
	if err != nil {
		return nil, err
	}
	m, err := answer.Message()
	if err != nil {
		return nil, fmt.Errorf("device: answer of the platform: %w", err)
	}
	return bytes.Clone(m.Data), m.Err()
}

// envelope writes a request of this device.
func (c *Client) envelope(path string, params any) (id string, payload []byte, err error) {
	raw, err := alink.Marshal(params)
	if err != nil {
		return "", nil, fmt.Errorf("device: params of %s: %w", path, err)
	}
	method, _ := alink.MethodOf(path)
	id = c.ids.Next()
	return id, alink.AppendCall(nil, &alink.Call{ID: id, Method: method, Params: raw}), nil
}

// exchange publishes a request and waits for the answer that comes under id.
func (c *Client) exchange(ctx context.Context, id string, m iot.Message) (alink.Answer, error) {
	conn, err := c.current()
	if err != nil {
		return alink.Answer{}, err
	}
	pending, err := c.calls.Start(id)
	if err != nil {
		return alink.Answer{}, fmt.Errorf("device: %w", err)
	}
	defer pending.Cancel()
	stop := context.AfterFunc(ctx, pending.Cancel)
	defer stop()
	gone := make(chan struct{})
	defer close(gone)
	go func() { // the answer cannot come on another connection
		select {
		case <-conn.Done():
			pending.Cancel()
		case <-gone:
		}
	}()
	if err := conn.Publish(ctx, m); err != nil {
		return alink.Answer{}, c.why(ctx, err)
	}
	answer, err := pending.Wait(ctx)
	if err != nil {
		return answer, c.why(ctx, hal.ErrGone)
	}
	return answer, nil
}

// why finds the reason behind an error of the connection: Close, the caller's
// context, or else the error itself.
func (c *Client) why(ctx context.Context, err error) error {
	switch {
	case c.ctx.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

func (c *Client) current() (hal.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, ErrClosed
	case c.conn == nil:
		return nil, ErrOffline
	}
	return c.conn, nil
}

// PostProperties posts values of properties (an object: a map or a struct with
// JSON tags) and waits for the platform's answer. A value may be wrapped as
// Timed. Errors are those of Call.
func (c *Client) PostProperties(ctx context.Context, values any) error {
	_, err := c.Call(ctx, "thing/event/property/post", values)
	return err
}

// Timed is a value with the time it was taken.
type Timed struct {
	Value any
	Time  time.Time
}

// MarshalJSON writes the wire form.
func (t Timed) MarshalJSON() ([]byte, error) {
	return alink.Marshal(struct {
		Value any   `json:"value"`
		Time  int64 `json:"time"`
	}{t.Value, t.Time.UnixMilli()})
}

// PostEvent posts an event with its output parameters and waits for the
// platform's answer. Errors are those of Call.
func (c *Client) PostEvent(ctx context.Context, identifier string, output any) error {
	_, err := c.Call(ctx, "thing/event/"+identifier+"/post", Timed{Value: output, Time: c.cfg.Clock.Now()})
	return err
}

// UpdateTags sets tags of the device. Errors are those of Call.
func (c *Client) UpdateTags(ctx context.Context, tags map[string]string) error {
	type attribute struct {
		Key   string `json:"attrKey"`
		Value string `json:"attrValue"`
	}
	list := []attribute{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, attribute{k, tags[k]})
	}
	_, err := c.Call(ctx, "thing/deviceinfo/update", list)
	return err
}

// DeleteTags removes tags of the device. Errors are those of Call.
func (c *Client) DeleteTags(ctx context.Context, keys ...string) error {
	type attribute struct {
		Key string `json:"attrKey"`
	}
	list := []attribute{}
	for _, k := range keys {
		list = append(list, attribute{k})
	}
	_, err := c.Call(ctx, "thing/deviceinfo/delete", list)
	return err
}

// Publish sends bytes on a custom topic of the device: suffix is what follows
// /{pk}/{dn}/. QoS 1 returns when the platform acknowledged.
func (c *Client) Publish(ctx context.Context, suffix string, payload []byte, qos iot.QoS) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	conn, err := c.current()
	if err != nil {
		return err
	}
	if err := conn.Publish(ctx, iot.Message{Topic: topic.Custom(c.Device(), suffix), Payload: payload, QoS: qos}); err != nil {
		return c.why(ctx, err)
	}
	return nil
}

// Subscribe asks for messages on a topic, which Handlers.Message then gets. A
// name without a leading slash is a suffix of the device's custom topics. The
// subscription is restored after every reconnect. A refusal is ErrRefusedTopic.
func (c *Client) Subscribe(ctx context.Context, name string, qos iot.QoS) error {
	if name == "" || name[0] != '/' {
		name = topic.Custom(c.Device(), name)
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	conn, err := c.current()
	if err != nil {
		return err
	}
	f := hal.Filter{Topic: name, QoS: qos}
	if err := subscribe(ctx, conn, []hal.Filter{f}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.filters = append(slices.DeleteFunc(c.filters, func(old hal.Filter) bool { return old.Topic == name }), f)
	return nil
}

// ntpCall is the id of the one NTP request under way: its answer carries none.
const ntpCall = "ntp"

// Time asks the platform for the time of day and corrects it by half of the
// round trip. One call at a time; others fail with alink.ErrDuplicate.
func (c *Client) Time(ctx context.Context) (time.Time, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	start := time.Now()
	payload := fmt.Appendf(nil, `{"deviceSendTime":"%d"}`, start.UnixMilli())
	answer, err := c.exchange(ctx, ntpCall, iot.Message{Topic: topic.Ext("ntp/request", c.Device()), Payload: payload})
	if err != nil {
		return time.Time{}, err
	}
	var t struct {
		Recv string `json:"serverRecvTime"`
		Send string `json:"serverSendTime"`
	}
	if err := json.Unmarshal(answer.Payload, &t); err != nil {
		return time.Time{}, fmt.Errorf("device: NTP answer: %w", err)
	}
	recv, errRecv := strconv.ParseInt(t.Recv, 10, 64)
	send, errSend := strconv.ParseInt(t.Send, 10, 64)
	if err := errors.Join(errRecv, errSend); err != nil {
		return time.Time{}, fmt.Errorf("device: NTP answer: %w", err)
	}
	travel := time.Since(start) - time.Duration(send-recv)*time.Millisecond
	return time.UnixMilli(send).Add(travel / 2), nil
}

func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout)
}
