// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/topic"
)

// everyFamily lists a topic of each family and direction for a device.
func everyFamily(id iot.DeviceID) []string {
	return []string{
		topic.Sys(id, "thing/event/property/post"), topic.Sys(id, "thing/event/alarm/post"),
		topic.Sys(id, "thing/event/property/post_reply"), topic.Sys(id, "thing/service/property/set"),
		topic.Sys(id, "thing/service/property/set_reply"), topic.Sys(id, "rrpc/request/123"),
		topic.Sys(id, "rrpc/response/123"), topic.Sys(id, "thing/deviceinfo/update"), topic.Sys(id, "app/x"),
		topic.OTA("inform", id), topic.OTA("upgrade", id), topic.OTA("request", id), topic.OTA("progress", id),
		topic.Shadow("update", id), topic.Shadow("get", id),
		topic.Ext("ntp/request", id), topic.Ext("ntp/response", id), topic.Ext("session/combine/login", id), topic.Ext("error", id),
		topic.RRPC("77", topic.Sys(id, "thing/service/x")), topic.RRPC("77", topic.Custom(id, "user/get")),
		topic.Custom(id, "user/update"), topic.Custom(id, "user/get"), topic.Custom(id, "update"), topic.Custom(id, "get"),
		topic.Custom(id, "user/all"), topic.Broadcast(id.Product, "news"),
		"/ext/register", "/ext/network/probe/1", "$SYS/broker", id.Product + "/" + id.Name + "/user/update",
	}
}

// wideFilters are filters that would reach beyond one device if they were taken
// at their word.
var wideFilters = []string{
	"#", "/#", "+/#", "/+/#", "/sys/#", "/sys/+/+/#", "/+/+/+/thing/#", "/ota/device/upgrade/+/+", "/shadow/get/+/+",
	"/ext/ntp/+/+/response", "/ext/rrpc/+/#", "/broadcast/#", "/broadcast/+/news", "/+/+/user/#",
}

// TestNothingCrosses drives 50 devices of 5 products at random, each trying the
// topics of all others in every way there is.
func TestNothingCrosses(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			limits := hub.NoLimits()
			synctest.Test(t, func(t *testing.T) { nothingCrosses(t, open(t, hub.Config{Limits: &limits}), seed) })
		})
	}
}

func nothingCrosses(t *testing.T, p *platform, seed uint64) {
	defer p.hub.Close()
	rnd := rand.New(rand.NewPCG(seed, 7))
	fleet := isolationFleet(t, p)
	names := make(map[string]bool)
	for _, c := range fleet {
		for _, n := range everyFamily(c.id) {
			names[n] = true
		}
	}
	pick := func() *client { return fleet[rnd.IntN(len(fleet))] }
	for range 4000 {
		me, other := pick(), pick()
		if rnd.IntN(2) == 0 {
			me = other // its own topics must work, or the test proves nothing
		}
		all := everyFamily(other.id)
		name := all[rnd.IntN(len(all))]
		switch rnd.IntN(6) {
		case 0, 1:
			me.try(t, name, rnd)
		case 2:
			filter := name
			if rnd.IntN(3) == 0 {
				filter = wideFilters[rnd.IntN(len(wideFilters))]
			}
			me.trySubscribe(t, filter)
		case 3:
			_, _ = p.hub.Publish(t.Context(), other.id, name, []byte("to "+other.id.String()), hub.SendOptions{QoS: iot.QoS(rnd.IntN(2)), Hold: rnd.IntN(2) == 0})
		case 4:
			_, _, _ = p.hub.Broadcast(t.Context(), other.id.Product, "news", []byte("to "+other.id.Product))
		case 5:
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, _ = p.hub.RRPC(ctx, other.id, []byte("to "+other.id.String()), []string{"", name}[rnd.IntN(2)])
			cancel()
		}
	}
	synctest.Wait()
	delivered := 0
	for _, c := range fleet {
		for _, d := range c.take() {
			delivered++
			c.check(t, d)
		}
	}
	kept := 0
	for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		kept++
		if want := m.Device.Product + "/" + m.Device.Name; !strings.Contains(m.Topic, want) || string(m.Payload) != `{"id":"1","from":"`+want+`"}` {
			t.Errorf("%v has %s with payload %s in its log", m.Device, m.Topic, m.Payload)
		}
	}
	if delivered < 200 || kept < 20 {
		t.Errorf("only %d deliveries and %d kept messages: the test proves nothing", delivered, kept)
	}
}

func isolationFleet(t *testing.T, p *platform) []*client {
	var fleet []*client
	for product := range 5 {
		key := fmt.Sprintf("a1Iso%d", product)
		if _, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: key, Topics: append(topic.DefaultClasses(), classAll("user/all"))}); err != nil {
			t.Fatal(err)
		}
		for n := range 10 {
			// Names that are prefixes of each other, and the same names in all products.
			id := iot.DeviceID{Product: key, Name: "dev" + strings.Repeat("1", n+1)}
			d, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: id})
			if err != nil {
				t.Fatal(err)
			}
			c, err := p.login(d, loginOptions{will: true, clean: n%3 == 0, MQTTOptions: auth.MQTTOptions{ServerSubscribe: n%2 == 0, Ext: n % 2}})
			if err != nil {
				t.Fatal(err)
			}
			fleet = append(fleet, c)
		}
	}
	return fleet
}

// try publishes: on a foreign topic it must be rejected.
func (c *client) try(t *testing.T, name string, rnd *rand.Rand) {
	answers, err := c.publish(name, `{"id":"1","from":"`+c.id.String()+`"}`, iot.QoS(rnd.IntN(2)))
	own := strings.Contains(name, "/"+c.id.String()+"/") || strings.HasSuffix(name, "/"+c.id.String())
	if !own && !isRejected(err) && !strings.HasPrefix(name, "/ext/network/probe/") {
		t.Errorf("%v published to %s: %v", c.id, name, err)
	}
	for _, a := range answers {
		c.check(t, hal.Delivery{Message: a})
	}
}

func (c *client) trySubscribe(t *testing.T, filter string) {
	grant := c.subscribe(filter)[0]
	foreign := !strings.Contains(filter, c.id.String()) && !strings.HasPrefix(filter, "/broadcast/"+c.id.Product+"/") &&
		!strings.HasPrefix(filter, "/ext/re") && !strings.HasPrefix(filter, "/ext/network/") && !strings.HasPrefix(filter, "/ext/rrpc/+/#")
	if foreign && grant != hal.Refused {
		t.Errorf("%v may subscribe to %s", c.id, filter)
	}
}

// check holds a delivery against the only things a device may hear.
func (c *client) check(t *testing.T, d hal.Delivery) {
	parsed, err := topic.Parse(d.Message.Topic)
	if err != nil {
		t.Errorf("%v heard %q: %v", c.id, d.Message.Topic, err)
		return
	}
	ok := parsed.Device == c.id
	switch {
	case parsed.Family == topic.FamilyBroadcast:
		ok = parsed.Device.Product == c.id.Product
	case parsed.Device.IsZero(): // names no device: the payload tells whose it is
		ok = true
	}
	if to, found := strings.CutPrefix(string(d.Message.Payload), "to "); found && to != c.id.String() && to != c.id.Product {
		ok = false
	}
	if !ok {
		t.Errorf("%v heard %s: %s", c.id, d.Message.Topic, d.Message.Payload)
	}
}
