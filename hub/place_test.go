// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
)

// TestSubDevicesBetweenGateways has gateways on all shards fight for the same
// devices, while those connect themselves and an application changes them: each
// device's presence stays one ordered stream, and what was acknowledged stands in
// the log once, in the order it was sent.
func TestSubDevicesBetweenGateways(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, hub.Config{Limits: limitless(), Workers: 4}, func(t *testing.T, p *platform) { fight(t, p, seed) })
		})
	}
}

const fighters, prizes = 5, 4

func fight(t *testing.T, p *platform, seed uint64) {
	var subs []hub.Device
	for i := range prizes {
		subs = append(subs, p.register(fmt.Sprint("sub-", i)))
	}
	kept := &ledger{sent: map[string][]string{}}
	var all sync.WaitGroup
	for i := range fighters {
		g := p.newGateway(fmt.Sprint("gw-", i))
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			gw := p.connect(g)
			for n := range 60 {
				d := subs[rnd.IntN(len(subs))]
				switch rnd.IntN(8) {
				case 0, 1:
					gw.ask(topoAdd, []any{signedSub(d)})
					gw.ask(subLogin, signedSub(d))
				case 2:
					gw.ask(subLogout, nameEntry(d.ID))
				case 3:
					gw.ask("thing/topo/delete", []any{nameEntry(d.ID)})
				case 4:
					if rnd.IntN(4) == 0 {
						gw.session.Close(hal.CauseReset)
						gw = p.connect(g)
					}
				default:
					kept.post(gw, d, fmt.Sprintf(`{"id":"%d-%d"}`, i, n))
				}
			}
		})
	}
	all.Go(func() { // the devices themselves, and an application
		rnd := rand.New(rand.NewPCG(seed, 99))
		for n := range 30 {
			d := subs[rnd.IntN(len(subs))]
			switch rnd.IntN(3) {
			case 0:
				kept.post(p.connect(d), d, fmt.Sprintf(`{"id":"direct-%d"}`, n))
			case 1:
				_, _ = p.hub.SetTags(t.Context(), d.ID, map[string]string{"n": fmt.Sprint(n)})
			case 2:
				if g, _, _ := p.hub.GatewayOf(t.Context(), d.ID); !g.IsZero() {
					_ = p.hub.RemoveSubDevices(t.Context(), g, d.ID)
				}
			}
		}
	})
	all.Wait()
	synctest.Wait()
	for _, d := range subs {
		wantOneStream(t, p, d)
		kept.check(t, p, d)
	}
}

// ledger knows what was acknowledged as kept, by device and sender.
type ledger struct {
	mu   sync.Mutex
	sent map[string][]string
}

func (l *ledger) post(c *client, d hub.Device, payload string) {
	sub := c.as(d.ID)
	if _, err := sub.publish(sub.sys("thing/event/alarm/post"), payload, 1); err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		key := d.ID.String() + " via " + c.id.String()
		l.sent[key] = append(l.sent[key], payload)
	}
}

func (l *ledger) check(t *testing.T, p *platform, d hub.Device) {
	t.Helper()
	logged := map[string][]string{}
	for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: d.ID}) {
		if err != nil {
			t.Fatal(err)
		}
		via := m.Via
		if via.IsZero() {
			via = d.ID
		}
		key := d.ID.String() + " via " + via.String()
		logged[key] = append(logged[key], string(m.Payload))
	}
	for key, want := range l.sent {
		if key[:len(d.ID.String())+1] == d.ID.String()+" " && fmt.Sprint(logged[key]) != fmt.Sprint(want) {
			t.Errorf("%s: log has %v, acknowledged were %v", key, logged[key], want)
		}
	}
}

func wantOneStream(t *testing.T, p *platform, d hub.Device) {
	t.Helper()
	var last hub.PresenceEvent
	for e, err := range p.hub.PresenceEvents(t.Context(), d.ID, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Online == last.Online || e.Online && e.Session <= last.Session || !e.Online && e.Session != last.Session {
			t.Errorf("%v: %+v follows %+v", d.ID, e, last)
		}
		last = e
	}
	if online := p.hub.Online(d.ID); online != last.Online {
		t.Errorf("%v is online: %v, its last event says %v", d.ID, online, last.Online)
	}
}
