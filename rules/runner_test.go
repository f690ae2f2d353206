// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sql"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink remembers what it took. fail says what a call shall return.
type sink struct {
	mu    sync.Mutex
	taken []*rules.Delivery
	fail  func(batch []*rules.Delivery) error
	delay time.Duration
}

func (s *sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(batch); err != nil {
			return err
		}
	}
	s.taken = append(s.taken, batch...)
	return nil
}

func (s *sink) set(fail func([]*rules.Delivery) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// ids lists the messages in the order they were first taken.
func (s *sink) ids() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, out := map[string]bool{}, []int64{}
	for _, d := range s.taken {
		if !seen[d.Key] {
			seen[d.Key] = true
			out = append(out, d.Message.ID)
		}
	}
	return out
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

func open(t *testing.T, l *memlog.Log, e store.Engine, change func(*rules.Config)) *rules.Runner {
	t.Helper()
	c := rules.Config{Source: l, Store: e, Rate: -1}
	if change != nil {
		change(&c)
	}
	r, err := rules.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func put(t *testing.T, r *rules.Runner, rule rules.Rule) {
	t.Helper()
	if rule.SQL == "" {
		rule.SQL = `SELECT n FROM "t/#" WHERE n >= 0`
	}
	if err := r.Put(t.Context(), rule); err != nil {
		t.Fatal(err)
	}
}

func stats(t *testing.T, r *rules.Runner, id string) rules.Stats {
	t.Helper()
	s, err := r.Stats(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func one(s rules.Sink) []rules.Action { return []rules.Action{{Sink: s}} }

func upTo(n int64) []int64 {
	out := []int64{}
	for i := int64(1); i <= n; i++ {
		out = append(out, i)
	}
	return out
}

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := &memlog.Log{}, mem.New()
		defer e.Close()
		var observed []rules.Outcome
		r := open(t, l, e, func(c *rules.Config) { c.Observe = func(o rules.Outcome) { observed = append(observed, o) } })
		var s sink
		l.Say("d1", "t/1", `{"n":0}`) // before the rule
		put(t, r, rules.Rule{ID: "a", Mode: rules.AtLeastOnce, Actions: one(&s), Version: 3})
		l.Say("d1", "t/1", `{"n":1}`)
		l.Say("d1", "other", `{"n":2}`)
		l.Say("d1", "t/1", `{"n":-1}`)
		l.Say("d1", "t/1", `{"n":4}`)
		synctest.Wait()
		if diff := cmp.Diff([]int64{2, 5}, s.ids()); diff != "" {
			t.Error(diff)
		}
		d := s.taken[0]
		if d.Key != "a/3/2" || string(d.Payload) != `{"n":1}` || d.Action != "1" || d.Rule != "a" || d.Message.Topic != "t/1" {
			t.Errorf("%+v", d)
		}
		st := stats(t, r, "a")
		if st.Matched != 2 || st.Delivered != 2 || st.Pending != 0 || st.Next != 6 || len(st.Last) != 2 || len(observed) != 2 {
			t.Errorf("%+v, %+v", st, observed)
		}
		if x, err := r.Explain("a", &sql.Message{Topic: "t/1", Payload: []byte(`{"n":-1}`)}); err != nil || x.Passed || x.Conditions[0].Reason != "n is -1" {
			t.Errorf("%+v %v", x, err)
		}
	})
}

// A rule whose sink is down loses nothing, and holds up neither other rules nor
// the log.
func TestSinkDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := &memlog.Log{}, mem.New()
		defer e.Close()
		r := open(t, l, e, func(c *rules.Config) { c.Window = 10 })
		var slow, quick sink
		slow.set(func([]*rules.Delivery) error { return errors.New("down") })
		put(t, r, rules.Rule{ID: "slow", Mode: rules.AtLeastOnce, Actions: one(&slow)})
		put(t, r, rules.Rule{ID: "quick", Mode: rules.AtLeastOnce, Actions: one(&quick)})
		for i := range 1000 {
			l.Say(fmt.Sprint("d", i%7), "t/1", fmt.Sprintf(`{"n":%d}`, i))
			if i%50 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if quick.count() != 1000 {
			t.Errorf("the other rule got %d", quick.count())
		}
		time.Sleep(time.Minute)
		if st := stats(t, r, "slow"); !st.Behind || st.Pending != 10 || st.Retries < 3 || st.Retries > 10 || st.Next != 1 {
			t.Errorf("%+v", st)
		}
		slow.set(nil)
		time.Sleep(time.Minute)
		if got := slow.ids(); len(got) != 1000 {
			t.Errorf("got %d", len(got))
		}
		ordered(t, &slow)
		l.Say("d1", "t/1", `{"n":1}`)
		synctest.Wait()
		if st := stats(t, r, "slow"); st.Behind || st.Next != 1002 || st.Dropped != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// ordered checks that each device's messages were first taken in order.
func ordered(t testing.TB, s *sink) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	last, seen := map[string]int64{}, map[string]bool{}
	for _, d := range s.taken {
		if seen[d.Key] {
			continue
		}
		seen[d.Key] = true
		if name := d.Message.Device.Name; d.Message.ID < last[name] {
			t.Errorf("device %s: %d came behind %d", name, d.Message.ID, last[name])
		} else {
			last[name] = d.Message.ID
		}
	}
}

func TestBestEffortDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := &memlog.Log{}, mem.New()
		defer e.Close()
		r := open(t, l, e, func(c *rules.Config) { c.Window = 5 })
		s := sink{delay: time.Second}
		put(t, r, rules.Rule{ID: "a", Actions: []rules.Action{{Sink: &s, Lanes: 1}}})
		for range 20 {
			l.Say("d", "t/1", `{"n":1}`)
		}
		time.Sleep(time.Minute)
		if st := stats(t, r, "a"); st.Delivered != 5 || st.Dropped != 15 || st.Matched != 20 || st.Last[15].Status != rules.Delivered {
			t.Errorf("%+v", st)
		}
		s.set(func([]*rules.Delivery) error { return errors.New("no") })
		l.Say("d", "t/1", `{"n":1}`)
		time.Sleep(time.Minute)
		if st := stats(t, r, "a"); st.Failed != 1 || st.Retries != 3 || st.DeadLetter != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := &memlog.Log{}, mem.New()
		defer e.Close()
		r := open(t, l, e, func(c *rules.Config) { c.Rate = 10 })
		var sure, best sink
		put(t, r, rules.Rule{ID: "sure", Mode: rules.AtLeastOnce, Actions: one(&sure)})
		for range 40 {
			l.Say("d", "t/1", `{"n":1}`)
		}
		time.Sleep(time.Second)
		if n := sure.count(); n < 19 || n > 21 {
			t.Errorf("%d in the first second, 10 of them saved up", n)
		}
		time.Sleep(2100 * time.Millisecond)
		if n := sure.count(); n != 40 {
			t.Errorf("%d after three seconds", n)
		}
		if err := r.Remove(t.Context(), "sure"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		put(t, r, rules.Rule{ID: "best", Actions: one(&best)})
		for range 40 {
			l.Say("d", "t/1", `{"n":1}`)
		}
		synctest.Wait()
		if st := stats(t, r, "best"); st.Throttled != 30 || best.count() != 10 {
			t.Errorf("%+v", st)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := &memlog.Log{}, mem.New()
		defer e.Close()
		r := open(t, l, e, nil)
		var s, wrong sink
		bad := func(batch []*rules.Delivery) error {
			if slices.ContainsFunc(batch, func(d *rules.Delivery) bool { return strings.Contains(string(d.Payload), "13") }) {
				return rules.Permanent(errors.New("unlucky"))
			}
			return nil
		}
		s.set(bad)
		put(t, r, rules.Rule{ID: "a", Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: &s, Batch: 8, Name: "out"}}, OnError: &rules.Action{Sink: &wrong}})
		for i := range 20 {
			l.Say("d", "t/1", fmt.Sprintf(`{"n":%d}`, i))
		}
		synctest.Wait()
		if s.count() != 19 || wrong.count() != 1 || wrong.taken[0].Error != "unlucky" {
			t.Errorf("%d taken, %d errors", s.count(), wrong.count())
		}
		var letters []rules.Letter
		for x, err := range r.DeadLetters(t.Context(), "a") {
			if err != nil {
				t.Fatal(err)
			}
			letters = append(letters, x)
		}
		if len(letters) != 1 || letters[0].Message.ID != 14 || letters[0].Error != "unlucky" || letters[0].Action != "out" || letters[0].Key != "a/0/14" {
			t.Errorf("%+v", letters)
		}
		if n, err := r.Replay(t.Context(), "a"); n != 0 || err == nil {
			t.Errorf("replay while it fails: %d, %v", n, err)
		}
		s.set(nil)
		if n, err := r.Replay(t.Context(), "a"); n != 1 || err != nil {
			t.Errorf("replay: %d, %v", n, err)
		}
		if n, err := r.Replay(t.Context(), "a"); n != 0 || err != nil || s.count() != 20 {
			t.Errorf("again: %d, %v, %d taken", n, err, s.count())
		}
		if st := stats(t, r, "a"); st.DeadLetter != 1 || st.Next != 21 || st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A message that fails again and again while others get through is given up; when
// nothing gets through none is.
func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := &memlog.Log{}, mem.New()
		defer e.Close()
		r := open(t, l, e, nil)
		var s sink
		s.set(func(batch []*rules.Delivery) error {
			if batch[0].Message.Device.Name == "odd" {
				return errors.New("status 500")
			}
			return nil
		})
		put(t, r, rules.Rule{ID: "a", Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: &s, Lanes: 16, Retry: rules.Retry{Max: 2 * time.Second}}}})
		l.Say("odd", "t/1", `{"n":1}`)
		for range 300 {
			for i := range 8 {
				l.Say(fmt.Sprint("d", i), "t/1", `{"n":1}`)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		if st := stats(t, r, "a"); st.DeadLetter != 1 || st.Delivered != 2400 || st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := &memlog.Log{}, mem.New()
		defer e.Close()
		r := open(t, l, e, nil)
		var a, b sink
		put(t, r, rules.Rule{ID: "a", Mode: rules.AtLeastOnce, Actions: one(&a)})
		put(t, r, rules.Rule{ID: "b", Mode: rules.AtLeastOnce, Actions: one(&b)})
		l.Say("d", "t/1", `{"n":1}`)
		synctest.Wait()
		if err := r.Stop(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		l.Say("d", "t/1", `{"n":2}`)
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		l.Say("d", "t/1", `{"n":3}`)

		r = open(t, l, e, nil)
		l.Say("d", "t/1", `{"n":4}`)
		time.Sleep(5 * time.Second) // places are written before the rules come back
		put(t, r, rules.Rule{ID: "a", Mode: rules.AtLeastOnce, Actions: one(&a)})
		put(t, r, rules.Rule{ID: "b", Mode: rules.AtLeastOnce, Actions: one(&b)})
		l.Say("d", "t/1", `{"n":5}`)
		synctest.Wait()
		for _, s := range []*sink{&a, &b} {
			if diff := cmp.Diff(upTo(5), s.ids()); diff != "" || s.count() != 5 {
				t.Errorf("%d: %s", s.count(), diff)
			}
		}
		if err := r.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		l.Say("d", "t/1", `{"n":6}`)
		put(t, r, rules.Rule{ID: "a", Mode: rules.AtLeastOnce, Actions: one(&a)})
		synctest.Wait()
		if a.count() != 5 {
			t.Errorf("a rule that was removed went on: %d", a.count())
		}
	})
}

func TestRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, e := &memlog.Log{}, mem.New()
		defer e.Close()
		r := open(t, l, e, func(c *rules.Config) { c.MaxRules = 1 })
		var s sink
		good := rules.Rule{ID: "a", SQL: `SELECT * FROM "t"`, Actions: one(&s)}
		for name, change := range map[string]func(*rules.Rule){
			"id":       func(r *rules.Rule) { r.ID = "a/b" },
			"no sink":  func(r *rules.Rule) { r.Actions = []rules.Action{{}} },
			"many":     func(r *rules.Rule) { r.Actions = slices.Repeat(one(&s), 11) },
			"twins":    func(r *rules.Rule) { r.Actions = []rules.Action{{Name: "x", Sink: &s}, {Name: "x", Sink: &s}} },
			"mode":     func(r *rules.Rule) { r.Mode = 7 },
			"on error": func(r *rules.Rule) { r.OnError = &rules.Action{} },
		} {
			bad := good
			change(&bad)
			if err := r.Put(t.Context(), bad); !errors.Is(err, rules.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		bad := good
		bad.SQL = "SELECT"
		err := r.Put(t.Context(), bad)
		if _, ok := errors.AsType[*sql.Error](err); !ok {
			t.Errorf("%v", err)
		}
		put(t, r, good)
		bad = good
		bad.ID = "b"
		if err := r.Put(t.Context(), bad); !errors.Is(err, rules.ErrTooMany) {
			t.Errorf("%v", err)
		}
		if err := r.Stop(t.Context(), "b"); !errors.Is(err, rules.ErrUnknownRule) {
			t.Errorf("%v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Put(t.Context(), good); !errors.Is(err, rules.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}
