// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/store"
)

// Platform is what scenes look at and act on. Hub.ForScenes is one. An error that
// would be the same next time is marked with rules.Permanent.
type Platform interface {
	// Latest returns the latest value of a property as JSON, nil when there is none.
	Latest(ctx context.Context, id iot.DeviceID, property string) ([]byte, error)
	// Set asks a device to set properties: items is an object of identifiers and
	// values.
	Set(ctx context.Context, id iot.DeviceID, items []byte) error
	// Invoke calls a service with an object of arguments.
	Invoke(ctx context.Context, id iot.DeviceID, service string, args []byte) error
}

// Config is what a Set is opened with.
type Config struct {
	// Runner runs the rules of triggers. It belongs to the caller, who closes it after
	// the set. Required.
	Runner *rules.Runner
	// Store keeps scenes and alarms; it may be that of the platform: keys begin with
	// "rules/scene/", the stream is "rules.alarms". Required.
	Store    store.Engine
	Platform Platform // required
	// Location is the zone of timetables and windows that name none; nil is UTC.
	Location *time.Location
	// OnAlarm hears every alarm once it is kept. It must not block; nil is fine.
	OnAlarm func(Alarm)
	// Observe hears every outcome. It must not block; nil is fine.
	Observe func(Outcome)
	// Logger hears what no caller can be told; nil discards it.
	Logger *slog.Logger
}

// Set keeps scenes in a store and runs them. It is safe for concurrent use.
type Set struct {
	config Config
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	wake   chan struct{} // capacity 1: the timetable changed

	// changes is held while scenes are put and removed. mu is taken inside it, and
	// never while the runner is called: its rules look scenes up.
	changes sync.Mutex
	closed  bool

	mu     sync.Mutex
	scenes map[string]*entry
}

// entry is a scene in a set.
type entry struct {
	scene    Scene
	compiled *compiled // nil when it does not run
	err      error

	// Guarded by Set.mu.
	next    []time.Time // of the triggers by time
	running bool        // by time
	account account
}

func key(id string) []byte { return []byte("rules/scene/" + id) }

// ruleID names the rule of the n-th trigger that waits for messages, from 1 on.
func ruleID(id string, n int) string {
	if n == 1 {
		return "scene." + id
	}
	return "scene." + id + "." + strconv.Itoa(n)
}

// Open loads the scenes of earlier runs and starts them. One that cannot run any
// more is kept and listed with its error.
func Open(ctx context.Context, c Config) (*Set, error) {
	if c.Runner == nil || c.Store == nil || c.Platform == nil {
		return nil, fmt.Errorf("%w: a set needs Runner, Store and Platform", ErrInvalid)
	}
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Set{config: c, scenes: map[string]*entry{}, wake: make(chan struct{}, 1)}
	for e, err := range c.Store.Range(ctx, key(""), []byte("rules/scene0")) {
		if err != nil {
			return nil, fmt.Errorf("scene: %w", err)
		}
		var sc Scene
		if err := json.Unmarshal(e.Value, &sc); err != nil {
			return nil, fmt.Errorf("scene: %q: %w", e.Key, err)
		}
		x := &entry{scene: sc}
		x.compiled, x.err = sc.compile(c.Location)
		s.scenes[sc.ID] = x
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, x := range s.scenes {
		if x.err == nil {
			x.err = s.startRules(ctx, x)
		}
	}
	s.wait.Go(s.keepTime)
	return s, nil
}

// Put starts a scene, in place of the one of its ID, and keeps it. The error is an
// *sql.Error, ErrInvalid, ErrUnknownScene for a scene in it, ErrTooMany, one of
// package rules, or the store's; then the scene there was goes on.
func (s *Set) Put(ctx context.Context, sc Scene) error {
	c, err := sc.compile(s.config.Location)
	if err != nil {
		return fmt.Errorf("scene %.64q: %w", sc.ID, err)
	}
	value, err := json.Marshal(sc)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	if s.closed {
		return ErrClosed
	}
	old := s.find(sc.ID)
	if err := s.fits(c, old == nil); err != nil {
		return err
	}
	x := &entry{scene: sc, compiled: c}
	if err := s.startRules(ctx, x); err != nil {
		return errors.Join(err, s.restore(ctx, sc.ID, old))
	}
	var b store.Batch
	b.Put(key(sc.ID), value)
	if err := store.Commit(ctx, s.config.Store, &b); err != nil {
		return errors.Join(fmt.Errorf("scene: %w", err), s.restore(ctx, sc.ID, old))
	}
	s.mu.Lock()
	s.scenes[sc.ID] = x
	s.mu.Unlock()
	s.stir()
	return nil
}

// restore brings the rules of a scene back after a change that failed.
func (s *Set) restore(ctx context.Context, id string, old *entry) error {
	if old == nil || old.compiled == nil {
		old = &entry{scene: Scene{ID: id}, compiled: &compiled{Scene: Scene{ID: id}}}
	}
	return s.startRules(context.WithoutCancel(ctx), old)
}

// startRules puts the rules of a scene and removes those it has no more.
func (s *Set) startRules(ctx context.Context, x *entry) error {
	k := &sink{set: s, e: x}
	n := 0
	for _, st := range x.compiled.starts {
		if st.sql == "" {
			continue
		}
		n++
		err := s.config.Runner.Put(ctx, rules.Rule{
			ID: ruleID(x.scene.ID, n), SQL: st.sql, Mode: x.compiled.mode,
			Actions: []rules.Action{{Name: "scene", Sink: k, Lanes: 16, Timeout: runTime}},
		})
		if err != nil {
			return err
		}
	}
	return s.removeRules(ctx, x.scene.ID, n+1)
}

// removeRules ends the rules of a scene from the n-th on.
func (s *Set) removeRules(ctx context.Context, id string, n int) error {
	for ; n <= MaxTriggers; n++ {
		if err := s.config.Runner.Remove(ctx, ruleID(id, n)); err != nil && !errors.Is(err, rules.ErrUnknownRule) {
			return err
		}
	}
	return nil
}

// Remove ends a scene and forgets it. The error is ErrUnknownScene, ErrInUse, or
// the store's.
func (s *Set) Remove(ctx context.Context, id string) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.find(id) == nil {
		return fmt.Errorf("%w: %.64q", ErrUnknownScene, id)
	}
	for _, e := range s.Entries() {
		if slices.ContainsFunc(e.Actions, func(a Action) bool { return a.Scene == id }) {
			return fmt.Errorf("%w: %s", ErrInUse, e.ID)
		}
	}
	if err := s.removeRules(ctx, id, 1); err != nil {
		return err
	}
	var b store.Batch
	b.Delete(key(id))
	if err := store.Commit(ctx, s.config.Store, &b); err != nil {
		return fmt.Errorf("scene: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.scenes, id)
	return nil
}

func (s *Set) find(id string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scenes[id]
}

// runnable returns a scene that can run, nil for others.
func (s *Set) runnable(id string) *compiled {
	if x := s.find(id); x != nil {
		return x.compiled
	}
	return nil
}

// Entry is a scene and what became of it.
type Entry struct {
	Scene
	Error string `json:"error,omitempty"` // why it does not run
	Stats Stats  `json:"stats"`
}

// Entries lists the scenes by ID.
func (s *Set) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Entry, 0, len(s.scenes))
	for _, x := range s.scenes {
		out = append(out, x.public())
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Entry returns a scene. The error is ErrUnknownScene.
func (s *Set) Entry(id string) (Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.scenes[id]; x != nil {
		return x.public(), nil
	}
	return Entry{}, fmt.Errorf("%w: %.64q", ErrUnknownScene, id)
}

func (x *entry) public() Entry {
	e := Entry{Scene: x.scene, Stats: x.account.read()}
	if x.err != nil {
		e.Error = x.err.Error()
	}
	for _, t := range x.next {
		if !t.IsZero() && (e.Stats.Next.IsZero() || t.Before(e.Stats.Next)) {
			e.Stats.Next = t
		}
	}
	return e
}

// Run runs a scene now, whatever its triggers: its conditions still count. device
// is who shall count as having triggered, zero for nobody. The outcome tells
// whether the conditions held; the error is that of what failed.
func (s *Set) Run(ctx context.Context, id string, device iot.DeviceID) (Outcome, error) {
	x := s.find(id)
	switch {
	case x == nil:
		return Outcome{}, fmt.Errorf("%w: %.64q", ErrUnknownScene, id)
	case x.compiled == nil:
		return Outcome{}, fmt.Errorf("%w: scene %s does not run: %w", ErrInvalid, id, x.err)
	}
	return s.runOnce(ctx, x, "hand", time.Now(), device)
}

// runOnce is a run that is not repeated.
func (s *Set) runOnce(ctx context.Context, x *entry, by string, at time.Time, device iot.DeviceID) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	r := &run{
		set: s, key: x.scene.ID + "/" + by + "/" + strconv.FormatInt(at.UnixMilli(), 10), by: by,
		device: device, time: at, memory: newMemory(),
	}
	held, err := r.attempt(ctx, x.compiled)
	err = errors.Join(err, r.memory.lasting())
	return s.tell(x, r, held, err), err
}

// Close ends the timetable and waits for its runs. Close the runner next: rules
// still run scenes.
func (s *Set) Close() error {
	s.changes.Lock()
	s.closed = true
	s.changes.Unlock()
	s.cancel()
	s.wait.Wait()
	return nil
}
