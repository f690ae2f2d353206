// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	iot "github.com/openalink/iot"
)

// LogQuery selects log entries. Zero fields select all.
type LogQuery struct {
	Device    iot.DeviceID // with an empty Name a product
	MessageID int64
	Kind      LogKind
	Status    Status
	Since     time.Time // inclusive
	Until     time.Time // exclusive
	After     string    // Cursor of an entry: only later ones
}

func (q *LogQuery) matches(e *LogEntry) bool {
	return (q.MessageID == 0 || q.MessageID == e.MessageID) &&
		(q.Kind == "" || q.Kind == e.Kind) && (q.Status == "" || q.Status == e.Status)
}

// Logged is a log entry read back.
type Logged struct {
	LogEntry
	Cursor string `json:"-"` // where to go on, for LogQuery.After
}

// Logs yields the entries kept by the default sink in order of time, successful
// publishing derived from the message log included. With a sink of the
// embedder's it yields the latter only.
func (h *Hub) Logs(ctx context.Context, q LogQuery) iter.Seq2[Logged, error] {
	return func(yield func(Logged, error) bool) {
		pos, err := parseLogCursor(q.After)
		if err != nil {
			yield(Logged{}, err)
			return
		}
		if s, ok := h.sink.(*storeSink); ok {
			s.flush()
		}
		stored, stopStored := iter.Pull2(h.storedEntries(ctx, q, pos[0]))
		defer stopStored()
		derived, stopDerived := iter.Pull2(h.derivedEntries(ctx, q, pos[1]))
		defer stopDerived()
		a, errA, okA := stored()
		b, errB, okB := derived()
		for okA || okB {
			if err := firstError(errA, errB); err != nil {
				yield(Logged{}, err)
				return
			}
			first := okA && (!okB || !b.entry.Time.Before(a.entry.Time))
			e := b.entry
			if first {
				e = a.entry
				pos[0] = a.offset
			} else {
				pos[1] = b.offset
			}
			if q.matches(&e) && !yield(Logged{e, fmt.Sprintf("%d.%d", pos[0], pos[1])}, nil) {
				return
			}
			if first {
				a, errA, okA = stored()
			} else {
				b, errB, okB = derived()
			}
		}
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// parseLogCursor returns the offsets behind which the two streams go on.
func parseLogCursor(s string) (pos [2]uint64, err error) {
	if s == "" {
		return pos, nil
	}
	a, b, _ := strings.Cut(s, ".")
	for i, part := range []string{a, b} {
		next, err := parseCursor(part)
		if err != nil || next == 0 {
			return pos, fmt.Errorf("%w: cursor %.48q", ErrInvalid, s)
		}
		pos[i] = next - 1
	}
	return pos, nil
}

type placed struct {
	entry  LogEntry
	offset uint64
}

func (h *Hub) storedEntries(ctx context.Context, q LogQuery, after uint64) iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		sel := MessageQuery{Device: q.Device, Since: q.Since, Until: q.Until}
		for rec, err := range h.read(ctx, streamLogs, sel, after+1) {
			var e LogEntry
			if err == nil && !sel.matches(rec) {
				continue
			}
			if err == nil {
				err = decodeJSON(rec.Value, &e)
			}
			if !yield(placed{e, rec.Offset}, err) || err != nil {
				return
			}
		}
	}
}

func (h *Hub) derivedEntries(ctx context.Context, q LogQuery, after uint64) iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		if q.Kind != "" && q.Kind != Upstream || q.Status == Failure {
			return
		}
		sel := MessageQuery{Device: q.Device, Since: q.Since, Until: q.Until}
		for rec, err := range h.read(ctx, streamMessages, sel, after+1) {
			var m Message
			if err == nil && !sel.matches(rec) {
				continue
			}
			if err == nil {
				m, err = decodeMessage(rec)
			}
			if m.Platform {
				continue
			}
			e := LogEntry{
				Time: m.Time, MessageID: m.ID, Device: m.Device, Via: m.Via, Kind: Upstream,
				Operation: OpPublish, Status: Success, Topic: m.Topic,
			}
			if !yield(placed{e, rec.Offset}, err) || err != nil {
				return
			}
		}
	}
}
