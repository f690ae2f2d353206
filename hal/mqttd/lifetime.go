// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"context"
	"time"
)

// lifetime is a conn as the context of the calls made for it: it ends with the
// connection. A connection that never blocks pays nothing for it.
type lifetime conn

var _ context.Context = (*lifetime)(nil)

func (l *lifetime) Deadline() (time.Time, bool) { return time.Time{}, false }

func (l *lifetime) Value(any) any { return nil }

func (l *lifetime) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over == nil {
		l.over = make(chan struct{})
		if l.closed {
			close(l.over)
		}
	}
	return l.over
}

func (l *lifetime) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return context.Canceled
	}
	return nil
}
