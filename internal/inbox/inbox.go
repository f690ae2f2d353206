// SPDX-License-Identifier: Apache-2.0

// Package inbox hands a device's messages from a transport to their receiver,
// one at a time and in order, on a goroutine of its own.
package inbox

import (
	"sync"

	iot "github.com/openalink/iot"
)

// Inbox is a bounded queue of messages and the goroutine that empties it.
type Inbox struct {
	recv   func(iot.Message)
	queue  chan iot.Message
	reader sync.WaitGroup
	once   sync.Once
	done   chan struct{}
}

// New starts an inbox for size messages.
func New(size int, recv func(iot.Message)) *Inbox {
	b := &Inbox{recv: recv, queue: make(chan iot.Message, size), done: make(chan struct{})}
	b.reader.Go(b.read)
	return b
}

// Put waits for room and adds m, unless the inbox ended.
func (b *Inbox) Put(m iot.Message) {
	select {
	case b.queue <- m:
	case <-b.done:
	}
}

// TryPut adds m if there is room and reports whether it did.
func (b *Inbox) TryPut(m iot.Message) bool {
	select {
	case b.queue <- m:
		return true
	default:
		return false
	}
}

// Done is closed when the inbox ended.
func (b *Inbox) Done() <-chan struct{} { return b.done }

// End lets the goroutine hand over what is there, as a socket would, and stop. It
// does not wait, and reports whether it was the first to end the inbox.
func (b *Inbox) End() (first bool) {
	b.once.Do(func() {
		first = true
		close(b.done)
	})
	return first
}

// Wait returns when the goroutine stopped. It must not be called from recv.
func (b *Inbox) Wait() { b.reader.Wait() }

func (b *Inbox) read() {
	for {
		select {
		case m := <-b.queue:
			b.recv(m)
		case <-b.done:
			b.rest()
			return
		}
	}
}

func (b *Inbox) rest() {
	for {
		select {
		case m := <-b.queue:
			b.recv(m)
		default:
			return
		}
	}
}
