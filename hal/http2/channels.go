// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"sync"

	"github.com/openalink/iot/hal"
)

// channels are the open connections of a Handler.
type channels struct {
	mu     sync.Mutex
	all    map[string]*channel
	closed bool
	empty  chan struct{} // closed when closed and empty
}

func (l *channels) init() {
	l.all, l.empty = map[string]*channel{}, make(chan struct{})
}

func (l *channels) add(c *channel) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.all[c.id] = c
	}
	return !l.closed
}

func (l *channels) find(id string) *channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[id]
}

func (l *channels) remove(c *channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, c.id)
	if l.closed && len(l.all) == 0 {
		close(l.empty)
	}
}

// shutdown ends all and waits for them.
func (l *channels) shutdown(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed && len(l.all) == 0 {
		close(l.empty)
	}
	l.closed = true
	all := make([]*channel, 0, len(l.all))
	for _, c := range l.all {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		c.Close(hal.CauseServerStop)
	}
	select {
	case <-l.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
