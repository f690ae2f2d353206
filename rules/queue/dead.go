// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/internal/tokens"
	"github.com/openalink/iot/store"
)

// streamDead holds the dead letters, each under the ID of its group.
const streamDead = "queue.dead"

// Letter is a message no consumer was done with.
type Letter struct {
	Time      time.Time    `json:"time"` // when it was given up
	Group     string       `json:"group"`
	Tries     int          `json:"tries"`
	MessageID int64        `json:"messageId,string"`
	Topic     string       `json:"topic"`
	Device    iot.DeviceID `json:"device"`
	Arrived   time.Time    `json:"arrived"`
	Payload   []byte       `json:"payload"`
}

// bury makes a dead letter durable and lets the device go on. Until that succeeds
// the device waits.
func (g *group) bury(it *item) {
	value, err := json.Marshal(Letter{
		Time: time.Now(), Group: g.def.ID, Tries: it.tries, MessageID: it.ID, Topic: it.Topic, Device: it.Device, Arrived: it.Time, Payload: it.Payload,
	})
	for ctx := g.queues.ctx; ctx.Err() == nil; {
		var b store.Batch
		b.Append(streamDead, g.def.ID, time.Now(), value)
		if err == nil {
			err = store.Commit(ctx, g.queues.config.Store, &b)
		}
		if err == nil {
			break
		}
		g.queues.config.Logger.Error("queue: writing a dead letter", "group", g.def.ID, "messageId", it.ID, "error", err)
		err = nil
		_ = tokens.Sleep(ctx, time.Second) // the loop looks at ctx
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.holds(it) {
		g.counts.dead++
		g.finish(it)
	}
}

// DeadLetters yields the dead letters of a group, oldest first.
func (q *Queues) DeadLetters(ctx context.Context, id string) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		for rec, err := range q.config.Store.ReadKey(ctx, streamDead, id, 0, time.Time{}, time.Time{}) {
			var l Letter
			if err == nil {
				err = json.Unmarshal(rec.Value, &l)
			}
			if err != nil {
				err = fmt.Errorf("queue: dead letters of %s: %w", id, err)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// Trim removes dead letters older than before.
func (q *Queues) Trim(ctx context.Context, before time.Time) error {
	return q.config.Store.Trim(ctx, streamDead, before)
}
