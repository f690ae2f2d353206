// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/shadow"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
	"github.com/openalink/iot/store/mem"
)

func wish(t testing.TB, desired string) *shadow.Request {
	t.Helper()
	r, err := shadow.Update([]byte(desired))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (c *client) shadow(payload string) string {
	c.p.t.Helper()
	answers, err := c.publish("/shadow/update/"+c.id.String(), payload, 1)
	if err != nil || len(answers) != 1 || answers[0].Topic != "/shadow/get/"+c.id.String() {
		c.p.t.Fatalf("%s: answers %v, %v", payload, answers, err)
	}
	return string(answers[0].Payload)
}

func TestShadowConversation(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		if got := c.shadow(`{"method":"update","state":{"reported":{"hue":1}},"version":1}`); !strings.Contains(got, `"status":"success","version":1}`) {
			t.Errorf("update: %s", got)
		}
		doc, err := p.hub.UpdateShadow(t.Context(), c.id, wish(t, `{"hue":2}`), 0)
		if err != nil || doc.Version() != 2 || doc.Revision() != 2 {
			t.Fatalf("application: %v", err)
		}
		synctest.Wait()
		got := c.take()
		if len(got) != 1 || !strings.HasPrefix(string(got[0].Message.Payload), `{"method":"control"`) || got[0].Message.QoS != 1 {
			t.Fatalf("device heard %+v", got)
		}
		c.shadow(`{"method":"update","state":{"reported":{"hue":2},"desired":null}}`)
		if got := c.shadow(`{"method":"get"}`); !strings.Contains(got, `"state":{"reported":{"hue":2}}`) {
			t.Errorf("get: %s", got)
		}
		if got := c.shadow(`{"method":"update","state":{"reported":{"hue":3}},"version":1}`); !strings.Contains(got, `"errorcode":"409"`) {
			t.Errorf("stale: %s", got)
		}
		if _, err := p.hub.UpdateShadow(t.Context(), c.id, wish(t, `{"hue":9}`), 1); !errors.Is(err, hub.ErrConflict) {
			t.Errorf("stale revision: %v", err)
		}
		replace, err := shadow.Replace([]byte(`{"mode":"eco"}`))
		if err != nil {
			t.Fatal(err)
		}
		if doc, err = p.hub.UpdateShadow(t.Context(), c.id, replace, 3); err != nil || doc.Revision() != 4 {
			t.Errorf("replace: %v", err)
		}
		var versions []int64
		for d, err := range p.hub.ShadowHistory(t.Context(), c.id, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, d.Version())
		}
		if fmt.Sprint(versions) != "[1 2 3 4]" {
			t.Errorf("history %v", versions)
		}
	})
}

func TestShadowRateIsNotAnswered(t *testing.T) {
	limits := hub.NoLimits()
	limits.ShadowRequests = 20
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		answered := 0
		for range 25 {
			if a, _ := c.publish("/shadow/update/"+c.id.String(), `{"method":"get"}`, 0); len(a) == 1 {
				answered++
			}
		}
		if answered != 20 {
			t.Errorf("%d answered, want 20", answered)
		}
		p.expectLog(hub.OpPublish, hub.CauseRateLimit)
	})
}

func TestDesiredReachesAnAbsentDeviceOnce(t *testing.T) {
	for _, clean := range []bool{false, true} {
		t.Run(fmt.Sprint("clean ", clean), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, hub.Config{})
				d := p.register("lamp-1")
				p.connect(d).goodbye()
				for i := range 3 {
					if _, err := p.hub.UpdateShadow(t.Context(), d.ID, wish(t, fmt.Sprintf(`{"n":%d}`, i)), 0); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.hub.Close(); err != nil { // the platform restarts meanwhile
					t.Fatal(err)
				}
				time.Sleep(30 * 24 * time.Hour)
				p = open(t, hub.Config{Store: p.store})
				defer p.hub.Close()
				o := loginOptions{clean: clean, MQTTOptions: auth.MQTTOptions{ServerSubscribe: true}}
				for session := range 2 {
					c, err := p.login(d, o)
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					got := c.take()
					if want := 1 - session; len(got) != want || want == 1 && !strings.Contains(string(got[0].Message.Payload), `"n":2`) {
						t.Errorf("session %d heard %q, want %d", session, texts(got), want)
					}
					c.goodbye()
				}
			})
		})
	}
}

func TestWatchShadow(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		var writing sync.WaitGroup
		defer writing.Wait()
		writing.Go(func() {
			for i := range 3 {
				synctest.Wait()
				if _, err := p.hub.UpdateShadow(t.Context(), d.ID, wish(t, fmt.Sprintf(`{"n":%d}`, i)), 0); err != nil {
					t.Error(err)
				}
			}
		})
		var seen []uint64
		for doc, err := range p.hub.WatchShadow(t.Context(), d.ID) {
			if err != nil {
				t.Fatal(err)
			}
			if seen = append(seen, doc.Revision()); len(seen) == 4 {
				break
			}
		}
		if fmt.Sprint(seen) != "[0 1 2 3]" {
			t.Errorf("saw revisions %v", seen)
		}
	})
}

// The clock steps back an hour while somebody watches: no version is missed. In
// this bubble the shadow is written as of later instead.
func TestWatchShadowWhenTheClockStepsBack(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		late := &shadow.Document{}
		rules := shadow.DefaultRules()
		if err := late.Apply(wish(t, `{"n":0}`), shadow.Application, time.Now().Add(time.Hour), &rules); err != nil {
			t.Fatal(err)
		}
		var batch store.Batch
		batch.Put([]byte("w/"+d.ID.String()), late.Append([]byte{1}))
		if err := store.Commit(t.Context(), p.store, &batch); err != nil {
			t.Fatal(err)
		}
		var seen []uint64
		for doc, err := range p.hub.WatchShadow(t.Context(), d.ID) {
			if err != nil {
				t.Fatal(err)
			}
			if seen = append(seen, doc.Revision()); len(seen) == 4 {
				break
			}
			if len(seen) == 1 {
				for range 3 {
					if _, err := p.hub.UpdateShadow(t.Context(), d.ID, wish(t, `{"n":1}`), 0); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if fmt.Sprint(seen) != "[1 2 3 4]" {
			t.Errorf("saw revisions %v", seen)
		}
	})
}

// A new device of a name has nothing of the old one, and who watched hears.
func TestShadowEndsWithItsDevice(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		if _, err := p.hub.UpdateShadow(t.Context(), d.ID, wish(t, `{"n":1}`), 0); err != nil {
			t.Fatal(err)
		}
		var last error
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for _, last = range p.hub.WatchShadow(t.Context(), d.ID) {
			}
		}()
		synctest.Wait()
		time.Sleep(time.Second)
		if err := p.hub.DeleteDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d = p.register("lamp-1")
		if _, err := p.hub.UpdateShadow(t.Context(), d.ID, wish(t, `{"n":2}`), 0); err != nil {
			t.Fatal(err)
		}
		<-watched
		if !errors.Is(last, hub.ErrUnknownDevice) {
			t.Errorf("the watch ended with %v", last)
		}
		for doc, err := range p.hub.ShadowHistory(t.Context(), d.ID, time.Time{}) {
			if err != nil || !strings.Contains(string(doc.Append(nil)), `"desired":{"n":2}`) {
				t.Errorf("history has %s, %v", doc.Append(nil), err)
			}
		}
		c := p.connect(d)
		synctest.Wait()
		if got := c.take(); len(got) != 1 || !strings.Contains(string(got[0].Message.Payload), `"n":2`) {
			t.Errorf("the new device heard %q", texts(got))
		}
	})
}

// shadowDevice follows what it is told, as firmware does: it reports and clears
// the wish.
type shadowDevice struct {
	hue   int
	heard map[string]int // controls by session and version
}

// TestSchedulesConverge drives random schedules of connects, losses and wishes.
// In the end every device is as desired, and no session heard a version twice.
func TestSchedulesConverge(t *testing.T) {
	const schedules, batch = 10_000, 250
	for first := 0; first < schedules; first += batch {
		limits := hub.NoLimits()
		bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
			for n := range batch {
				p.schedule(rand.New(rand.NewPCG(uint64(first+n), 5)), fmt.Sprintf("device-%d", n))
			}
		})
	}
}

func (p *platform) schedule(rnd *rand.Rand, name string) {
	d := p.register(name)
	dev := &shadowDevice{heard: map[string]int{}}
	var c *client
	session, wanted := 0, 0
	// hear lets the device take in what arrived and was acknowledged. What is not
	// acknowledged when the connection ends is as good as not received.
	hear := func(follow bool) {
		synctest.Wait()
		for _, m := range c.take() {
			var control struct {
				Version int
				Payload struct {
					State struct{ Desired struct{ Hue int } }
				}
			}
			if err := json.Unmarshal(m.Message.Payload, &control); err != nil {
				p.t.Fatal(err)
			}
			key := fmt.Sprint(session, "/", control.Version)
			if dev.heard[key]++; dev.heard[key] > 1 {
				p.t.Errorf("%s: session %d heard version %d twice", name, session, control.Version)
			}
			if c.link.hold {
				continue
			}
			dev.hue = control.Payload.State.Desired.Hue
			if follow {
				c.shadow(fmt.Sprintf(`{"method":"update","state":{"reported":{"hue":%d},"desired":null}}`, dev.hue))
			}
		}
	}
	connect := func() {
		if c != nil {
			hear(false)
		}
		session++
		l := &link{hold: rnd.IntN(3) == 0}
		fresh, err := p.login(d, loginOptions{clean: rnd.IntN(2) == 0, link: l, MQTTOptions: auth.MQTTOptions{ServerSubscribe: true}})
		if err != nil {
			p.t.Fatal(err)
		}
		c = fresh
	}
	for range 2 + rnd.IntN(8) {
		switch rnd.IntN(4) {
		case 0:
			connect()
		case 1:
			if c != nil {
				hear(false)
				c.link.Close(hal.CauseReset)
				synctest.Wait()
				c = nil
			}
		case 2:
			wanted++
			if _, err := p.hub.UpdateShadow(p.t.Context(), d.ID, wish(p.t, fmt.Sprintf(`{"hue":%d}`, wanted)), 0); err != nil {
				p.t.Fatal(err)
			}
		case 3:
			if c != nil {
				hear(true)
			}
		}
	}
	connect()
	for c.link.hold { // a device that acknowledges comes in the end
		connect()
	}
	hear(true)
	hear(true)
	if dev.hue != wanted {
		p.t.Errorf("%s ended at %d, desired is %d", name, dev.hue, wanted)
	}
	c.goodbye()
}

// shadowOp is an operation for the linearizability check: a conditional write.
type shadowOp struct {
	write     bool
	condition uint64 // revision the write depends on; 0 is none
}

type shadowOut struct {
	revision uint64
	conflict bool
}

// TestShadowIsLinearizable has applications and a device write and read at once,
// and asks whether one order of all operations explains what each saw.
func TestShadowIsLinearizable(t *testing.T) {
	model := porcupine.Model{
		Init: func() any { return uint64(0) },
		Step: func(state, in, out any) (bool, any) {
			rev, op, got := state.(uint64), in.(shadowOp), out.(shadowOut)
			switch {
			case !op.write:
				return got.revision == rev, rev
			case got.conflict:
				return op.condition != rev, rev
			default:
				return got.revision == rev+1 && (op.condition == 0 || op.condition == rev), rev + 1
			}
		},
	}
	engines := map[string]func(t *testing.T) store.Engine{
		"mem": func(*testing.T) store.Engine { return mem.New() },
		"bolt": func(t *testing.T) store.Engine {
			st, err := bolt.Open(filepath.Join(t.TempDir(), "hub.db"), bolt.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			return st
		},
	}
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			limits := hub.NoLimits()
			p := open(t, hub.Config{Store: engine(t), Limits: &limits})
			defer p.hub.Close()
			d := p.register("lamp-1")
			c := p.connect(d)
			start := time.Now()
			var mu sync.Mutex
			var history []porcupine.Operation
			note := func(client int, op shadowOp, out shadowOut, from time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				history = append(history, porcupine.Operation{ClientId: client, Input: op, Output: out, Call: int64(from), Return: int64(time.Since(start))})
			}
			var wg sync.WaitGroup
			for client := range 6 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(client), 3))
					last := uint64(0)
					for range 40 {
						from := time.Since(start)
						if client == 5 {
							note(client, shadowOp{write: true}, shadowOut{revision: c.report(rnd.IntN(4) == 0)}, from)
							continue
						}
						op, out := p.shadowStep(d.ID, rnd, last)
						last = out.revision
						note(client, op, out, from)
					}
				})
			}
			wg.Wait()
			if !porcupine.CheckOperations(model, history) {
				t.Error("no order of the operations explains what they saw")
			}
		})
	}
}

// report writes or deletes reported as a device and returns the version of the
// answer. No write names a version here, so versions and revisions are the same
// numbers.
func (c *client) report(remove bool) uint64 {
	request := `{"method":"update","state":{"reported":{"n":1}}}`
	if remove {
		request = `{"method":"delete","state":{"reported":"null"}}`
	}
	var got struct{ Payload struct{ Version uint64 } }
	if err := json.Unmarshal([]byte(c.shadow(request)), &got); err != nil {
		c.p.t.Error(err)
	}
	return got.Payload.Version
}

// shadowStep reads, writes, or writes on a condition that may be stale.
func (p *platform) shadowStep(id iot.DeviceID, rnd *rand.Rand, last uint64) (shadowOp, shadowOut) {
	op := shadowOp{write: rnd.IntN(3) > 0}
	if op.write && rnd.IntN(2) == 0 {
		op.condition = last
	}
	if !op.write {
		doc, err := p.hub.Shadow(p.t.Context(), id)
		if err != nil {
			p.t.Error(err)
			return op, shadowOut{}
		}
		return op, shadowOut{revision: doc.Revision()}
	}
	r, err := shadow.Update(fmt.Appendf(nil, `{"n":%d}`, rnd.IntN(100)))
	if err != nil {
		p.t.Error(err)
		return op, shadowOut{}
	}
	doc, err := p.hub.UpdateShadow(context.Background(), id, r, op.condition)
	if errors.Is(err, hub.ErrConflict) {
		return op, shadowOut{conflict: true}
	}
	if err != nil {
		p.t.Error(err)
		return op, shadowOut{}
	}
	return op, shadowOut{revision: doc.Revision()}
}
