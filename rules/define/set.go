// SPDX-License-Identifier: Apache-2.0

package define

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/store"
)

// Set keeps definitions in a store and runs them. It is safe for concurrent use.
type Set struct {
	runner *rules.Runner
	store  store.Engine
	kinds  map[string]Kind

	mu    sync.Mutex
	rules map[string]*defined
}

type defined struct {
	Definition
	built *built // nil when it could not be built
	err   error
}

func key(id string) []byte { return []byte("rules/definition/" + id) }

// Open loads the definitions of earlier runs and starts their rules. One that does
// not become a rule any more, because its target is gone, is kept and listed with
// its error.
func Open(ctx context.Context, runner *rules.Runner, st store.Engine, kinds map[string]Kind) (*Set, error) {
	s := &Set{runner: runner, store: st, kinds: kinds, rules: map[string]*defined{}}
	for e, err := range st.Range(ctx, key(""), []byte("rules/definition0")) {
		if err != nil {
			return nil, fmt.Errorf("define: %w", err)
		}
		var d Definition
		if err := json.Unmarshal(e.Value, &d); err != nil {
			return nil, fmt.Errorf("define: %q: %w", e.Key, err)
		}
		x := &defined{Definition: d}
		if x.built, x.err = build(d, kinds); x.err == nil {
			x.err = runner.Put(ctx, x.built.rule)
		}
		s.rules[d.ID] = x
	}
	return s, nil
}

// Put starts a rule in place of the one of its ID, and keeps its definition. The
// error is ErrInvalid, one of package rules, or the store's; then the rule there was
// goes on.
func (s *Set) Put(ctx context.Context, d Definition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.rules[d.ID]
	b, err := build(d, s.kinds)
	if err != nil {
		return err
	}
	value, err := json.Marshal(d)
	if err != nil {
		return errors.Join(fmt.Errorf("define: %w", err), b.close())
	}
	if err := s.runner.Put(ctx, b.rule); err != nil {
		return errors.Join(err, b.close())
	}
	s.rules[d.ID] = &defined{Definition: d, built: b}
	var batch store.Batch
	batch.Put(key(d.ID), value)
	err = store.Commit(ctx, s.store, &batch)
	if old != nil && old.built != nil {
		err = errors.Join(err, old.built.close())
	}
	return err
}

// Remove ends a rule and forgets it.
func (s *Set) Remove(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.rules[id]
	if x == nil {
		return fmt.Errorf("%w: %.64q", rules.ErrUnknownRule, id)
	}
	var batch store.Batch
	batch.Delete(key(id))
	if err := store.Commit(ctx, s.store, &batch); err != nil {
		return fmt.Errorf("define: %w", err)
	}
	delete(s.rules, id)
	err := s.runner.Remove(ctx, id)
	if errors.Is(err, rules.ErrUnknownRule) {
		err = nil // it never started
	}
	if x.built != nil {
		err = errors.Join(err, x.built.close())
	}
	return err
}

// Entry is a definition and whether it runs.
type Entry struct {
	Definition
	Error string `json:"error,omitempty"` // why it does not run
}

// Entries lists the definitions by ID. Passwords, tokens and keys in them are
// hidden: to change a rule, put it whole.
func (s *Set) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Entry, 0, len(s.rules))
	for _, x := range s.rules {
		e := Entry{Definition: redacted(x.Definition)}
		if x.err != nil {
			e.Error = x.err.Error()
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Runner returns what runs the rules.
func (s *Set) Runner() *rules.Runner { return s.runner }

// Close closes the sinks. Close the runner first: it waits for their calls.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, x := range s.rules {
		if x.built != nil {
			errs = append(errs, x.built.close())
		}
	}
	return errors.Join(errs...)
}
