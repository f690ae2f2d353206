// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"context"
	"errors"
	"sync"

	"github.com/openalink/iot/store"
)

// ErrFull is what a batch gets that would grow the engine beyond WithMaxBytes.
// Deleting and Log.Trim make room.
var ErrFull = errors.New("mem: store is full")

// MaxValue is the largest value of a key or record, in bytes.
const MaxValue = 16 << 20

// maxCalls bounds the batches that are applied while their done waits for its
// turn. Submit blocks beyond it.
const maxCalls = 16384

// Engine is a store.Engine in memory. It is safe for concurrent use. Values are
// copied in and out.
//
// A batch is applied by Submit itself. Its done is called a little later from a
// goroutine of the engine that ends when nothing is left to call.
type Engine struct {
	mu         sync.RWMutex
	room       sync.Cond // on mu: calls became shorter, or delivery ended
	keys       *list
	streams    map[string]*stream
	revision   uint64
	size, max  int64
	calls      []call
	delivering bool
	closed     bool
}

type call struct {
	done func(error)
	err  error
}

var _ store.Engine = (*Engine)(nil)

// New returns an empty engine.
func New(options ...Option) *Engine {
	e := &Engine{keys: newList(), streams: make(map[string]*stream)}
	e.room.L = &e.mu
	for _, o := range options {
		o.apply(e)
	}
	return e
}

// Submit implements store.Committer. It blocks while 16384 batches wait for
// their done.
func (e *Engine) Submit(ctx context.Context, b *store.Batch, done func(error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.Validate(MaxValue); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.wait(ctx); err != nil {
		return err
	}
	e.calls = append(e.calls, call{done, e.apply(b)})
	if !e.delivering {
		e.delivering = true
		go e.deliver()
	}
	return nil
}

// wait returns when there is room for a call. The caller holds mu.
func (e *Engine) wait(ctx context.Context) error {
	if len(e.calls) >= maxCalls {
		stop := context.AfterFunc(ctx, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.room.Broadcast()
		})
		defer stop()
	}
	for len(e.calls) >= maxCalls && !e.closed {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.room.Wait()
	}
	if e.closed {
		return store.ErrClosed
	}
	return nil
}

// deliver calls done for all that was applied, in that order, and ends.
func (e *Engine) deliver() {
	var spare []call
	for {
		e.mu.Lock()
		calls := e.calls
		e.calls = spare[:0]
		e.delivering = len(calls) > 0
		e.room.Broadcast()
		e.mu.Unlock()
		if len(calls) == 0 {
			return
		}
		for _, c := range calls {
			c.done(c.err)
		}
		clear(calls)
		spare = calls
	}
}

// Close ends the engine and forgets what it held. It waits until every done was
// called, so done must not call it. Later calls of any method return
// store.ErrClosed; Close itself returns nil.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.room.Broadcast()
	for e.delivering {
		e.room.Wait()
	}
	e.keys, e.streams = newList(), make(map[string]*stream)
	return nil
}
