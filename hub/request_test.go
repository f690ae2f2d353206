// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
)

// token logs a device in for requests.
func (p *platform) token(d hub.Device) auth.Token {
	p.t.Helper()
	g, err := p.hub.IssueToken(p.t.Context(), p.proof(d, d.Secret), auth.UseRequests)
	if err != nil {
		p.t.Fatal(err)
	}
	return auth.NewToken(g.Token.Reveal())
}

// request opens the session of one request.
func (p *platform) request(c auth.Credential, change func(*hal.ConnectRequest)) (*client, error) {
	r := &hal.ConnectRequest{Protocol: "http", Kind: hal.Request, Credential: c, Link: &link{}}
	if change != nil {
		change(r)
	}
	acc, err := p.hub.Connect(p.t.Context(), r)
	if err != nil {
		return nil, err
	}
	return &client{p: p, session: acc.Session}, nil
}

// ask is a whole request.
func (p *platform) ask(d hub.Device, token auth.Token, path, payload string) ([]iot.Message, int64, error) {
	c, err := p.request(token, nil)
	if err != nil {
		return nil, 0, err
	}
	defer c.session.Close(hal.CauseClient)
	answers, err := c.publish("/sys/"+d.ID.String()+"/"+path, payload, 1)
	return answers, c.session.(hal.Numbered).MessageID(), err
}

func TestRequestActivatesAndNothingElse(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("meter-1")
		token := p.token(d)
		if got, _ := p.hub.Device(t.Context(), d.ID); got.State != hub.Offline || got.Activated.IsZero() {
			t.Errorf("after the login: %v, activated %v", got.State, got.Activated)
		}
		p.expectLog(hub.OpConnect, "")
		answers, id, err := p.ask(d, token, "thing/event/property/post", onePost)
		if err != nil || len(answers) != 1 || !strings.Contains(string(answers[0].Payload), `"code":200`) || id == 0 {
			t.Fatalf("answers %v, message %d, %v", answers, id, err)
		}
		values, err := p.hub.Properties(t.Context(), d.ID)
		if err != nil || string(values["a"].Value) != "1" {
			t.Errorf("values %v, %v", values, err)
		}
		for range p.hub.PresenceEvents(t.Context(), d.ID, time.Time{}) {
			t.Error("a request has presence")
		}
	})
}

// A device that is connected stays so, and hears no answer of its requests there.
func TestRequestKicksNobody(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("meter-1")
		c := p.connect(d)
		if _, _, err := p.ask(d, p.token(d), "thing/event/property/post", onePost); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !p.hub.Online(d.ID) || len(c.take()) != 0 || c.cause != "" {
			t.Errorf("the connection noticed: online %v, cause %q", p.hub.Online(d.ID), c.cause)
		}
	})
}

func TestRequestWithAnyProof(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("meter-1")
		tr := auth.SignMQTT(d.ID, d.Secret, auth.MQTTOptions{})
		as := func(r *hal.ConnectRequest) { r.ClientID, r.UserName = tr.ClientID, tr.UserName }
		if _, err := p.request(auth.NewPassword(tr.Password.Reveal()), as); err != nil {
			t.Errorf("signed: %v", err)
		}
		_, err := p.request(auth.NewPassword("wrong"), as)
		wantReason(t, err, hal.BadCredentials)
		reg := auth.SignRegister(d.ID, p.product.Secret, auth.RegisterOptions{Random: "x"})
		_, err = p.request(auth.NewPassword(reg.Password.Reveal()), func(r *hal.ConnectRequest) { r.ClientID, r.UserName = reg.ClientID, reg.UserName })
		wantReason(t, err, hal.NotAuthorized)
		_, err = p.request(nil, nil)
		wantReason(t, err, hal.BadCredentials)
	})
}

func TestRequestTokens(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		d := p.register("meter-1")
		refused := func(name string, token auth.Token, reason hal.Reason, cause error) {
			t.Helper()
			_, _, err := p.ask(d, token, "thing/event/property/post", onePost)
			if wantReason(t, err, reason); !errors.Is(err, cause) {
				t.Errorf("%s: %v, want %v", name, err, cause)
			}
		}
		refused("nonsense", auth.NewToken("nonsense"), hal.BadCredentials, auth.ErrBadSign)
		g, err := p.hub.IssueToken(t.Context(), p.proof(d, d.Secret), auth.UseConnect)
		if err != nil {
			t.Fatal(err)
		}
		refused("for connections", auth.NewToken(g.Token.Reveal()), hal.BadCredentials, auth.ErrBadSign)
		token := p.token(d)
		time.Sleep(48 * time.Hour)
		refused("expired", token, hal.BadCredentials, auth.ErrTokenExpired)
		token = p.token(d)
		held, err := p.request(token, nil) // let in before what follows
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := p.hub.DisableDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		refused("disabled", token, hal.NotAuthorized, hub.ErrDisabled)
		if _, err := held.publish("/sys/"+d.ID.String()+"/thing/event/property/post", onePost, 1); !errors.Is(err, hub.ErrDisabled) {
			t.Errorf("a request under way: %v", err)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("the token lived for %v", took)
		}
		held.session.Close(hal.CauseClient)
		_, err = p.hub.IssueToken(t.Context(), p.proof(d, d.Secret), auth.UseRequests)
		wantReason(t, err, hal.NotAuthorized)
		if err := p.hub.DeleteDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		refused("deleted", token, hal.BadCredentials, auth.ErrBadSign)
	})
}

func TestRequestLimits(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("meter-1")
		token := p.token(d)
		refused := 0
		for range 15 {
			if _, _, err := p.ask(d, token, "thing/event/property/post", onePost); errors.Is(err, hal.ErrThrottled) && isRejected(err) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if refused != 5 {
			t.Errorf("%d of 15 refused, want 5", refused)
		}
		p.expectLog(hub.OpPublish, hub.CauseRateLimit)
		for range 4 {
			p.token(d)
		}
		_, err := p.hub.IssueToken(t.Context(), p.proof(d, d.Secret), auth.UseRequests)
		if wantReason(t, err, hal.Unavailable); !errors.Is(err, hal.ErrThrottled) {
			t.Errorf("sixth login: %v", err)
		}
	})
}

// What needs a connection says so: topology, files, foreign topics.
func TestRequestCannot(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		d := p.register("meter-1")
		token := p.token(d)
		if _, _, err := p.ask(d, token, "thing/file/upload/mqtt/init", onePost); !isRejected(err) {
			t.Errorf("file: %v", err)
		}
		c, err := p.request(token, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.session.Close(hal.CauseClient)
		if _, err := c.publish("/sys/a1TestPk0001/meter-2/thing/event/property/post", onePost, 1); !isRejected(err) {
			t.Errorf("foreign topic: %v", err)
		}
		gwProduct, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: "a1TestGw0001", Gateway: true})
		if err != nil {
			t.Fatal(err)
		}
		gw, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: gwProduct.Key, Name: "gateway-1"}})
		if err != nil {
			t.Fatal(err)
		}
		gwToken := p.token(gw)
		answers, _, err := p.ask(gw, gwToken, "thing/topo/get", `{"id":"1","params":{}}`)
		if err != nil || len(answers) != 1 {
			t.Errorf("topology: %v, %v", answers, err)
		}
		answers, _, err = p.ask(gw, gwToken, "thing/sub/register", `{"id":"1","params":[]}`)
		if err != nil || len(answers) != 1 || strings.Contains(string(answers[0].Payload), `"code":200`) {
			t.Errorf("sub-devices: %v, %v", answers, err)
		}
	})
}

func TestRequestWhenTheHubStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, hub.Config{Limits: limitless()})
		d := p.register("meter-1")
		c, err := p.request(p.token(d), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.hub.Close(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		c.session.Receive(context.Background(), iot.Message{Topic: "/sys/" + d.ID.String() + "/thing/event/property/post", Payload: []byte(onePost)}, func(_ []iot.Message, err error) { done <- err })
		if err := <-done; !errors.Is(err, hub.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		c.session.Close(hal.CauseClient)
		_, err = p.request(auth.NewToken("x"), nil)
		wantReason(t, err, hal.Unavailable)
		_, err = p.hub.IssueToken(t.Context(), p.proof(d, d.Secret), auth.UseRequests)
		wantReason(t, err, hal.Unavailable)
	})
}
