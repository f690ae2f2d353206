// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"iter"

	"github.com/openalink/iot/rules/sql"
)

// Message is a message as rules see it.
type Message = sql.Message

// Source is the message log of a platform as rules see it. *hub.Hub has one. It is
// safe for concurrent use.
type Source interface {
	// Read yields the entries whose offset is at least from, in order. At the end of
	// the log it waits for more when follow is set, and ends otherwise. Every entry
	// is yielded, but of its messages only those whose topic is wanted; an entry is
	// valid until the next one is asked for, its messages' payloads longer.
	Read(ctx context.Context, from uint64, wanted func(topic string) bool, follow bool) iter.Seq2[Entry, error]
	// End returns an offset above all entries there are.
	End(ctx context.Context) (uint64, error)
}

// Entry is a place in the log, and what rules see there: one message of a device may
// be several for rules, or none.
type Entry struct {
	Offset   uint64
	Messages []sql.Message
}
