// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/openalink/iot/internal/tokens"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/store"
)

// The errors of this package.
var (
	ErrInvalid      = errors.New("queue: invalid")
	ErrExists       = errors.New("queue: group exists")
	ErrUnknownGroup = errors.New("queue: no such group")
	ErrTooMany      = errors.New("queue: too many")
	ErrClosed       = errors.New("queue: closed")
	// ErrStale answers an answer to a message that is not the consumer's any more: it
	// was answered before, or waited too long and went on.
	ErrStale = errors.New("queue: the message is not yours any more")
)

// Config is what Queues are opened with.
type Config struct {
	// Source is the message log. Required.
	Source rules.Source
	// Store keeps groups, places and dead letters; it may be that of the platform:
	// keys begin with "queue/", the stream is "queue.dead". Required.
	Store store.Engine
	// AnswerWithin is how long a consumer may take for a message; zero means 30 s.
	AnswerWithin time.Duration
	// Tries is how often a message is given out before it becomes a dead letter; zero
	// means 16.
	Tries int
	// Window is how many messages of a group are in memory; zero means 1,000.
	Window int
	// Rate is how many messages a second all groups together get; zero means 1,000,
	// negative no bound.
	Rate int
	// FlushEvery is how often places are written down; zero means 1 s.
	FlushEvery time.Duration
	// Logger hears what no caller can be told; nil discards it.
	Logger *slog.Logger
}

// Queues are the consumer groups of a platform. They are safe for concurrent use.
type Queues struct {
	config Config
	rate   *tokens.Bucket
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu     sync.Mutex
	groups map[string]*group
	closed bool
}

// Open loads the groups that were created.
func Open(ctx context.Context, c Config) (*Queues, error) {
	if c.Source == nil || c.Store == nil {
		return nil, fmt.Errorf("%w: Source and Store are needed", ErrInvalid)
	}
	c.AnswerWithin = cmp.Or(c.AnswerWithin, 30*time.Second)
	c.Tries = cmp.Or(c.Tries, 16)
	c.Window = cmp.Or(c.Window, 1000)
	c.Rate = cmp.Or(c.Rate, 1000)
	c.FlushEvery = cmp.Or(c.FlushEvery, time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	q := &Queues{config: c, rate: tokens.New(c.Rate), groups: map[string]*group{}}
	for e, err := range c.Store.Range(ctx, groupKey(""), []byte("queue/group0")) {
		if err != nil {
			return nil, fmt.Errorf("queue: open: %w", err)
		}
		var g Group
		if err := json.Unmarshal(e.Value, &g); err != nil {
			return nil, fmt.Errorf("queue: open: group %q: %w", e.Key, err)
		}
		if err := q.load(ctx, g); err != nil {
			return nil, err
		}
	}
	q.ctx, q.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return q, nil
}

func groupKey(id string) []byte { return []byte("queue/group/" + id) }
func placeKey(id string) []byte { return []byte("queue/place/" + id) }

func (q *Queues) load(ctx context.Context, def Group) error {
	e, err := q.config.Store.Get(ctx, placeKey(def.ID))
	if err != nil {
		return fmt.Errorf("queue: open: place of group %s: %w", def.ID, err)
	}
	p, err := decodePlace(e.Value)
	if err != nil {
		return fmt.Errorf("queue: open: place of group %s: %w", def.ID, err)
	}
	q.groups[def.ID] = newGroup(q, def, p)
	return nil
}

// Create makes a group that begins with the messages that come from now on. The
// error wraps ErrInvalid, ErrExists, ErrTooMany or is the store's.
func (q *Queues) Create(ctx context.Context, def Group) error {
	if err := def.check(); err != nil {
		return err
	}
	def.Subscriptions = slices.Clone(def.Subscriptions)
	value, err := json.Marshal(def)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	end, err := q.config.Source.End(ctx)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case q.groups[def.ID] != nil:
		return fmt.Errorf("%w: %s", ErrExists, def.ID)
	case len(q.groups) >= MaxGroups:
		return fmt.Errorf("%w groups: allowed are %d", ErrTooMany, MaxGroups)
	}
	p := place{next: end}
	var b store.Batch
	b.Put(groupKey(def.ID), value)
	b.Put(placeKey(def.ID), p.encode())
	if err := store.Commit(ctx, q.config.Store, &b); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	q.groups[def.ID] = newGroup(q, def, p)
	return nil
}

// Delete removes a group and its place. Its consumers end. Its dead letters stay.
func (q *Queues) Delete(ctx context.Context, id string) error {
	g, err := q.find(id)
	if err != nil {
		return err
	}
	g.close(true)
	var b store.Batch
	b.Delete(groupKey(id))
	b.Delete(placeKey(id))
	if err := store.Commit(ctx, q.config.Store, &b); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.groups, id)
	return nil
}

// Groups lists the groups by ID.
func (q *Queues) Groups() []Group {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]Group, 0, len(q.groups))
	for _, g := range q.groups {
		out = append(out, g.def)
	}
	slices.SortFunc(out, func(a, b Group) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (q *Queues) find(id string) (*group, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	if g := q.groups[id]; g != nil {
		return g, nil
	}
	return nil, fmt.Errorf("%w: %.64q", ErrUnknownGroup, id)
}

// Close ends all consumers and writes places down.
func (q *Queues) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	all := q.groups
	q.mu.Unlock()
	var errs []error
	for _, g := range all {
		g.close(false)
	}
	q.cancel()
	q.wait.Wait()
	for _, g := range all {
		errs = append(errs, g.flush(context.Background()))
	}
	return errors.Join(errs...)
}
