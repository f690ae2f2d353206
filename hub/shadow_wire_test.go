// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/shadow"
)

// The shadow has one topic up and one down; a prefix once written before them,
// the other's topic and the answer's are none.
func TestRow23ShadowTopics(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		other := p.register("lamp-2").ID.String()
		const report = `{"method":"update","state":{"reported":{"a":1}}}`
		for _, name := range []string{
			"topic/shadow/update/" + c.id.String(), "/topic/shadow/update/" + c.id.String(), "shadow/update/" + c.id.String(),
			"/shadow/get/" + c.id.String(), "/shadow/update/" + other, "/shadow/update/" + c.id.String() + "/x", "/shadow/delete/" + c.id.String(),
		} {
			if answers, err := c.publish(name, report, 1); len(answers) != 0 || !isRejected(err) {
				t.Errorf("%s: %d answers, %v", name, len(answers), err)
			}
		}
		if doc, err := p.hub.Shadow(t.Context(), c.id); err != nil || doc.Revision() != 0 {
			t.Errorf("revision %d, %v", doc.Revision(), err)
		}
		if got := c.shadow(report); !strings.Contains(got, "success") {
			t.Error(got)
		}
	})
}

func TestRow24MalformedDelete(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		c.shadow(`{"method":"update","state":{"reported":{"temperature":1}},"version":5}`)
		if got := c.shadow(`{"method":"delete",,"state":{"reported":{"temperature":"null"}},"clientToken":"t-7","version":7}`); !strings.Contains(got, `"success","version":7}`) {
			t.Error(got)
		}
		if got := c.shadow(`{"method":"delete";"state":{}}`); !strings.Contains(got, `"errorcode":"400"`) {
			t.Error(got)
		}
		if doc, err := p.hub.Shadow(t.Context(), c.id); err != nil || doc.Version() != 7 || strings.Contains(string(doc.Append(nil)), "temperature") {
			t.Errorf("document %s, %v", doc.Append(nil), err)
		}
	})
}

// A device that counts its versions from 1 at every boot is refused, unless the
// platform was told to renumber.
func TestRow25RebootedDevice(t *testing.T) {
	for _, renumber := range []bool{false, true} {
		bubble(t, hub.Config{RenumberShadows: renumber}, func(t *testing.T, p *platform) {
			c := p.connect(p.register("lamp-1"))
			const first = `{"method":"update","state":{"reported":{"a":1}},"version":1}`
			c.shadow(first)
			got, want := c.shadow(first), `"errorcode":"409"`
			if renumber {
				want = `"success","version":2}`
			}
			if !strings.Contains(got, want) {
				t.Errorf("renumber %v: %s", renumber, got)
			}
		})
	}
}

func TestRow26TokenComesBack(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		for _, request := range []string{
			`"method":"get"`, `"method":"update","state":{"reported":{"a":1}}`, `"method":"delete","state":{"reported":"null"}`,
			`"method":"update"`, `"method":"what"`, `"method":"update","state":{"reported":{"a":1}},"version":1`,
		} {
			if got := c.shadow(`{` + request + `,"clientToken":"pk.dn-9"}`); !strings.Contains(got, `"clientToken":"pk.dn-9"`) {
				t.Errorf("%s: %s", request, got)
			}
			if got := c.shadow(`{` + request + `}`); strings.Contains(got, "clientToken") {
				t.Errorf("%s: %s", request, got)
			}
		}
	})
}

func (p *platform) wish(c *client, desired string) *shadow.Document {
	p.t.Helper()
	doc, err := p.hub.UpdateShadow(p.t.Context(), c.id, wish(p.t, desired), 0)
	if err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait()
	return doc
}

// A wish in flight when the connection ended is told again only while it is the
// latest one and still a wish.
func TestOvertakenWishIsNotTold(t *testing.T) {
	for _, clean := range []bool{false, true} {
		for _, restart := range []bool{false, true} {
			for _, tt := range []struct {
				name string
				then func(p *platform, c *client)
				want string // in the one message of the next session; empty for none
			}{
				{"unanswered", func(*platform, *client) {}, `"n":1`},
				{"wished anew", func(p *platform, c *client) { p.wish(c, `{"n":2}`) }, `"n":2`},
				{"followed", func(_ *platform, c *client) {
					c.shadow(`{"method":"update","state":{"reported":{"n":1},"desired":null}}`)
				}, ""},
				{"taken back", func(p *platform, c *client) { p.wish(c, `null`) }, ""},
				{"taken back and wished anew", func(p *platform, c *client) {
					p.wish(c, `null`)
					p.wish(c, `{"n":3}`)
				}, `"n":3`},
			} {
				t.Run(fmt.Sprintf("%s/clean=%v/restart=%v", tt.name, clean, restart), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						p := open(t, hub.Config{})
						d := p.register("lamp-1")
						o := loginOptions{clean: clean, link: &link{hold: true}, MQTTOptions: auth.MQTTOptions{ServerSubscribe: true}}
						c, err := p.login(d, o)
						if err != nil {
							t.Fatal(err)
						}
						p.wish(c, `{"n":1}`)
						tt.then(p, c)
						c.link.Close(hal.CauseReset)
						synctest.Wait()
						if restart {
							if err := p.hub.Close(); err != nil {
								t.Fatal(err)
							}
							p = open(t, hub.Config{Store: p.store})
						}
						o.link = nil
						if c, err = p.login(d, o); err != nil {
							t.Fatal(err)
						}
						synctest.Wait()
						got := texts(c.take())
						if (tt.want == "") != (len(got) == 0) || !strings.Contains(fmt.Sprint(got), tt.want) || strings.Count(fmt.Sprint(got), "control") > 1 {
							t.Errorf("heard %q, want %q", got, tt.want)
						}
						c.goodbye()
						if err := p.hub.Close(); err != nil {
							t.Error(err)
						}
					})
				})
			}
		}
	}
}

// A wish that waits for the device to subscribe keeps up with the document, so
// that a device answering with the next version is not refused.
func TestWaitingWishKeepsUp(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		c, err := p.login(p.register("lamp-1"), loginOptions{clean: true})
		if err != nil {
			t.Fatal(err)
		}
		p.wish(c, `{"n":1}`)
		if _, err := c.publish("/shadow/update/"+c.id.String(), `{"method":"update","state":{"reported":{"m":1}},"version":40}`, 1); err != nil {
			t.Fatal(err)
		}
		c.session.(hal.Subscriber).Subscribe(t.Context(), []hal.Filter{{Topic: "/shadow/get/" + c.id.String()}}) // QoS 0
		synctest.Wait()
		got := c.take()
		if len(got) != 1 || !strings.Contains(string(got[0].Message.Payload), `"version":40`) || got[0].Message.QoS != 0 {
			t.Fatalf("heard %+v", got)
		}
		c.shadow(`{"method":"update","state":{"reported":{"n":1},"desired":null},"version":41}`)
		p.wish(c, `{"n":2}`)
		if got := c.take(); len(got) != 1 {
			t.Errorf("heard %q", texts(got))
		}
	})
}

// A device that never clears a wish hears each version once, not on every
// connection; withdrawing and getting are no wishes.
func TestUnclearedWishIsToldOnce(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		for session := range 3 {
			c := p.connect(d)
			if session == 0 {
				p.wish(c, `{"n":1}`)
			}
			synctest.Wait()
			if got := c.take(); len(got) != max(0, 1-session) {
				t.Errorf("session %d heard %q", session, texts(got))
			}
			c.goodbye()
		}
		get, err := shadow.ParseRequest([]byte(`{"method":"get"}`))
		if err != nil {
			t.Fatal(err)
		}
		if doc, err := p.hub.UpdateShadow(t.Context(), d.ID, get, 0); err != nil || doc.Revision() != 1 {
			t.Errorf("get: %v", err)
		}
		if _, err := p.hub.UpdateShadow(t.Context(), d.ID, get, 7); !errors.Is(err, hub.ErrConflict) {
			t.Errorf("get on a condition: %v", err)
		}
		versions := 0
		for range p.hub.ShadowHistory(t.Context(), d.ID, d.Created) {
			versions++
		}
		if versions != 1 {
			t.Errorf("%d versions in the history, want 1", versions)
		}
	})
}
