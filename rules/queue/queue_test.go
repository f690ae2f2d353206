// SPDX-License-Identifier: Apache-2.0

package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules/queue"
	"github.com/openalink/iot/store/mem"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "/a1Product01/d/user/update"

var all = queue.Group{ID: "g", Subscriptions: []queue.Subscription{{Product: "a1Product01", Kinds: queue.Kinds()}}}

func open(t *testing.T, l *memlog.Log, e *mem.Engine, change func(*queue.Config)) *queue.Queues {
	t.Helper()
	c := queue.Config{Source: l, Store: e, Rate: -1}
	if change != nil {
		change(&c)
	}
	q, err := queue.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func create(t *testing.T, q *queue.Queues, g queue.Group) {
	t.Helper()
	if err := q.Create(t.Context(), g); err != nil {
		t.Fatal(err)
	}
}

func join(t *testing.T, q *queue.Queues, o queue.JoinOptions) *queue.Consumer {
	t.Helper()
	c, err := q.Join(t.Context(), "g", o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// next returns the next message, or nil when none comes.
func next(t *testing.T, c *queue.Consumer) *queue.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	m, err := c.Next(ctx)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return m
}

func bubble(t *testing.T, f func(t *testing.T, l *memlog.Log, e *mem.Engine)) {
	synctest.Test(t, func(t *testing.T) {
		e := mem.New()
		t.Cleanup(func() { e.Close() })
		f(t, &memlog.Log{}, e)
	})
}

func TestAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, l *memlog.Log, e *mem.Engine) {
		q := open(t, l, e, nil)
		create(t, q, all)
		c := join(t, q, queue.JoinOptions{})
		for _, d := range []string{"a", "a", "b"} {
			l.Say(d, topic, "x")
		}
		synctest.Wait()
		a, b := next(t, c), next(t, c)
		if a.ID != 1 || b.ID != 3 || a.Tries != 1 || string(a.Payload) != "x" {
			t.Fatalf("%+v, %+v", a, b)
		}
		if m := next(t, c); m != nil {
			t.Fatalf("%d came before the one in front of it was answered", m.ID)
		}
		if err := a.Again(time.Minute); err != nil {
			t.Error(err)
		}
		if err := b.Done(); err != nil {
			t.Error(err)
		}
		if m := next(t, c); m != nil {
			t.Errorf("%d came at once", m.ID)
		}
		time.Sleep(time.Minute)
		a2 := next(t, c)
		if a2 == nil || a2.ID != 1 || a2.Tries != 2 {
			t.Fatalf("%+v", a2)
		}
		if err := a.Done(); !errors.Is(err, queue.ErrStale) {
			t.Errorf("an old try was answered: %v", err)
		}
		if err := a2.Later(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour) // no deadline any more
		if err := a2.Done(); err != nil {
			t.Error(err)
		}
		a3 := next(t, c)
		time.Sleep(time.Hour)
		if err := a3.Done(); !errors.Is(err, queue.ErrStale) {
			t.Errorf("an answer after the deadline: %v", err)
		}
		if s, err := q.Stats(t.Context(), "g"); err != nil || s.Place != 2 || s.Lag != 2 || s.Waiting != 1 || s.Consumers != 1 {
			t.Errorf("%+v %v", s, err)
		}
		if m := next(t, c); m.ID != 2 || m.Done() != nil {
			t.Errorf("%+v", m)
		}
		if s, err := q.Stats(t.Context(), "g"); err != nil || s.Place != 4 || s.Lag != 0 || s.Again != 2 || s.Delivered != 5 {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	bubble(t, func(t *testing.T, l *memlog.Log, e *mem.Engine) {
		q := open(t, l, e, func(c *queue.Config) { c.Tries = 3 })
		create(t, q, all)
		c := join(t, q, queue.JoinOptions{})
		l.Say("a", topic, "bad")
		l.Say("a", topic, "good")
		synctest.Wait()
		for range 3 {
			if err := next(t, c).Again(0); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if m := next(t, c); m.ID != 2 {
			t.Errorf("%+v", m)
		}
		n := 0
		for x, err := range q.DeadLetters(t.Context(), "g") {
			if n++; err != nil || x.MessageID != 1 || x.Tries != 3 || string(x.Payload) != "bad" {
				t.Errorf("%+v %v", x, err)
			}
		}
		if n != 1 {
			t.Errorf("%d dead letters", n)
		}
	})
}

// One device that is never done holds up itself only.
func TestStuckDevice(t *testing.T) {
	bubble(t, func(t *testing.T, l *memlog.Log, e *mem.Engine) {
		q := open(t, l, e, func(c *queue.Config) { c.Window = 10 })
		create(t, q, all)
		c := join(t, q, queue.JoinOptions{})
		l.Say("stuck", topic, "x")
		synctest.Wait()
		m := next(t, c)
		if err := m.Later(); err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			l.Say(fmt.Sprint("d", i%3), topic, "x")
		}
		for i := range 100 {
			m := next(t, c)
			if m == nil {
				t.Fatalf("nothing after %d", i)
			}
			if err := m.Done(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		// What is done stays done, although it is behind the one that is not.
		c = join(t, q, queue.JoinOptions{})
		synctest.Wait()
		if m := next(t, c); m == nil || m.ID != 1 || m.Done() != nil {
			t.Fatalf("%+v", m)
		}
		if m := next(t, c); m != nil {
			t.Errorf("%d came again", m.ID)
		}
	})
}

func TestKinds(t *testing.T) {
	bubble(t, func(t *testing.T, l *memlog.Log, e *mem.Engine) {
		q := open(t, l, e, nil)
		for _, k := range queue.Kinds() {
			create(t, q, queue.Group{ID: string(k), Subscriptions: []queue.Subscription{{Product: "a1Product01", Kinds: []queue.Kind{k}}}})
		}
		topics := map[queue.Kind][]string{
			queue.Upstream:  {"/a1Product01/d/user/x", "/a1Product01/d/thing/event/property/post", "/a1Product01/d/thing/event/lifecycle/post"},
			queue.Status:    {"/as/mqtt/status/a1Product01/d"},
			queue.Topology:  {"/a1Product01/d/thing/topo/lifecycle", "/a1Product01/d/thing/list/found"},
			queue.Lifecycle: {"/a1Product01/d/thing/lifecycle"},
			queue.OTA:       {"/a1Product01/d/ota/upgrade", "/a1Product01/d/ota/version/post"},
		}
		for _, k := range queue.Kinds() {
			for _, name := range topics[k] {
				l.Say("d", name, "x")
			}
		}
		l.Say("d", "/a1Product02/d/user/x", "x")
		for _, k := range queue.Kinds() {
			c, err := q.Join(t.Context(), string(k), queue.JoinOptions{})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			var got []string
			for m := next(t, c); m != nil; m = next(t, c) {
				got = append(got, m.Topic)
				if err := m.Done(); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(topics[k], got); diff != "" {
				t.Errorf("%s: %s", k, diff)
			}
		}
	})
}

func TestRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, l *memlog.Log, e *mem.Engine) {
		q := open(t, l, e, nil)
		for _, g := range []queue.Group{{}, {ID: "a"}, {ID: "a/b", Subscriptions: all.Subscriptions}, {ID: "a", Subscriptions: []queue.Subscription{{Product: "p"}}}, {ID: "a", Subscriptions: []queue.Subscription{{Product: "a1Product01", Kinds: []queue.Kind{"x"}}}}} {
			if err := q.Create(t.Context(), g); !errors.Is(err, queue.ErrInvalid) {
				t.Errorf("%+v: %v", g, err)
			}
		}
		create(t, q, all)
		if err := q.Create(t.Context(), all); !errors.Is(err, queue.ErrExists) {
			t.Errorf("%v", err)
		}
		if _, err := q.Join(t.Context(), "none", queue.JoinOptions{}); !errors.Is(err, queue.ErrUnknownGroup) {
			t.Errorf("%v", err)
		}
		c := join(t, q, queue.JoinOptions{})
		for range queue.MaxConsumers - 1 {
			join(t, q, queue.JoinOptions{})
		}
		if _, err := q.Join(t.Context(), "g", queue.JoinOptions{}); !errors.Is(err, queue.ErrTooMany) {
			t.Errorf("%v", err)
		}
		if err := q.Delete(t.Context(), "g"); err != nil {
			t.Error(err)
		}
		if _, err := c.Next(t.Context()); !errors.Is(err, queue.ErrClosed) {
			t.Errorf("%v", err)
		}
		q2 := open(t, l, e, nil)
		if len(q2.Groups()) != 0 {
			t.Errorf("%+v", q2.Groups())
		}
	})
}

// Five members that come, go and die at random: nothing is lost, the order of each
// device is kept, and what comes again is bounded.
func TestMembers(t *testing.T) {
	for n := range 50 {
		bubble(t, func(t *testing.T, l *memlog.Log, e *mem.Engine) {
			members(t, l, e, rand.New(rand.NewPCG(11, uint64(n))))
		})
	}
}

// record is what members were done with.
type record struct {
	mu   sync.Mutex
	done map[string][]int64
	seen map[int64]int
}

func (r *record) add(m *queue.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[m.Device.Name] = append(r.done[m.Device.Name], m.ID)
	r.seen[m.ID]++
}

func members(t *testing.T, l *memlog.Log, e *mem.Engine, dice *rand.Rand) {
	r := &record{done: map[string][]int64{}, seen: map[int64]int{}}
	q := open(t, l, e, func(c *queue.Config) { c.Window = 50; c.Tries = 1 << 30 })
	create(t, q, all)
	var wait sync.WaitGroup
	var live []*queue.Consumer
	consume := func(c *queue.Consumer, dice *rand.Rand) {
		for m, err := range c.Messages(t.Context()) {
			if err != nil {
				return
			}
			time.Sleep(time.Duration(dice.IntN(20)) * time.Millisecond)
			switch dice.IntN(10) {
			case 0:
				_ = m.Again(time.Duration(dice.IntN(100)) * time.Millisecond)
			case 1: // forgets to answer
			default:
				r.mu.Lock()
				err := m.Done()
				r.mu.Unlock()
				if err == nil {
					r.add(m)
				}
			}
		}
	}
	begin := func() {
		c := join(t, q, queue.JoinOptions{Prefetch: 1 + dice.IntN(5)})
		live = append(live, c)
		own := rand.New(rand.NewPCG(dice.Uint64(), 1))
		wait.Go(func() { consume(c, own) })
	}
	for range 5 {
		begin()
	}
	for range 40 {
		for range dice.IntN(20) {
			l.Say(fmt.Sprint("d", dice.IntN(6)), topic, "x")
		}
		time.Sleep(time.Duration(dice.IntN(500)) * time.Millisecond)
		if len(live) > 0 && dice.IntN(2) == 0 {
			i := dice.IntN(len(live))
			if err := live[i].Close(); err != nil {
				t.Fatal(err)
			}
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		}
		if len(live) < 5 && dice.IntN(2) == 0 {
			begin()
		}
	}
	begin()
	time.Sleep(time.Hour)
	for _, c := range live {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	wait.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range int64(l.Len()) {
		if r.seen[id+1] != 1 {
			t.Errorf("message %d was done %d times", id+1, r.seen[id+1])
		}
	}
	for d, ids := range r.done {
		for i := 1; i < len(ids); i++ {
			if ids[i] < ids[i-1] {
				t.Errorf("device %s: %v", d, ids)
				break
			}
		}
	}
	if s, err := q.Stats(t.Context(), "g"); err != nil || s.Lag != 0 {
		t.Errorf("%+v %v", s, err)
	}
}

func Example() {
	ctx := context.Background()
	l, st := &memlog.Log{}, mem.New() // a hub's RuleSource and store
	defer st.Close()
	queues, err := queue.Open(ctx, queue.Config{Source: l, Store: st})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queues.Close()
	err = queues.Create(ctx, queue.Group{ID: "billing", Subscriptions: []queue.Subscription{
		{Product: "a1Product01", Kinds: []queue.Kind{queue.Upstream, queue.Status}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	consumer, err := queues.Join(ctx, "billing", queue.JoinOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	l.Say("meter-1", "/a1Product01/meter-1/user/update", `{"kWh":17}`)
	for m, err := range consumer.Messages(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Topic, string(m.Payload), m.Done())
		break
	}
	// Output: /a1Product01/meter-1/user/update {"kWh":17} <nil>
}
