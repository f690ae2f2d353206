// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/openalink/iot/internal/tokens"
	"github.com/openalink/iot/rules/sql"
	"github.com/openalink/iot/store"
)

// Config is what a Runner is opened with.
type Config struct {
	// Source is where messages come from. Required.
	Source Source
	// Store keeps places and dead letters; it may be that of the platform: keys begin
	// with "rules/", the stream is "rules.dead". Required.
	Store store.Engine
	// SQL are the options of statements.
	SQL sql.Options
	// Window is how many messages a rule may have under way; zero means 1,000.
	Window int
	// Rate is how many deliveries a second all rules together may make: AtLeastOnce
	// rules wait, BestEffort rules drop. Zero means 1,000, the documented limit of
	// data forwarding; negative means no bound.
	Rate int
	// MaxRules bounds the rules; zero means 1,000, the documented limit.
	MaxRules int
	// FlushEvery is how often places are written down: after a crash at most that
	// much is delivered twice. Zero means 1 s.
	FlushEvery time.Duration
	// Observe hears every outcome. It must not block nor call the runner; nil is fine.
	Observe func(Outcome)
	// Logger hears what no caller can be told; nil discards it.
	Logger *slog.Logger
}

// Runner runs rules. It is safe for concurrent use.
type Runner struct {
	config Config
	rate   *tokens.Bucket
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	set    sql.Set[*running]

	// changes is held while rules begin and end and while places are written: then
	// tail.mu or mu, then running.mu.
	changes sync.Mutex
	closed  bool
	flushed uint64 // the common reading as it is stored

	mu    sync.Mutex // of rules
	rules map[string]*running

	tail tail
}

// Open starts a runner without rules.
func Open(ctx context.Context, c Config) (*Runner, error) {
	if c.Source == nil || c.Store == nil {
		return nil, fmt.Errorf("%w: a runner needs Source and Store", ErrInvalid)
	}
	c.Window = cmp.Or(c.Window, 1000)
	c.Rate = cmp.Or(c.Rate, 1000)
	c.MaxRules = cmp.Or(c.MaxRules, MaxRules)
	c.FlushEvery = cmp.Or(c.FlushEvery, time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	end, err := c.Source.End(ctx)
	if err != nil {
		return nil, fmt.Errorf("rules: open: %w", err)
	}
	r := &Runner{config: c, rate: tokens.New(c.Rate), rules: map[string]*running{}}
	r.tail.next = end
	if err := r.resolve(ctx); err != nil {
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.wait.Go(r.follow)
	r.wait.Go(r.flushNowAndThen)
	return r, nil
}

// Put starts a rule, in place of the one of its ID if there is one. An AtLeastOnce
// rule goes on where one of its ID was last, or begins with what comes after Put.
// The error is an *sql.Error, ErrInvalid, ErrTooMany, or the store's.
func (r *Runner) Put(ctx context.Context, rule Rule) error {
	rule.Actions = slices.Clone(rule.Actions)
	if rule.OnError != nil {
		own := *rule.OnError
		rule.OnError = &own
	}
	if err := rule.check(); err != nil {
		return err
	}
	st, err := sql.Compile(rule.SQL, r.config.SQL)
	if err != nil {
		return fmt.Errorf("rules: rule %s: %w", rule.ID, err)
	}
	r.changes.Lock()
	defer r.changes.Unlock()
	if r.closed {
		return ErrClosed
	}
	if err := r.makeRoom(ctx, rule.ID); err != nil {
		return err
	}
	ru := r.newRunning(rule, st)
	if err := r.start(ctx, ru); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules[rule.ID] = ru
	return nil
}

// makeRoom ends the rule that a new one replaces.
func (r *Runner) makeRoom(ctx context.Context, id string) error {
	if old, err := r.find(id); err == nil {
		return r.halt(ctx, old)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rules) >= r.config.MaxRules {
		return fmt.Errorf("%w: allowed are %d", ErrTooMany, r.config.MaxRules)
	}
	return nil
}

func (r *Runner) newRunning(rule Rule, st *sql.Statement) *running {
	ru := &running{runner: r, rule: rule, statement: st}
	ru.ctx, ru.stop = context.WithCancel(r.ctx)
	for _, a := range rule.Actions {
		ru.actions = append(ru.actions, newAction(a, ru))
	}
	if rule.OnError != nil {
		ru.onError = newAction(*rule.OnError, ru)
		ru.onError.Lanes = 1
	}
	return ru
}

// start puts a rule where it was, or at the end.
func (r *Runner) start(ctx context.Context, ru *running) error {
	var known bool
	var err error
	if ru.rule.Mode == AtLeastOnce {
		if ru.next, known, err = r.storedPlace(ctx, ru.rule.ID); err != nil {
			return err
		}
	}
	if !known {
		if ru.next, err = r.config.Source.End(ctx); err != nil {
			return fmt.Errorf("rules: rule %s: %w", ru.rule.ID, err)
		}
	}
	switch {
	case ru.rule.Mode == BestEffort:
		r.tail.join(r, ru)
		return nil
	case !known:
		// The place is durable before the first message counts.
		r.tail.join(r, ru)
		if err := r.flush(ctx, ru); err != nil {
			r.tail.leave(r, ru)
			ru.stop()
			return err
		}
		return nil
	}
	ru.start(ru.catchUp)
	return nil
}

// halt ends a rule, waits for its calls to return and writes its place down.
func (r *Runner) halt(ctx context.Context, ru *running) error {
	r.tail.leave(r, ru)
	ru.stop()
	ru.wait.Wait()
	if ru.rule.Mode != AtLeastOnce {
		return nil
	}
	return r.flush(ctx)
}

// Stop ends a rule and keeps its place: an AtLeastOnce rule that is put again goes
// on from there.
func (r *Runner) Stop(ctx context.Context, id string) error {
	r.changes.Lock()
	defer r.changes.Unlock()
	return r.end(ctx, id)
}

// Remove ends a rule and forgets its place. Its dead letters stay.
func (r *Runner) Remove(ctx context.Context, id string) error {
	r.changes.Lock()
	defer r.changes.Unlock()
	if err := r.end(ctx, id); err != nil {
		return err
	}
	var b store.Batch
	b.Delete(placeKey(id))
	return store.Commit(ctx, r.config.Store, &b)
}

func (r *Runner) end(ctx context.Context, id string) error {
	if r.closed {
		return ErrClosed
	}
	ru, err := r.find(id)
	if err != nil {
		return err
	}
	if err := r.halt(ctx, ru); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rules, id)
	return nil
}

// find returns a rule that runs.
func (r *Runner) find(id string) (*running, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ru := r.rules[id]; ru != nil {
		return ru, nil
	}
	return nil, fmt.Errorf("%w: %.64q", ErrUnknownRule, id)
}

// Rules lists what runs, by ID.
func (r *Runner) Rules() []Rule {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Rule, 0, len(r.rules))
	for _, ru := range r.rules {
		out = append(out, ru.rule)
	}
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Stats returns the counters of a rule.
func (r *Runner) Stats(id string) (Stats, error) {
	ru, err := r.find(id)
	if err != nil {
		return Stats{}, err
	}
	s := ru.account.read()
	place, synced := ru.place()
	ru.mu.Lock()
	s.Pending, s.Behind = len(ru.window), !ru.synced
	ru.mu.Unlock()
	if s.Next = place; synced {
		s.Next = r.tail.at()
	}
	return s, nil
}

// Explain says what a rule would make of m, and why. Nothing is sent.
func (r *Runner) Explain(id string, m *sql.Message) (sql.Explanation, error) {
	ru, err := r.find(id)
	if err != nil {
		return sql.Explanation{}, err
	}
	return ru.statement.Explain(m), nil
}

// Close ends all rules, writes their places down and waits for calls of sinks to
// return. AtLeastOnce rules go on when they are put into another runner.
func (r *Runner) Close() error {
	r.changes.Lock()
	defer r.changes.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.cancel()
	// The goroutine that writes places down may be waiting for changes.
	r.changes.Unlock()
	r.wait.Wait()
	r.changes.Lock()
	return r.flush(context.Background())
}
