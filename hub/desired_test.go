// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

// told returns the property sets a device was sent, as id and params.
func (c *client) told(t *testing.T) (sets []struct {
	ID     string
	Params map[string]json.RawMessage
},
) {
	t.Helper()
	for _, d := range c.take() {
		if !strings.HasSuffix(d.Message.Topic, "/thing/service/property/set") {
			continue
		}
		var m struct {
			ID     string
			Params map[string]json.RawMessage
		}
		if err := json.Unmarshal(d.Message.Payload, &m); err != nil {
			t.Fatal(err)
		}
		sets = append(sets, m)
	}
	return sets
}

func (c *client) agree(t *testing.T, id string, code int) {
	t.Helper()
	if _, err := c.publish(c.sys("thing/service/property/set_reply"), fmt.Sprintf(`{"id":%q,"code":%d,"data":{}}`, id, code), 1); err != nil {
		t.Fatal(err)
	}
}

func (p *platform) desired(t *testing.T, id iot.DeviceID) string {
	t.Helper()
	all, err := p.hub.Desired(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range []string{"Power", "Level"} {
		if w, ok := all[name]; ok {
			list = append(list, fmt.Sprintf("%s=%s v%d %s", name, w.Value, w.Version, w.State))
		}
	}
	return strings.Join(list, ", ")
}

func TestDesired(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		p.model(hub.Strict)
		d := p.register("lamp-1")
		ctx := t.Context()
		want := func(what string) {
			t.Helper()
			synctest.Wait()
			if got := p.desired(t, d.ID); got != what {
				t.Errorf("desired %q, want %q", got, what)
			}
		}
		// Wished while it is away, told when it comes.
		if v, err := p.hub.SetDesired(ctx, d.ID, map[string]int{"Power": 1, "Level": 40}, nil); err != nil || v["Level"] != 1 || v["Power"] != 2 {
			t.Fatalf("versions %v, %v", v, err)
		}
		want("Power=1 v2 pending, Level=40 v1 pending")
		c := p.connect(d)
		synctest.Wait()
		sets := c.told(t)
		if len(sets) != 1 || string(sets[0].Params["Power"]) != "1" || string(sets[0].Params["Level"]) != "40" {
			t.Fatalf("told %v", sets)
		}
		c.agree(t, sets[0].ID, 200)
		want("Power=1 v2 applied, Level=40 v1 applied")

		// Refused: it stays pending, for the next connection.
		if _, err := p.hub.SetDesired(ctx, d.ID, map[string]int{"Level": 50}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		sets = c.told(t)
		if len(sets) != 1 || len(sets[0].Params) != 1 {
			t.Fatalf("told %v", sets)
		}
		c.agree(t, sets[0].ID, 100001)
		want("Power=1 v2 applied, Level=50 v3 pending")
		c.goodbye()
		c = p.connect(d)
		synctest.Wait()
		if sets = c.told(t); len(sets) != 1 || string(sets[0].Params["Level"]) != "50" {
			t.Fatalf("told %v", sets)
		}
		// A device that posts the value has applied it.
		c.post("thing/event/property/post", `{"id":"1","params":{"Level":50.0}}`)
		want("Power=1 v2 applied, Level=50 v3 applied")

		// The device asks, and deletes with versions.
		if r := c.post("thing/property/desired/get", `{"id":"2","params":["Power","Smell"]}`); string(r.Data) != `{"Power":{"value":1,"version":2}}` {
			t.Errorf("get: %s", r.raw)
		}
		c.post("thing/property/desired/delete", `{"id":"3","params":{"Power":{"version":1},"Level":{}}}`)
		want("Power=1 v2 applied")
		c.post("thing/property/desired/delete", `{"id":"4","params":{"Power":{"version":2}}}`)
		want("")

		// Versions survive deletes, and guard changes.
		if _, err := p.hub.SetDesired(ctx, d.ID, map[string]int{"Power": 0}, map[string]int64{"Power": 2}); !errors.Is(err, hub.ErrConflict) {
			t.Errorf("stale version: %v", err)
		}
		if v, err := p.hub.SetDesired(ctx, d.ID, map[string]int{"Power": 0}, map[string]int64{"Power": 0}); err != nil || v["Power"] != 4 {
			t.Errorf("versions %v, %v", v, err)
		}
		if err := p.hub.ClearDesired(ctx, d.ID, map[string]int64{"Power": 3}); err != nil {
			t.Fatal(err)
		}
		want("Power=0 v4 pending")
		if err := p.hub.ClearDesired(ctx, d.ID, map[string]int64{"Power": 0}); err != nil {
			t.Fatal(err)
		}
		want("")
		for _, bad := range []any{map[string]int{"Level": 500}, map[string]int{"Smell": 1}, 7} {
			if _, err := p.hub.SetDesired(ctx, d.ID, bad, nil); !errors.Is(err, hub.ErrInvalid) {
				t.Errorf("%v: %v", bad, err)
			}
		}
		many := map[string]string{}
		for i := range 200 {
			many[fmt.Sprint("p", i)] = strings.Repeat("x", 2000)
		}
		other := p.newProduct("a1TestPk0003")
		e, err := p.hub.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: other.Key, Name: "lamp-9"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.SetDesired(ctx, e.ID, many, nil); !errors.Is(err, hub.ErrTooLarge) {
			t.Errorf("400 KB of wishes: %v", err)
		}
		for i := range 201 {
			many[fmt.Sprint("p", i)] = ""
		}
		if _, err := p.hub.SetDesired(ctx, e.ID, many, nil); !errors.Is(err, hub.ErrTooMany) {
			t.Errorf("201 wishes: %v", err)
		}
		var names []string
		for i := range 201 {
			names = append(names, fmt.Sprintf("%q", fmt.Sprint("p", i)))
		}
		if r := c.post("thing/property/desired/get", `{"id":"5","params":[`+strings.Join(names, ",")+`]}`); r.Code != 6104 {
			t.Errorf("201 names: %s", r.raw)
		}
	})
}

// TestDesiredOfASubDevice wants a wish told when the sub-device logs in.
func TestDesiredOfASubDevice(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 3}, func(t *testing.T, p *platform) {
		gw, d := p.connect(p.newGateway("gw-1")), p.register("sub-1")
		if _, err := p.hub.SetDesired(t.Context(), d.ID, map[string]int{"Power": 1}, nil); err != nil {
			t.Fatal(err)
		}
		gw.join(d)
		synctest.Wait()
		sub := gw.as(d.ID)
		sets := sub.told(t)
		if len(sets) != 1 || string(sets[0].Params["Power"]) != "1" {
			t.Fatalf("told %v", sets)
		}
		sub.agree(t, sets[0].ID, 200)
		if got := p.desired(t, d.ID); got != "Power=1 v1 applied" {
			t.Errorf("desired %q", got)
		}
	})
}

// TestDesiredConverges wishes, connects and disconnects at random, with a device
// that loses pushes, refuses some and answers others late: in the end every
// device has what was wished last.
func TestDesiredConverges(t *testing.T) {
	const schedules = 1000
	for seed := range uint64(schedules) {
		converge(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func converge(t *testing.T, seed uint64) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	st := mem.New()
	synctest.Test(t, func(t *testing.T) {
		limits := hub.NoLimits()
		cfg := hub.Config{Store: st, Limits: &limits, Workers: 1}
		p := open(t, cfg)
		d := p.register("lamp-1")
		state, wished := map[string]string{}, map[string]string{}
		clean := rnd.IntN(2) == 0
		var c *client
		late := []string{}
		serve := func(reliable bool) {
			synctest.Wait()
			for _, set := range c.told(t) {
				switch {
				case reliable || rnd.IntN(2) == 0:
					for name, v := range set.Params {
						state[name] = string(v)
					}
					c.agree(t, set.ID, 200)
				case rnd.IntN(2) == 0:
					c.agree(t, set.ID, 100001)
				default: // lost, or answered on another day
					late = append(late, set.ID)
				}
			}
		}
		connect := func() {
			var err error
			c, err = p.login(d, loginOptions{MQTTOptions: auth.MQTTOptions{ServerSubscribe: true}, clean: clean, link: &link{hold: rnd.IntN(3) == 0}})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 12 {
			switch n := rnd.IntN(10); {
			case n < 5:
				name, v := fmt.Sprint("p", rnd.IntN(3)), fmt.Sprint(rnd.IntN(100))
				if _, err := p.hub.SetDesired(t.Context(), d.ID, map[string]json.RawMessage{name: json.RawMessage(v)}, nil); err != nil {
					t.Fatal(err)
				}
				wished[name] = v
			case n < 8 && c == nil:
				connect()
			case n < 8:
				if rnd.IntN(2) == 0 {
					serve(false)
				}
				c.goodbye()
				c = nil
			case n == 8:
				time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
			default: // the hub restarts
				c = nil
				if err := p.hub.Close(); err != nil {
					t.Fatal(err)
				}
				h, err := hub.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				p.hub = h
			}
			if c != nil && rnd.IntN(2) == 0 {
				serve(false)
			}
		}
		if c != nil {
			c.goodbye()
		}
		connect()
		c.mu.Lock()
		c.hold = false
		c.mu.Unlock()
		serve(true)
		synctest.Wait()
		for name, v := range wished {
			if state[name] != v {
				t.Errorf("%s is %s, wished %s", name, state[name], v)
			}
		}
		all, err := p.hub.Desired(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range all {
			if w.State != hub.DesiredApplied || string(w.Value) != wished[name] {
				t.Errorf("%s: %+v", name, w)
			}
		}
		for _, id := range late { // answers nobody waits for change nothing
			c.agree(t, id, 200)
		}
		if err := p.hub.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
