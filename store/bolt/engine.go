// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	bbolt "go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"

	"github.com/openalink/iot/store"
)

// ErrFailed is wrapped by the error of a commit the disk did not take, and of
// every call after it. Only opening the file again helps.
var ErrFailed = errors.New("bolt: store has failed")

// Engine is a store.Engine in one file. It is safe for concurrent use.
//
// It runs three goroutines: the committer writes groups, the deliverer calls
// back, the indexer builds the index of complete segments. All end with Close.
type Engine struct {
	db      *bbolt.DB
	log     *slog.Logger
	options Options
	queue   *queue
	failed  atomic.Pointer[error]
	commit  func(*bbolt.Tx) error // (*bbolt.Tx).Commit, unless a test looks on

	writer  *writer // of the committer
	indexer *indexer
	stats   stats

	close    sync.Once
	closed   atomic.Bool
	closeErr error
	running  sync.WaitGroup // committer and deliverer
}

var _ store.Engine = (*Engine)(nil)

func (e *Engine) start() {
	delivery := make(chan []item, 1)
	spare := make(chan []item, 4)
	e.running.Go(func() { e.commitGroups(delivery, spare) })
	e.running.Go(func() { e.deliver(delivery, spare) })
	e.indexer.start()
}

// Submit implements store.Committer. It blocks while Options.MaxQueue operations
// wait. From inside done it must not block: nothing drains the queue then.
func (e *Engine) Submit(ctx context.Context, b *store.Batch, done func(error)) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	if err := b.Validate(MaxValue); err != nil {
		return err
	}
	ops, size := weigh(b)
	return e.queue.add(ctx, item{batch: b, done: done}, ops, ops+size>>12)
}

// weigh returns the operations of b, at least 1, and the bytes of its values.
func weigh(b *store.Batch) (ops, size int) {
	for i := range b.Writes {
		size += len(b.Writes[i].Value)
	}
	for i := range b.Appends {
		size += len(b.Appends[i].Value)
	}
	return max(1, len(b.Writes)+len(b.Appends)), size
}

// do has the committer run task in one of its groups and waits for the commit.
func (e *Engine) do(ctx context.Context, task func(*bbolt.Tx) error) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	result := make(chan error, 1)
	if err := e.queue.add(ctx, item{task: task, done: func(err error) { result <- err }}, 1, 1); err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ready returns why no call can be served, or nil.
func (e *Engine) ready(ctx context.Context) error {
	if e.closed.Load() {
		return store.ErrClosed
	}
	if err := e.failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}

// fail makes the engine refuse everything from now on.
func (e *Engine) fail(cause error) error {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	if e.failed.CompareAndSwap(nil, &err) {
		e.log.Error("store has failed; open it again", "path", e.db.Path(), "error", cause)
	}
	return err
}

// view runs read in a read transaction. It must be short: the writer cannot
// reuse pages meanwhile. bbolt panics over damaged pages; that becomes an error,
// for the rest of the file may be fine.
func (e *Engine) view(ctx context.Context, read func(*bbolt.Tx) error) (err error) {
	if err := e.ready(ctx); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	err = e.db.View(read)
	if errors.Is(err, bberrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	return err
}

// Close commits what was submitted, calls back and closes the file. It waits for
// every done, so done must not call it. Calls after it return store.ErrClosed,
// another Close what the first one returned.
func (e *Engine) Close() error {
	e.close.Do(func() {
		e.closed.Store(true)
		e.indexer.stop()
		e.queue.close()
		e.running.Wait()
		e.closeErr = e.closeFile()
	})
	return e.closeErr
}

// closeFile writes the list of free pages, so that the next Open need not walk
// the file for them, and closes it.
func (e *Engine) closeFile() error {
	var err error
	if e.failed.Load() == nil {
		e.db.NoFreelistSync = false
		err = e.db.Update(func(*bbolt.Tx) error { return nil })
	}
	if err = errors.Join(err, e.db.Close()); err != nil {
		return fmt.Errorf("bolt: close: %w", err)
	}
	return nil
}
