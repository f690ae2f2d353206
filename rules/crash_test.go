// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/store/mem"
)

// Whatever fails and however often the process dies, every message of the log is
// taken, each device's in order, and what is taken twice has one key.
func TestCrashes(t *testing.T) {
	for n := range 100 {
		synctest.Test(t, func(t *testing.T) { crashes(t, rand.New(rand.NewPCG(7, uint64(n)))) })
	}
}

func crashes(t *testing.T, dice *rand.Rand) {
	l, e := &memlog.Log{}, mem.New()
	defer e.Close()
	sinks := []*sink{{}, {}, {delay: 20 * time.Millisecond}}
	begin := func() *rules.Runner {
		r := open(t, l, e, func(c *rules.Config) { c.Window = 1 + dice.IntN(20) })
		for i, s := range sinks {
			put(t, r, rules.Rule{ID: fmt.Sprint("r", i), Mode: rules.AtLeastOnce, Actions: []rules.Action{
				{Name: "a", Sink: s, Lanes: 1 + dice.IntN(4), Batch: 1 + dice.IntN(3)}, {Name: "b", Sink: sinks[0]},
			}})
		}
		return r
	}
	r := begin()
	for range 30 {
		switch dice.IntN(8) {
		case 0:
			r.Kill()
			r = begin()
		case 1:
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = begin()
		case 2:
			sinks[dice.IntN(len(sinks))].set(func([]*rules.Delivery) error { return errors.New("down") })
		case 3:
			sinks[dice.IntN(len(sinks))].set(nil)
		case 4:
			time.Sleep(time.Duration(dice.IntN(3000)) * time.Millisecond)
		case 5:
			synctest.Wait()
		default:
			for range dice.IntN(40) {
				l.Say(fmt.Sprint("d", dice.IntN(5)), "t/1", `{"n":1}`)
			}
		}
	}
	for _, s := range sinks {
		s.set(nil)
	}
	time.Sleep(10 * time.Minute)
	for i, s := range sinks {
		for _, action := range []string{"a", "b"} {
			check(t, l, s, fmt.Sprint("r", i), action)
		}
	}
}

// check looks at what one action of a rule took; the sink may have been that of
// others too.
func check(t *testing.T, l *memlog.Log, s *sink, rule, action string) {
	t.Helper()
	own := &sink{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.taken {
		if d.Rule == rule && d.Action == action {
			own.taken = append(own.taken, d)
		}
	}
	if len(own.taken) == 0 && (action == "b" || l.Len() == 0) {
		return
	}
	ordered(t, own)
	seen := map[int64]string{}
	for _, d := range own.taken {
		if key, ok := seen[d.Message.ID]; ok && key != d.Key {
			t.Errorf("message %d as %s and %s", d.Message.ID, key, d.Key)
		}
		seen[d.Message.ID] = d.Key
	}
	var missing []int64
	for id := range int64(l.Len()) {
		if seen[id+1] == "" {
			missing = append(missing, id+1)
		}
	}
	if diff := cmp.Diff([]int64(nil), missing); diff != "" {
		t.Errorf("rule %s, action %s: %s", rule, action, diff)
	}
}
