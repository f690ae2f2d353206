// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/sql"
	"github.com/openalink/iot/store"
)

// streamDead holds the dead letters, each under the ID of its rule.
const streamDead = "rules.dead"

// Letter is a delivery that was given up.
type Letter struct {
	Time     time.Time    `json:"time"`
	Key      string       `json:"key"`
	Rule     string       `json:"rule"`
	Action   string       `json:"action"`
	Error    string       `json:"error"`
	Attempts int          `json:"attempts"`
	Message  LetterSource `json:"message"`
	Payload  []byte       `json:"payload"` // what was to be sent
	Offset   uint64       `json:"-"`
}

// LetterSource is the message a dead letter was made of.
type LetterSource struct {
	ID      int64        `json:"id,string"`
	Topic   string       `json:"topic"`
	Device  iot.DeviceID `json:"device"`
	Time    time.Time    `json:"time"`
	QoS     iot.QoS      `json:"qos"`
	Payload []byte       `json:"payload"`
}

// bury makes a dead letter durable.
func (r *Runner) bury(ctx context.Context, d *Delivery, attempts int) error {
	m := &d.Message
	value, err := json.Marshal(Letter{
		Time: time.Now(), Key: d.Key, Rule: d.Rule, Action: d.Action, Error: d.Error, Attempts: attempts, Payload: d.Payload,
		Message: LetterSource{m.ID, m.Topic, m.Device, m.Time, m.QoS, m.Payload},
	})
	if err != nil {
		return fmt.Errorf("rules: dead letter: %w", err)
	}
	var b store.Batch
	b.Append(streamDead, d.Rule, time.Now(), value)
	return store.Commit(ctx, r.config.Store, &b)
}

func deadKey(rule string) []byte { return []byte("rules/dead/" + rule) }

// deadFrom returns where the dead letters of a rule begin.
func (r *Runner) deadFrom(ctx context.Context, rule string) (uint64, error) {
	e, err := r.config.Store.Get(ctx, deadKey(rule))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("rules: dead letters: %w", err)
	}
	return decodePlace(e.Value)
}

// DeadLetters yields the dead letters of a rule, oldest first, also of one that
// does not run.
func (r *Runner) DeadLetters(ctx context.Context, rule string) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		from, err := r.deadFrom(ctx, rule)
		if err != nil {
			yield(Letter{}, err)
			return
		}
		for rec, err := range r.config.Store.ReadKey(ctx, streamDead, rule, from, time.Time{}, time.Time{}) {
			var l Letter
			if err == nil {
				err = json.Unmarshal(rec.Value, &l)
			}
			if l.Offset = rec.Offset; !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// Replay sends the dead letters of a rule that runs to their actions again, oldest
// first, and takes those that were taken off the list. It stops at the first that
// fails and returns its error. A letter whose action is no more goes to the first
// one.
func (r *Runner) Replay(ctx context.Context, rule string) (sent int, err error) {
	ru, err := r.find(rule)
	if err != nil {
		return 0, err
	}
	for l, err := range r.DeadLetters(ctx, rule) {
		if err != nil {
			return sent, err
		}
		if err := ru.resend(ctx, &l); err != nil {
			return sent, fmt.Errorf("rules: replay of %s: %w", l.Key, err)
		}
		if err := r.Discard(ctx, rule, l.Offset); err != nil {
			return sent, err
		}
		sent++
	}
	return sent, nil
}

// Discard takes the dead letters of a rule up to an offset off the list.
func (r *Runner) Discard(ctx context.Context, rule string, offset uint64) error {
	var b store.Batch
	b.Put(deadKey(rule), encodePlace(offset+1))
	return store.Commit(ctx, r.config.Store, &b)
}

// Trim removes dead letters older than before for good.
func (r *Runner) Trim(ctx context.Context, before time.Time) error {
	return r.config.Store.Trim(ctx, streamDead, before)
}

func (ru *running) resend(ctx context.Context, l *Letter) error {
	a := ru.actions[0]
	for _, other := range ru.actions {
		if other.Name == l.Action {
			a = other
		}
	}
	d := &Delivery{
		Key: l.Key, Rule: l.Rule, Action: a.Name, Payload: l.Payload,
		Message: sql.Message{ID: l.Message.ID, Topic: l.Message.Topic, Device: l.Message.Device, Time: l.Message.Time, QoS: l.Message.QoS, Payload: l.Message.Payload},
	}
	start := time.Now()
	if err := a.call(ctx, []*parcel{{Delivery: d}}); err != nil {
		return err
	}
	ru.tell(d, Delivered, nil, time.Since(start))
	return nil
}
