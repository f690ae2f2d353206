// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync"
	"sync/atomic"
)

// news wakes those who follow the message log. Telling costs one atomic load
// while nobody follows.
type news struct {
	waiting atomic.Bool
	mu      sync.Mutex
	next    chan struct{}
}

// wait returns a channel that is closed at the next commit; nil when not wanted.
func (n *news) wait(wanted bool) <-chan struct{} {
	if !wanted {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == nil {
		n.next = make(chan struct{})
		n.waiting.Store(true)
	}
	return n.next
}

func (n *news) tell() {
	if !n.waiting.Load() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next != nil {
		close(n.next)
		n.next = nil
		n.waiting.Store(false)
	}
}
