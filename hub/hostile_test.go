// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/topic"
)

// TestHostileGateway has gateways try everything with sub-devices of their own,
// of others, logged out and unknown, with bad signatures and foreign topics. A
// model of who is bound and logged in where tells what may pass; nothing else
// does.
func TestHostileGateway(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, hub.Config{Limits: limitless(), Workers: 3}, func(t *testing.T, p *platform) {
				w := newHostileWorld(t, p, seed)
				for range 3000 {
					w.step(t)
				}
				if w.passed < 50 || w.stopped < 500 {
					t.Errorf("%d passed and %d were stopped: the test proves nothing", w.passed, w.stopped)
				}
			})
		})
	}
}

// hostileWorld is the model beside the hub.
type hostileWorld struct {
	p               *platform
	rnd             *rand.Rand
	gws             []*client
	subs            []hub.Device
	bound, online   map[iot.DeviceID]iot.DeviceID
	passed, stopped int
}

func newHostileWorld(t *testing.T, p *platform, seed uint64) *hostileWorld {
	w := &hostileWorld{
		p: p, rnd: rand.New(rand.NewPCG(seed, 11)),
		bound: map[iot.DeviceID]iot.DeviceID{}, online: map[iot.DeviceID]iot.DeviceID{},
	}
	for i := range 3 {
		w.gws = append(w.gws, p.connect(p.newGateway(fmt.Sprint("gw-", i))))
	}
	for i := range 9 {
		d := p.register(fmt.Sprint("sub-", i))
		w.subs = append(w.subs, d)
		if i%3 != 2 {
			w.gws[i%3].wantCode(200, topoAdd, []any{signedSub(d)})
			w.bound[d.ID] = w.gws[i%3].id
		}
	}
	w.subs = append(w.subs, hub.Device{ID: iot.DeviceID{Product: p.product.Key, Name: "nobody"}, Secret: auth.NewSecret("x")})
	return w
}

func (w *hostileWorld) step(t *testing.T) {
	gw, d := w.gws[w.rnd.IntN(len(w.gws))], w.subs[w.rnd.IntN(len(w.subs))]
	mine, here := w.bound[d.ID] == gw.id, w.online[d.ID] == gw.id
	forged := signedSub(hub.Device{ID: d.ID, Secret: auth.NewSecret("guess")})
	switch w.rnd.IntN(9) {
	case 0:
		w.want(t, gw, false, topoAdd, []any{forged})
	case 1:
		w.want(t, gw, false, subLogin, forged)
	case 2: // a sign that was overheard is good where the sub-device is bound
		if w.want(t, gw, mine, subLogin, signedSub(d)) {
			w.online[d.ID] = gw.id
		}
	case 3:
		if w.want(t, gw, here, subLogout, nameEntry(d.ID)) {
			delete(w.online, d.ID)
		}
	case 4:
		if w.rnd.IntN(5) == 0 && w.want(t, gw, mine, "thing/topo/delete", []any{nameEntry(d.ID)}) {
			delete(w.bound, d.ID)
			delete(w.online, d.ID)
		}
	case 5: // the owner itself binds it anew
		if _, bound := w.bound[d.ID]; !bound && d.ID.Name != "nobody" && w.want(t, gw, true, topoAdd, []any{signedSub(d)}) {
			w.bound[d.ID] = gw.id
		}
	case 6, 7:
		w.publish(t, gw, d.ID, here)
	case 8:
		w.hear(t, gw, d.ID, here)
	}
}

// want holds the answer's success against the model.
func (w *hostileWorld) want(t *testing.T, gw *client, ok bool, path string, params any) bool {
	t.Helper()
	w.count(ok)
	if r := gw.ask(path, params); (r.Code == 200) != ok {
		t.Errorf("%v: %s %v: code %d, want success: %v", gw.id, path, params, r.Code, ok)
	}
	return ok
}

func (w *hostileWorld) count(ok bool) {
	if ok {
		w.passed++
	} else {
		w.stopped++
	}
}

func (w *hostileWorld) publish(t *testing.T, gw *client, id iot.DeviceID, here bool) {
	t.Helper()
	all := everyFamily(id)
	name := all[w.rnd.IntN(len(all))]
	if !strings.Contains(name, id.String()) || strings.HasPrefix(name, id.Product) {
		return // names nobody
	}
	before := len(w.logOf(t, id))
	answers, err := gw.publish(name, `{"id":"1","params":{}}`, iot.QoS(w.rnd.IntN(2)))
	if !here && !isRejected(err) {
		t.Errorf("%v published to %s: %v", gw.id, name, err)
	}
	if !here && (len(answers) > 0 || len(w.logOf(t, id)) != before) {
		t.Errorf("%v published to %s: it had an effect", gw.id, name)
	}
	w.count(here && err == nil)
}

func (w *hostileWorld) logOf(t *testing.T, id iot.DeviceID) (list []hub.Message) {
	t.Helper()
	for m, err := range w.p.hub.Messages(t.Context(), hub.MessageQuery{Device: id}) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// hear subscribes everywhere and has the platform send: only the gateway the
// sub-device is logged in through may get it.
func (w *hostileWorld) hear(t *testing.T, gw *client, id iot.DeviceID, here bool) {
	t.Helper()
	filter := topic.Custom(id, "user/get")
	if g := gw.subscribe(filter)[0]; (g != hal.Refused) != here {
		t.Errorf("%v may subscribe to %s: %v, logged in there: %v", gw.id, filter, g, here)
	}
	for _, wide := range wideFilters {
		if wide != "/ext/rrpc/+/#" && gw.subscribe(wide)[0] != hal.Refused {
			t.Errorf("%v may subscribe to %s", gw.id, wide)
		}
	}
	synctest.Wait()
	for _, c := range w.gws {
		c.take()
	}
	if id.Name == "nobody" {
		return
	}
	_, _ = w.p.hub.Publish(t.Context(), id, filter, []byte("secret"), hub.SendOptions{QoS: iot.QoS(w.rnd.IntN(2))})
	_, _ = w.p.hub.SetProperties(t.Context(), id, map[string]int{"Power": 1}, hub.CallOptions{Queue: true, TTL: 1})
	synctest.Wait()
	for _, c := range w.gws {
		foreign := slices.ContainsFunc(c.take(), func(d hal.Delivery) bool { return strings.Contains(d.Message.Topic, id.String()) })
		if foreign && w.online[id] != c.id {
			t.Errorf("%v hears what is sent to %v", c.id, id)
		}
	}
}
