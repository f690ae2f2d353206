// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// Interval sums up the values a property had in a stretch of time.
type Interval struct {
	Identifier string          `json:"identifier"`
	Start      time.Time       `json:"start"`
	Count      int             `json:"count"` // of values
	Last       json.RawMessage `json:"last"`  // the latest by time
	// Min, Max and Avg are over the values that are numbers; nil without any.
	Min *float64 `json:"min,omitempty"`
	Max *float64 `json:"max,omitempty"`
	Avg *float64 `json:"avg,omitempty"`

	lastAt  time.Time
	sum     float64
	numbers int
}

// maxIntervals is how many intervals one query may give.
const maxIntervals = 10_000

// Downsample sums up the history of properties in intervals of the length given,
// counted from the epoch, at least a second. Intervals without a value are left
// out; the others come by identifier and time. Errors are those of History, and
// ErrTooMany beyond 10,000 intervals.
func (h *Hub) Downsample(ctx context.Context, q HistoryQuery, every time.Duration) ([]Interval, error) {
	if every < time.Second {
		return nil, fmt.Errorf("%w: interval %v, at least 1s", ErrInvalid, every)
	}
	type key struct {
		identifier string
		start      int64
	}
	all := make(map[key]*Interval)
	q.Kind = PropertyHistory
	for s, err := range h.History(ctx, q) {
		if err != nil {
			return nil, err
		}
		start := s.Time.UnixNano() - mod(s.Time.UnixNano(), int64(every))
		k := key{s.Identifier, start}
		if all[k] == nil {
			if len(all) == maxIntervals {
				return nil, fmt.Errorf("%w intervals, at most %d: ask for less or longer ones", ErrTooMany, maxIntervals)
			}
			all[k] = &Interval{Identifier: s.Identifier, Start: time.Unix(0, start).UTC()}
		}
		all[k].add(&s)
	}
	out := make([]Interval, 0, len(all))
	for _, i := range all {
		out = append(out, *i)
	}
	slices.SortFunc(out, func(a, b Interval) int {
		return cmp.Or(cmp.Compare(a.Identifier, b.Identifier), a.Start.Compare(b.Start))
	})
	return out, nil
}

// mod is the remainder that is never negative.
func mod(a, n int64) int64 { return (a%n + n) % n }

func (i *Interval) add(s *Sample) {
	i.Count++
	if !s.Time.Before(i.lastAt) {
		i.Last, i.lastAt = s.Value, s.Time
	}
	var v float64
	if json.Unmarshal(s.Value, &v) != nil || math.IsNaN(v) {
		return
	}
	if i.numbers == 0 {
		i.Min, i.Max, i.Avg = new(v), new(v), new(v)
	}
	i.numbers++
	i.sum += v
	*i.Min, *i.Max, *i.Avg = min(*i.Min, v), max(*i.Max, v), i.sum/float64(i.numbers)
}
