// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"errors"

	"github.com/openalink/iot/rules/sql"
)

// Sink takes what rules select. It is safe for concurrent use: an action calls it
// from several lanes. sinktest has its contract.
type Sink interface {
	// Send takes a batch: nil means that all of it is where it shall be, any error
	// that none of it must be taken for delivered. It returns when ctx ends. The
	// batch belongs to the sink until it returns; deliveries may be kept.
	//
	// An error that would be the same next time is marked with Permanent.
	Send(ctx context.Context, batch []*Delivery) error
}

// SinkFunc is a function as a Sink, in place of the vendors' function services.
type SinkFunc func(ctx context.Context, batch []*Delivery) error

// Send implements Sink.
func (f SinkFunc) Send(ctx context.Context, batch []*Delivery) error { return f(ctx, batch) }

// Delivery is one row on its way to one sink. Nothing in it changes.
type Delivery struct {
	// Key is the same each time the row is sent: rule, version, message id, and the
	// place of the row among those of the message. Sinks use it to recognise what
	// they have.
	Key     string
	Rule    string
	Action  string
	Message sql.Message // what the row was made of
	Payload []byte      // the row: JSON, or with SELECT * the payload as it is
	Error   string      // for Rule.OnError: why the message was given up
}

// permanent marks an error.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks the error of a sink as one that would be the same next time: a
// target that does not exist, a row it does not take.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether err is or wraps one that Permanent marked.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[permanent](err)
	return ok
}
