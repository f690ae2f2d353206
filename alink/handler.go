// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"context"
	"errors"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

// Request is a message that arrived, and who sent it.
type Request struct {
	Device    iot.DeviceID // whom the topic names
	Via       iot.DeviceID // the gateway it came through, zero when direct
	Topic     topic.Topic
	Message   // the envelope; zero for payloads that are none
	Payload   []byte
	MessageID int64 // the platform's number of the message
	Time      time.Time
}

// Handler answers requests. It must be safe for concurrent use. The request and
// everything in it belongs to the caller again when ServeAlink returns; the
// reply's data belongs to the caller from then on.
type Handler interface {
	ServeAlink(ctx context.Context, r *Request) Reply
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, r *Request) Reply

// ServeAlink calls f.
func (f HandlerFunc) ServeAlink(ctx context.Context, r *Request) Reply { return f(ctx, r) }

// Middleware wraps a Handler in another one.
type Middleware func(Handler) Handler

// ErrorReply returns the reply for an error: code, message and data of a
// *CodeError in its chain, CodeInternal without a word of its text for any other,
// a success for nil.
func ErrorReply(err error) Reply {
	if err == nil {
		return OK(nil)
	}
	if e, ok := errors.AsType[*CodeError](err); ok {
		return Reply{Code: e.Code, Message: e.Message, Data: e.Data}
	}
	return Reply{Code: CodeInternal}
}
