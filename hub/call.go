// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
)

// DefaultCallTimeout bounds a call whose context has no deadline.
const DefaultCallTimeout = 5 * time.Second

// Answer is a device's answer to a call, or, for a call that was only queued,
// its message id alone.
type Answer struct {
	MessageID int64           `json:"messageId,string"`
	Code      alink.Code      `json:"code,omitempty"`
	Message   string          `json:"message,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

// CallOptions say how a call goes out. The zero value calls a connected device
// and waits for its answer.
type CallOptions struct {
	// Queue keeps the call for a device that is away or slow and returns at once,
	// without waiting for the answer: Downlink tells what became of it.
	Queue bool
	// TTL is how long a queued call is kept; see SendOptions.
	TTL time.Duration
	// Async sends a service call on the service's own topic, as the documents have
	// it for asynchronous services, instead of as a synchronous call (RRPC).
	Async bool
}

// SetProperties asks a device to set properties (thing.service.property.set).
// items is an object of identifiers and values, as JSON or anything
// encoding/json writes as one. The answer's code is the device's: a code other
// than alink.CodeOK comes back as *alink.CodeError together with the answer.
// Errors wrap ErrUnknownDevice, ErrInvalid, ErrTooLarge, ErrOffline,
// ErrNotActivated, ErrDisabled, ErrNotSubscribed, ErrThrottled, ErrQueueFull or
// ErrTimeout.
func (h *Hub) SetProperties(ctx context.Context, id iot.DeviceID, items any, o CallOptions) (Answer, error) {
	raw, err := h.mayAsk(ctx, id, items)
	if err != nil {
		return Answer{}, err
	}
	return h.call(ctx, id, "thing.service.property.set", raw, o)
}

// FetchProperties asks a device for current values (thing.service.property.get);
// the answer's data is an object of them. Properties has the latest posted ones
// without asking. Errors are those of SetProperties.
func (h *Hub) FetchProperties(ctx context.Context, id iot.DeviceID, names ...string) (Answer, error) {
	if names == nil {
		names = []string{}
	}
	return h.call(ctx, id, "thing.service.property.get", names, CallOptions{})
}

// InvokeService calls a service of a device (thing.service.{identifier}) with an
// object of arguments and returns its output as the answer's data. Errors are
// those of SetProperties.
func (h *Hub) InvokeService(ctx context.Context, id iot.DeviceID, service string, args any, o CallOptions) (Answer, error) {
	if service == "" || strings.ContainsAny(service, "/+#\x00") {
		return Answer{}, fmt.Errorf("%w: service identifier %.64q", ErrInvalid, service)
	}
	method := "thing.service." + service
	args, err := h.mayInvoke(ctx, id, service, args)
	if err != nil {
		return Answer{}, err
	}
	if o.Async || o.Queue {
		return h.call(ctx, id, method, args, o)
	}
	d, err := h.acquire(ctx, id)
	if err != nil {
		return Answer{}, err
	}
	defer h.release(d)
	payload, err := h.request(method, args)
	if err != nil {
		return Answer{}, err
	}
	d.mu.Lock()
	ext := d.sess != nil && d.sess.extRRPC
	d.mu.Unlock()
	name := ""
	if ext { // wire facts section 11: decided by ext&1
		name = topic.Sys(d.id, methodPath(method))
	}
	mid, raw, err := h.rrpc(ctx, d, payload.bytes, name)
	if err != nil {
		return Answer{MessageID: mid}, err
	}
	h.noteServiceLater(d, methodPath(method), mid, payload.bytes, raw)
	return answerOf(mid, raw)
}

// RRPC sends bytes to a device and waits for the bytes of its answer. Without a
// topic they go to /sys/{pk}/{dn}/rrpc/request/{id}; with one, a full custom topic
// of the device, to /ext/rrpc/{id}{topic}. Errors are those of SetProperties.
func (h *Hub) RRPC(ctx context.Context, id iot.DeviceID, payload []byte, topicName string) ([]byte, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	_, answer, err := h.rrpc(ctx, d, payload, topicName)
	return answer, err
}

func (h *Hub) rrpc(ctx context.Context, d *device, payload []byte, inner string) (int64, []byte, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if h.downlinks.take(time.Now().UnixNano(), 1) > 0 {
		return 0, nil, fmt.Errorf("%w: messages a second to all devices", ErrThrottled)
	}
	mid := h.ids.next(time.Now())
	id := strconv.FormatInt(mid, 10)
	name := topic.Sys(d.id, "rrpc/request/"+id)
	if inner != "" {
		name = topic.RRPC(id, inner)
	}
	m := iot.Message{Topic: name, Payload: payload}
	if err := h.mayDeliver(d, m); err != nil {
		return mid, nil, err
	}
	answer, err := h.await(ctx, d, rrpcKey(d, id), mid, OpRRPC, m)
	if err != nil {
		return mid, nil, err
	}
	h.logAnswer(d, mid, OpRRPCFinished, name, alink.CodeOK)
	return mid, answer, nil
}

// call sends an Alink request on its own topic.
func (h *Hub) call(ctx context.Context, id iot.DeviceID, method string, params any, o CallOptions) (Answer, error) {
	d, err := h.acquire(ctx, id)
	if err != nil {
		return Answer{}, err
	}
	defer h.release(d)
	payload, err := h.request(method, params)
	if err != nil {
		return Answer{}, err
	}
	m := iot.Message{Topic: topic.Sys(d.id, methodPath(method)), Payload: payload.bytes}
	if err := h.mayDeliver(d, m); err != nil {
		return Answer{}, err
	}
	if o.Queue {
		m.QoS = iot.AtLeastOnce
		mid, err := h.send(ctx, d, m, payload.id, SendOptions{QoS: iot.AtLeastOnce, Hold: true, TTL: o.TTL})
		return Answer{MessageID: mid}, err
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if h.downlinks.take(time.Now().UnixNano(), 1) > 0 {
		return Answer{}, fmt.Errorf("%w: messages a second to all devices", ErrThrottled)
	}
	mid := h.ids.next(time.Now())
	raw, err := h.await(ctx, d, callKey(d, payload.id), mid, OpSend, m)
	if err != nil {
		return Answer{MessageID: mid}, err
	}
	h.noteServiceLater(d, methodPath(method), mid, payload.bytes, raw)
	a, err := answerOf(mid, raw)
	h.logAnswer(d, mid, OpReply, m.Topic, a.Code)
	return a, err
}

// await sends m and waits for the answer that Resolve brings under key.
func (h *Hub) await(ctx context.Context, d *device, key string, mid int64, op Operation, m iot.Message) ([]byte, error) {
	pending, err := h.calls.Start(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrThrottled, err)
	}
	defer pending.Cancel()
	if err := h.sendOnce(ctx, d, mid, m); err != nil {
		h.logDown(d, mid, op, m.Topic, err)
		return nil, err
	}
	answer, err := pending.Wait(ctx)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %v: %w", ErrTimeout, d.id, err)
		}
		h.logDown(d, mid, op, m.Topic, err)
		return nil, err
	}
	code := alink.Code(0)
	if a, err := answer.Message(); err == nil {
		code = a.Code
	}
	h.noteLater(d, Downlink{ID: mid, Topic: m.Topic, State: Answered, Code: code})
	return answer.Payload, nil
}

// logAnswer makes the entry of a device's answer to a call.
func (h *Hub) logAnswer(d *device, mid int64, op Operation, name string, code alink.Code) {
	e := LogEntry{MessageID: mid, Device: d.id, Kind: Downstream, Operation: op, Status: Success, Code: code, Topic: name}
	if code != alink.CodeOK && code != 0 {
		e.Status, e.Cause = Failure, CauseAnswer
	}
	h.log(e)
}

// answerOf reads a device's answer. A code that is no success is an error too.
func answerOf(mid int64, raw []byte) (Answer, error) {
	a := Answer{MessageID: mid}
	var m alink.Message
	if err := alink.Parse(raw, &m); err != nil {
		return a, fmt.Errorf("hub: answer of the device: %w", err)
	}
	a.Code, a.Message = m.Code, m.Text
	a.Data = append(json.RawMessage(nil), m.Data...)
	return a, m.Err()
}

// callIDs makes the Alink ids of the platform's requests: numbers from 1 to the
// largest of 31 bits, because firmware keeps them in 32. They begin anywhere, so
// that an answer to a request of an earlier run of the hub is not taken for one of
// this run, nor a request for an answer by SDKs that count from 1 themselves and
// do not tell the two apart (aliyun-iot-device-sdk 1.0.1).
type callIDs struct{ n atomic.Uint32 }

func (c *callIDs) next() string {
	return strconv.FormatUint(uint64(c.n.Add(1))%math.MaxInt32+1, 10)
}

// outgoing is an Alink request and the id its answer carries.
type outgoing struct {
	id    string
	bytes []byte
}

// request writes an Alink request of the platform. Its id is short and numeric:
// firmware keeps it in 32 bits.
func (h *Hub) request(method string, params any) (outgoing, error) {
	raw, err := alink.Marshal(params)
	if err != nil {
		return outgoing{}, fmt.Errorf("%w: params of %s: %w", ErrInvalid, method, err)
	}
	id := h.callIDs.next()
	return outgoing{id, alink.AppendCall(nil, &alink.Call{ID: id, Method: method, Params: raw})}, nil
}

// appendCall writes a request nobody waits for the answer of.
func (h *Hub) appendCall(dst []byte, method string, params []byte) []byte {
	return alink.AppendCall(dst, &alink.Call{ID: h.callIDs.next(), Method: method, Params: params})
}

// methodPath turns thing.service.property.set into its topic path.
func methodPath(method string) string { return strings.ReplaceAll(method, ".", "/") }

// callKey and rrpcKey name an awaited answer: only the device that was asked can
// give it.
func callKey(d *device, id string) string { return d.key + "#" + id }
func rrpcKey(d *device, id string) string { return d.key + "!" + id }

func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, DefaultCallTimeout)
}
