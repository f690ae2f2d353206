// SPDX-License-Identifier: Apache-2.0

package scene_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/scene"
	"github.com/openalink/iot/rules/sql"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
)

// home is a platform that writes down what it is asked.
type home struct {
	mu     sync.Mutex
	values map[string]string // by device and property
	calls  []string
	fail   map[string]error // by device
	slow   time.Duration
}

func (h *home) Latest(_ context.Context, id iot.DeviceID, property string) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fail[property]; err != nil {
		return nil, err
	}
	return []byte(h.values[id.Name+"."+property]), nil
}

func (h *home) note(ctx context.Context, id iot.DeviceID, call string) error {
	if h.slow > 0 {
		select {
		case <-time.After(h.slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fail[id.Name]; err != nil {
		h.calls = append(h.calls, id.Name+" failed")
		return err
	}
	h.calls = append(h.calls, call)
	return nil
}

func (h *home) Set(ctx context.Context, id iot.DeviceID, items []byte) error {
	return h.note(ctx, id, fmt.Sprintf("%s set %s", id.Name, items))
}

func (h *home) Invoke(ctx context.Context, id iot.DeviceID, service string, args []byte) error {
	return h.note(ctx, id, fmt.Sprintf("%s %s(%s)", id.Name, service, args))
}

// take returns what was asked since the last take.
func (h *home) take() string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := strings.Join(h.calls, "; ")
	h.calls = nil
	return out
}

func (h *home) failing(who string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail[who] = err
}

// world is a runner, a set and what they work on.
type world struct {
	*home
	t      *testing.T
	log    *memlog.Log
	store  *mem.Engine
	runner *rules.Runner
	set    *scene.Set
	raised []scene.Alarm
}

// bubble runs a test in virtual time, which begins on Saturday, 1 January 2000.
func bubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, log: &memlog.Log{}, store: mem.New(),
			home: &home{values: map[string]string{}, fail: map[string]error{}},
		}
		defer w.store.Close()
		w.open()
		defer w.close()
		test(t, w)
	})
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.runner, err = rules.Open(w.t.Context(), rules.Config{Source: w.log, Store: w.store}); err != nil {
		w.t.Fatal(err)
	}
	w.set, err = scene.Open(w.t.Context(), scene.Config{
		Runner: w.runner, Store: w.store, Platform: w.home, OnAlarm: func(a scene.Alarm) { w.raised = append(w.raised, a) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	if err := errors.Join(w.set.Close(), w.runner.Close()); err != nil {
		w.t.Error(err)
	}
}

func read(t *testing.T, text string) (sc scene.Scene) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&sc); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return sc
}

func (w *world) put(text string) {
	w.t.Helper()
	if err := w.set.Put(w.t.Context(), read(w.t, text)); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func (w *world) want(what string) {
	w.t.Helper()
	if got := w.take(); got != what {
		w.t.Errorf("got  %q\nwant %q", got, what)
	}
}

const post = "/a1Product01/bath/thing/event/property/post"

func temperature(v string) string { return `{"items":{"Temperature":{"value":` + v + `}}}` }

// A post that meets the trigger runs the actions when the values of others allow it.
func TestProperty(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(`{"id":"heat",
			"triggers":[{"type":"property","device":"a1Product01/bath","property":"Temperature","op":">","value":28}],
			"when":{"all":[
				{"any":[{"device":"a1Product01/hall","property":"Mode","op":"=","value":"it's night"},{"device":"a1Product01/hall","property":"Away.Far[1]","op":"=","value":true}]},
				{"property":"Power","op":"!=","value":0}]},
			"actions":[{"type":"set","device":"a1Product01/fan","items":{"Power":1}},{"type":"call","service":"Open","args":{"By":2}},{"type":"call","service":"Beep"}]}`)
		w.log.Say("bath", post, temperature("29"))
		w.want("") // nobody posted anything yet
		w.values["bath.Power"], w.values["hall.Mode"] = "1", `"it's night"`
		w.log.Say("bath", post, temperature("28"))
		w.want("")
		w.log.Say("hall", "/a1Product01/hall/thing/event/property/post", temperature("30"))
		w.want("")
		const all = `fan set {"Power":1}; bath Open({"By":2}); bath Beep({})`
		w.log.Say("bath", post, temperature("28.5"))
		w.want(all)
		w.values["hall.Mode"], w.values["hall.Away"] = `"day"`, `{"Far":[0,1]}`
		w.log.Say("bath", post, temperature("30"))
		w.want(all)
		w.values["bath.Power"] = "0"
		w.log.Say("bath", post, temperature("30"))
		w.want("")
		e, err := w.set.Entry("heat")
		if err != nil || e.Stats.Runs != 2 || e.Stats.Idle != 2 || len(e.Stats.Last) != 4 || e.Stats.Last[1].Done != 3 {
			t.Errorf("%+v, %v", e.Stats, err)
		}
	})
}

func TestMessageAndPresence(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(`{"id":"s","triggers":[
			{"type":"message","sql":"SELECT * FROM '/a1Product01/+/user/update' WHERE t > 5"},
			{"type":"presence","device":"a1Product01/+","is":"offline"},
			{"type":"presence","device":"a1Product01/door"},
			{"type":"property","device":"a1Product01/+","property":"Alarm","op":"any"}],
			"actions":[{"type":"set","items":{"A":1}}]}`)
		for _, m := range [][3]string{
			{"a", "/a1Product01/a/user/update", `{"t":6}`},
			{"b", "/a1Product01/b/user/update", `{"t":5}`},
			{"c", "/as/mqtt/status/a1Product01/c", `{"status":"online"}`},
			{"d", "/as/mqtt/status/a1Product01/d", `{"status":"offline"}`},
			{"door", "/as/mqtt/status/a1Product01/door", `{"status":"online"}`},
			{"e", "/a1Product01/e/thing/event/property/post", `{"items":{"Alarm":{"value":0}}}`},
			{"f", "/a1Product01/f/thing/event/property/post", `{"items":{"Other":{"value":0}}}`},
		} {
			w.log.Say(m[0], m[1], m[2])
			synctest.Wait()
		}
		w.want(`a set {"A":1}; d set {"A":1}; door set {"A":1}; e set {"A":1}`)
		var ids []string
		for _, r := range w.runner.Rules() {
			ids = append(ids, r.ID)
		}
		if diff := cmp.Diff([]string{"scene.s", "scene.s.2", "scene.s.3", "scene.s.4"}, ids); diff != "" {
			t.Error(diff)
		}
		w.put(`{"id":"s","actions":[{"type":"set","items":{"A":2}}]}`)
		if list := w.runner.Rules(); len(list) != 0 {
			t.Errorf("%d rules are left", len(list))
		}
		if _, err := w.set.Run(t.Context(), "s", iot.DeviceID{Product: "a1Product01", Name: "g"}); err != nil {
			t.Error(err)
		}
		w.want(`g set {"A":2}`)
	})
}

// What failed for now is done again, and nothing else. What failed for good is a
// dead letter, and a replay does just that.
func TestFailures(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(`{"id":"s","mode":"at-least-once",
			"triggers":[{"type":"message","sql":"SELECT * FROM '/a1Product01/+/user/update'"}],
			"when":{"property":"On","op":"=","value":1},
			"actions":[{"type":"set","device":"a1Product01/one","items":{"A":1}},{"type":"set","device":"a1Product01/two","items":{"A":2}},{"type":"set","device":"a1Product01/three","items":{"A":3}}]}`)
		w.values["a.On"] = "1"
		w.failing("two", errors.New("busy"))
		w.log.Say("a", "/a1Product01/a/user/update", "{}")
		w.want(`one set {"A":1}; two failed; three set {"A":3}`)
		w.values["a.On"] = "0" // judged already
		time.Sleep(time.Second)
		w.want("two failed")
		w.failing("two", nil)
		time.Sleep(10 * time.Second)
		w.want(`two set {"A":2}`)
		w.log.Say("a", "/a1Product01/a/user/update", "{}")
		w.want("")

		w.values["a.On"] = "1"
		w.failing("one", rules.Permanent(errors.New("no such device")))
		w.log.Say("a", "/a1Product01/a/user/update", "{}")
		w.want(`one failed; two set {"A":2}; three set {"A":3}`)
		time.Sleep(time.Hour)
		w.want("")
		letters := 0
		for l, err := range w.runner.DeadLetters(t.Context(), "scene.s") {
			if letters++; err != nil || !strings.Contains(l.Error, "action 1 of scene s: no such device") {
				t.Errorf("%+v, %v", l, err)
			}
		}
		if _, err := w.runner.Replay(t.Context(), "scene.s"); err == nil {
			t.Error("the device is still not there")
		}
		w.want("one failed")
		w.failing("one", nil)
		if n, err := w.runner.Replay(t.Context(), "scene.s"); n != letters || err != nil || letters != 1 {
			t.Error(letters, n, err)
		}
		w.want(`one set {"A":1}`)

		w.failing("On", errors.New("the store is slow"))
		w.log.Say("a", "/a1Product01/a/user/update", "{}")
		w.want("")
		w.failing("On", nil)
		time.Sleep(time.Minute)
		w.want(`one set {"A":1}; two set {"A":2}; three set {"A":3}`)
	})
}

func TestTimetable(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(`{"id":"cron","triggers":[{"type":"cron","cron":"30 8 * * mon","zone":"Asia/Shanghai"}],"actions":[{"type":"set","device":"a1Product01/a","items":{"A":1}}]}`)
		w.put(`{"id":"every","triggers":[{"type":"every","every":"8h"},{"type":"cron","cron":"0 8 * * *"}],
			"window":{"from":"10:00","to":"06:00"},"actions":[{"type":"set","device":"a1Product01/b","items":{"B":1}}]}`)
		next := func(id string) string {
			t.Helper()
			e, err := w.set.Entry(id)
			if err != nil {
				t.Fatal(err)
			}
			return e.Stats.Next.UTC().Format("2006-01-02 15:04")
		}
		if next("cron") != "2000-01-03 00:30" || next("every") != "2000-01-01 08:00" {
			t.Errorf("next %s, %s", next("cron"), next("every"))
		}
		time.Sleep(8*time.Hour + time.Second) // Saturday 08:00: outside the window, once though two triggers are due
		w.want("")
		time.Sleep(8 * time.Hour)
		w.want(`b set {"B":1}`)
		time.Sleep(8 * time.Hour) // Sunday 00:00
		w.want(`b set {"B":1}`)
		time.Sleep(24*time.Hour + 29*time.Minute)
		w.take()
		time.Sleep(time.Minute) // Monday 00:30
		w.want(`a set {"A":1}`)
		if e, err := w.set.Entry("every"); err != nil || e.Stats.Idle != 2 || e.Stats.Runs != 4 {
			t.Errorf("%+v %v", e.Stats, err)
		}
		// What comes due while nothing runs is not made up for.
		w.close()
		time.Sleep(7 * 24 * time.Hour)
		w.open()
		time.Sleep(time.Minute)
		w.want("")
		if next("cron") != "2000-01-17 00:30" {
			t.Errorf("next %s", next("cron"))
		}
	})
}

// A run that takes longer than its interval is not joined by another one, and what
// fails is not repeated.
func TestOverlap(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.slow = 25 * time.Second
		w.put(`{"id":"s","triggers":[{"type":"every","every":"10s"}],"actions":[{"type":"set","device":"a1Product01/a","items":{"A":1}}]}`)
		time.Sleep(36 * time.Second)
		w.want(`a set {"A":1}`)
		w.failing("a", errors.New("busy"))
		time.Sleep(30 * time.Second)
		w.want("a failed")
		e, err := w.set.Entry("s")
		if err != nil || e.Stats.Runs != 2 || e.Stats.Overlap != 4 || e.Stats.Failed != 1 || e.Stats.Last[1].Error != "action 1 of scene s: busy" {
			t.Errorf("%+v %v", e.Stats, err)
		}
	})
}

func TestNested(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(`{"id":"lamp","when":{"property":"On","op":"=","value":0},"actions":[{"type":"set","items":{"On":1}},{"type":"alarm","level":"info","text":"light"}]}`)
		w.put(`{"id":"evening","triggers":[{"type":"message","sql":"SELECT * FROM '/a1Product01/+/user/update'"}],"actions":[{"type":"call","device":"a1Product01/blind","service":"Down"},{"type":"scene","scene":"lamp"}]}`)
		w.values["a.On"] = "0"
		w.log.Say("a", "/a1Product01/a/user/update", "{}")
		w.want(`blind Down({}); a set {"On":1}`)
		w.values["a.On"] = "1"
		w.log.Say("a", "/a1Product01/a/user/update", "{}")
		w.want(`blind Down({})`)
		var got []scene.Alarm
		for a, err := range w.set.Alarms(t.Context(), "lamp", time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, a)
		}
		want := []scene.Alarm{{
			Time: time.Now(), Key: "scene.evening/0/1/2/2", Scene: "lamp", Level: "info", Text: "light",
			By: "/a1Product01/a/user/update", Device: iot.DeviceID{Product: "a1Product01", Name: "a"}, MessageID: 1,
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, w.raised); diff != "" {
			t.Error(diff)
		}
		for text, err := range map[string]error{
			`{"id":"lamp","actions":[{"type":"scene","scene":"evening"}]}`:                                                                  scene.ErrInvalid, // goes round
			`{"id":"x","actions":[{"type":"scene","scene":"x"}]}`:                                                                           scene.ErrInvalid,
			`{"id":"x","actions":[{"type":"scene","scene":"y"}]}`:                                                                           scene.ErrUnknownScene,
			`{"id":"x","triggers":[{"type":"every","every":"1h"}],"actions":[{"type":"scene","scene":"evening"}]}`:                          scene.ErrInvalid, // for no device
			`{"id":"evening","triggers":[{"type":"every","every":"1h"}],"actions":[{"type":"set","items":{"On":1}}]}`:                       scene.ErrInvalid,
			`{"id":"x","triggers":[{"type":"message","sql":"SELECT"}],"actions":[{"type":"alarm","text":"t"}]}`:                             &sql.Error{},
			`{"id":"x","triggers":[{"type":"cron","cron":"* * * * *"},{"type":"message","sql":""}],"actions":[{"type":"alarm","text":""}]}`: scene.ErrInvalid,
		} {
			got := w.set.Put(t.Context(), read(t, text))
			if _, isSQL := err.(*sql.Error); isSQL { //nolint:errorlint // it is what the table holds
				if _, ok := errors.AsType[*sql.Error](got); !ok {
					t.Errorf("%s: %v", text, got)
				}
			} else if !errors.Is(got, err) {
				t.Errorf("%s: %v, want %v", text, got, err)
			}
		}
		if err := w.set.Remove(t.Context(), "lamp"); !errors.Is(err, scene.ErrInUse) {
			t.Error(err)
		}
		last := "evening"
		for i := 3; i <= scene.MaxDepth; i++ {
			id := fmt.Sprint("deep", i)
			w.put(`{"id":"` + id + `","actions":[{"type":"scene","scene":"` + last + `"}]}`)
			last = id
		}
		if err := w.set.Put(t.Context(), read(t, `{"id":"deeper","actions":[{"type":"scene","scene":"`+last+`"}]}`)); !errors.Is(err, scene.ErrInvalid) {
			t.Error(err)
		}
		// Also from below: lamp may not become a scene with another one in it.
		w.put(`{"id":"leaf","actions":[{"type":"alarm","text":"t"}]}`)
		if err := w.set.Put(t.Context(), read(t, `{"id":"lamp","actions":[{"type":"scene","scene":"leaf"}]}`)); !errors.Is(err, scene.ErrInvalid) {
			t.Error(err)
		}
		// Nor may scenes do more than 100 things.
		ten := strings.Repeat(`{"type":"alarm","text":"t"},`, 10)
		w.put(`{"id":"ten","actions":[` + ten[:len(ten)-1] + `]}`)
		many := strings.Repeat(`{"type":"scene","scene":"ten"},`, 10)
		if err := w.set.Put(t.Context(), read(t, `{"id":"many","actions":[`+many[:len(many)-1]+`]}`)); !errors.Is(err, scene.ErrInvalid) {
			t.Error(err)
		}
	})
}

// Scenes live on, and one that cannot run any more says why.
func TestReopen(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(`{"id":"s","mode":"at-least-once","triggers":[{"type":"message","sql":"SELECT * FROM '/a1Product01/+/user/update'"}],"actions":[{"type":"set","items":{"A":1}}]}`)
		w.put(`{"id":"gone","actions":[{"type":"alarm","text":"t"}]}`)
		if err := w.set.Remove(t.Context(), "gone"); err != nil {
			t.Error(err)
		}
		w.close()
		w.log.Say("a", "/a1Product01/a/user/update", "{}")
		var b store.Batch
		b.Put([]byte("rules/scene/odd"), []byte(`{"id":"odd","triggers":[{"type":"cron","cron":"* * * * *","zone":"Mars/Olympus"}],"actions":[{"type":"alarm","text":"t"}]}`))
		if err := store.Commit(t.Context(), w.store, &b); err != nil {
			t.Fatal(err)
		}
		w.open()
		w.want(`a set {"A":1}`)
		list := w.set.Entries()
		if len(list) != 2 || list[0].ID != "odd" || !strings.Contains(list[0].Error, "Mars") || list[1].Error != "" {
			t.Errorf("%+v", list)
		}
		if _, err := w.set.Run(t.Context(), "odd", iot.DeviceID{}); !errors.Is(err, scene.ErrInvalid) {
			t.Error(err)
		}
		for _, err := range []error{
			w.set.Remove(t.Context(), "gone"),
			func() error { _, err := w.set.Run(t.Context(), "gone", iot.DeviceID{}); return err }(),
			func() error { _, err := w.set.Entry("gone"); return err }(),
			func() error { _, err := w.set.Explain(t.Context(), "gone", scene.Trigger{}); return err }(),
		} {
			if !errors.Is(err, scene.ErrUnknownScene) {
				t.Error(err)
			}
		}
		if err := w.set.Remove(t.Context(), "odd"); err != nil {
			t.Error(err)
		}
	})
}

// A change that fails leaves the scene there was as it was.
func TestPutRestores(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(`{"id":"s","triggers":[{"type":"message","sql":"SELECT * FROM '/a1Product01/+/user/old'"}],"actions":[{"type":"set","items":{"A":1}}]}`)
		for _, text := range []string{
			`{"id":"s","triggers":[{"type":"message","sql":"SELECT * FROM '/a1Product01/+/user/new'"},{"type":"message","sql":"SELECT"}],"actions":[{"type":"set","items":{"A":2}}]}`,
			`{"id":"other","triggers":[{"type":"message","sql":"SELECT * FROM '/a1Product01/+/user/new'"},{"type":"message","sql":"SELECT"}],"actions":[{"type":"set","items":{"A":3}}]}`,
		} {
			err := w.set.Put(t.Context(), read(t, text))
			if _, ok := errors.AsType[*sql.Error](err); !ok {
				t.Error(err)
			}
		}
		w.log.Say("a", "/a1Product01/a/user/new", "{}")
		w.log.Say("a", "/a1Product01/a/user/old", "{}")
		w.want(`a set {"A":1}`)
		if list := w.runner.Rules(); len(list) != 1 || list[0].ID != "scene.s" {
			t.Errorf("%+v", list)
		}
		if list := w.set.Entries(); len(list) != 1 || len(list[0].Triggers) != 1 {
			t.Errorf("%+v", list)
		}
	})
}
