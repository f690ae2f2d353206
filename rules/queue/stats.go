// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"context"
	"fmt"
)

// Stats tell where a group is.
type Stats struct {
	Consumers  int    `json:"consumers"`
	Place      uint64 `json:"place"`      // everything of the log below is done
	Lag        uint64 `json:"lag"`        // entries of the log from there to its end, those of others included
	Waiting    int    `json:"waiting"`    // messages in memory that nobody has
	Unanswered int    `json:"unanswered"` // messages consumers have
	Delivered  uint64 `json:"delivered"`  // messages given out in this run, again ones included
	Again      uint64 `json:"again"`      // of these, given back or not answered in time
	Dead       uint64 `json:"dead"`       // given up in this run
}

// Stats returns where a group is. The error wraps ErrUnknownGroup.
func (q *Queues) Stats(ctx context.Context, id string) (Stats, error) {
	g, err := q.find(id)
	if err != nil {
		return Stats{}, err
	}
	end, err := q.config.Source.End(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("queue: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Consumers: len(g.consumers), Place: g.where().next, Delivered: g.counts.delivered, Again: g.counts.again, Dead: g.counts.dead}
	s.Lag = max(end, s.Place) - s.Place
	for c := range g.consumers {
		s.Unanswered += len(c.out)
	}
	for _, l := range g.lines {
		s.Waiting += len(l.items)
	}
	s.Waiting -= s.Unanswered
	return s, nil
}
