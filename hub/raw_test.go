// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hub"
)

// upperCase is a script engine without scripts: its codec speaks lines of the form
// method:word, and shouts at devices.
type upperCase struct{}

func (upperCase) Compile(source string) (alink.RawCodec, error) {
	if strings.Contains(source, "syntax error") {
		return nil, &alink.CodeError{Code: alink.CodeScriptSyntax}
	}
	return upperCase{}, nil
}

func (upperCase) Decode(ctx context.Context, _ iot.DeviceID, raw []byte) ([]byte, error) {
	method, word, ok := strings.Cut(string(raw), ":")
	switch {
	case !ok:
		return nil, &alink.CodeError{Code: alink.CodeScriptBadResult, Message: "no colon"}
	case word == "panic":
		panic(word)
	case word == "slow":
		select {
		case <-time.After(3 * time.Second):
		case <-ctx.Done():
		}
	case strings.HasPrefix(method, "reply "):
		return fmt.Appendf(nil, `{"id":%q,"code":200,"data":{"said":%q}}`, method[6:], word), nil
	}
	return fmt.Appendf(nil, `{"id":"1","version":"1.0","method":%q,"params":{"Word":%q}}`, method, word), nil
}

func (upperCase) Encode(_ context.Context, _ iot.DeviceID, message []byte) ([]byte, error) {
	return []byte(strings.ToUpper(string(message))), nil
}

func (upperCase) Transform(_ context.Context, _ iot.DeviceID, topic string, raw []byte) ([]byte, error) {
	return fmt.Appendf(nil, `{"from":%q,"text":%q}`, topic, raw), nil
}

// rawPlatform has a product of raw devices.
func rawPlatform(t *testing.T, p *platform) {
	t.Helper()
	if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) { pr.DataFormat, pr.Script = hub.Raw, "x" }); err != nil {
		t.Fatal(err)
	}
}

func (c *client) raw(payload string) (string, error) {
	answers, err := c.publish(c.sys("thing/model/up_raw"), payload, 1)
	if len(answers) == 0 {
		return "", err
	}
	return answers[0].Topic[len(c.sys("")):] + " " + string(answers[0].Payload), err
}

func TestRawDevice(t *testing.T) {
	bubble(t, hub.Config{Scripts: upperCase{}}, func(t *testing.T, p *platform) {
		rawPlatform(t, p)
		d := p.register("lamp-1")
		c := p.connect(d)
		got, err := c.raw("thing.event.property.post:hello")
		if want := `thing/model/up_raw_reply {"ID":"1","CODE":200,"MESSAGE":"SUCCESS","VERSION":"1.0","METHOD":"THING.EVENT.PROPERTY.POST","DATA":{}}`; got != want || err != nil {
			t.Errorf("answer %s, %v", got, err)
		}
		if v, err := p.hub.Properties(t.Context(), d.ID, "Word"); err != nil || string(v["Word"].Value) != `"hello"` {
			t.Errorf("values %v, %v", v, err)
		}
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{}) {
			if err != nil || m.Topic != c.sys("thing/event/property/post") || !json.Valid(m.Payload) {
				t.Errorf("logged %+v, %v", m, err)
			}
		}
		for payload, code := range map[string]alink.Code{"nothing": alink.CodeScriptBadResult, ":x": alink.CodeNoMethod} {
			if _, err := c.raw(payload); !isRejected(err) {
				t.Errorf("%s: %v", payload, err)
			}
			found := false
			for _, e := range p.logged(hub.LogQuery{Device: d.ID}) {
				found = found || e.Operation == hub.OpTransform && e.Cause == hub.CauseScript && e.Code == code
			}
			if !found {
				t.Errorf("%s: no entry with code %d", payload, code)
			}
		}
		if _, err := c.raw("x:panic"); !isRejected(err) {
			t.Errorf("panic: %v", err)
		}

		// Down: set by its own topic, services by RRPC.
		set := make(chan string, 1)
		go func() {
			a, err := p.hub.SetProperties(t.Context(), d.ID, map[string]string{"Word": "x"}, hub.CallOptions{})
			set <- fmt.Sprint(string(a.Data), err)
		}()
		synctest.Wait()
		down := c.take()
		if len(down) != 1 || down[0].Message.Topic != c.sys("thing/model/down_raw") || !strings.Contains(string(down[0].Message.Payload), `"METHOD":"THING.SERVICE.PROPERTY.SET"`) {
			t.Fatalf("sent %v", down)
		}
		id := strings.Split(string(down[0].Message.Payload), `"`)[3]
		if _, err := c.publish(c.sys("thing/model/down_raw_reply"), "reply "+id+":done", 1); err != nil {
			t.Fatal(err)
		}
		if got := <-set; got != `{"said":"done"}<nil>` {
			t.Errorf("set: %s", got)
		}
		go func() {
			a, err := p.hub.InvokeService(t.Context(), d.ID, "sing", struct{}{}, hub.CallOptions{})
			set <- fmt.Sprint(string(a.Data), err)
		}()
		synctest.Wait()
		down = c.take()
		if len(down) != 1 || !strings.HasPrefix(down[0].Message.Topic, c.sys("rrpc/request/")) || !strings.Contains(string(down[0].Message.Payload), `THING.SERVICE.SING`) {
			t.Fatalf("sent %v", down)
		}
		if _, err := c.publish(strings.Replace(down[0].Message.Topic, "/request/", "/response/", 1), "reply 7:la", 1); err != nil {
			t.Fatal(err)
		}
		if got := <-set; got != `{"said":"la"}<nil>` {
			t.Errorf("service: %s", got)
		}
		// Plain RRPC stays plain.
		go func() {
			b, err := p.hub.RRPC(t.Context(), d.ID, []byte("ping"), "")
			set <- fmt.Sprint(string(b), err)
		}()
		synctest.Wait()
		down = c.take()
		if len(down) != 1 || string(down[0].Message.Payload) != "ping" {
			t.Fatalf("sent %v", down)
		}
		if _, err := c.publish(strings.Replace(down[0].Message.Topic, "/request/", "/response/", 1), "pong", 1); err != nil {
			t.Fatal(err)
		}
		if got := <-set; got != "pong<nil>" {
			t.Errorf("RRPC: %s", got)
		}
	})
}

// TestRawKeepsOrder wants a message behind a slow one to wait for it, and another
// device not to.
func TestRawKeepsOrder(t *testing.T) {
	bubble(t, hub.Config{Scripts: upperCase{}}, func(t *testing.T, p *platform) {
		rawPlatform(t, p)
		a, b := p.connect(p.register("lamp-1")), p.connect(p.register("lamp-2"))
		type done struct {
			what string
			at   time.Duration
		}
		begin := time.Now()
		finished := make(chan done, 3)
		receive := func(c *client, name, payload, what string) {
			c.session.Receive(t.Context(), iot.Message{Topic: name, Payload: []byte(payload), QoS: 1}, func([]iot.Message, error) {
				finished <- done{what, time.Since(begin)}
			})
		}
		receive(a, a.sys("thing/model/up_raw"), "thing.event.property.post:slow", "slow")
		receive(a, "/"+a.id.String()+"/user/update", "plain", "behind")
		receive(b, b.sys("thing/model/up_raw"), "thing.event.property.post:quick", "other")
		var got []string
		for range 3 {
			d := <-finished
			got = append(got, fmt.Sprint(d.what, d.at))
		}
		if got[0] != "other0s" || !strings.HasSuffix(got[1], "3s") || !strings.HasSuffix(got[2], "3s") {
			t.Errorf("order %v", got)
		}
		var topics []string
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{Device: a.id}) {
			if err != nil {
				t.Fatal(err)
			}
			topics = append(topics, m.Topic)
		}
		if len(topics) != 2 || !strings.HasSuffix(topics[0], "property/post") {
			t.Errorf("log %v", topics)
		}
	})
}

// TestScriptReplacedUnderway replaces the script while messages flow: none is lost.
func TestScriptReplacedUnderway(t *testing.T) {
	bubble(t, hub.Config{Scripts: closing{}, Limits: limitless()}, func(t *testing.T, p *platform) {
		rawPlatform(t, p)
		c := p.connect(p.register("lamp-1"))
		failed := make(chan error, 200)
		for i := range cap(failed) {
			c.session.Receive(t.Context(), iot.Message{Topic: c.sys("thing/model/up_raw"), Payload: []byte("thing.event.property.post:x"), QoS: 1},
				func(_ []iot.Message, err error) { failed <- err })
			if i%10 == 0 {
				if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) { pr.Script = fmt.Sprint(i) }); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range cap(failed) {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// closing makes codecs that fail when they are closed, as scripts do.
type closing struct{}

func (closing) Compile(string) (alink.RawCodec, error) { return &closable{}, nil }

type closable struct {
	upperCase
	closed atomic.Bool
}

func (c *closable) Close() error { c.closed.Store(true); return nil }

func (c *closable) Decode(ctx context.Context, id iot.DeviceID, raw []byte) ([]byte, error) {
	time.Sleep(time.Millisecond)
	if c.closed.Load() {
		return nil, errors.New("closed")
	}
	return c.upperCase.Decode(ctx, id, raw)
}

func (c *closable) Encode(ctx context.Context, id iot.DeviceID, message []byte) ([]byte, error) {
	if c.closed.Load() {
		return nil, errors.New("closed")
	}
	return c.upperCase.Encode(ctx, id, message)
}

func TestTransformedTopic(t *testing.T) {
	bubble(t, hub.Config{Scripts: upperCase{}}, func(t *testing.T, p *platform) {
		rawPlatform(t, p)
		c := p.connect(p.register("lamp-1"))
		name := "/" + c.id.String() + "/user/update"
		if _, err := c.publish(name+alink.TransformSuffix, "hi", 1); err != nil {
			t.Fatal(err)
		}
		for m, err := range p.hub.Messages(t.Context(), hub.MessageQuery{}) {
			if err != nil || m.Topic != name || string(m.Payload) != `{"from":"`+name+`","text":"hi"}` {
				t.Errorf("logged %s %s, %v", m.Topic, m.Payload, err)
			}
		}
	})
}

// TestRawSubDevice has a raw sub-device speak through a gateway of JSON.
func TestRawSubDevice(t *testing.T) {
	bubble(t, hub.Config{Scripts: upperCase{}, Limits: limitless()}, func(t *testing.T, p *platform) {
		rawPlatform(t, p)
		gw := p.connect(p.newGateway("gw-1"))
		d := p.register("sub-1")
		gw.join(d)
		sub := gw.as(d.ID)
		if got, err := sub.raw("thing.event.property.post:hello"); err != nil || !strings.HasPrefix(got, "thing/model/up_raw_reply") {
			t.Errorf("answer %s, %v", got, err)
		}
		gw.take()
		if _, err := p.hub.SetProperties(t.Context(), d.ID, map[string]string{"Word": "x"}, hub.CallOptions{Queue: true}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if down := gw.take(); len(down) != 1 || down[0].Message.Topic != sub.sys("thing/model/down_raw") {
			t.Errorf("sent %v", down)
		}
	})
}

func TestScriptsOfProducts(t *testing.T) {
	bubble(t, hub.Config{Scripts: upperCase{}}, func(t *testing.T, p *platform) {
		for _, bad := range []hub.Product{
			{Key: "b1", DataFormat: "xml"},
			{Key: "b1", DataFormat: hub.Raw, Script: "syntax error"},
			{Key: "b1", DataFormat: hub.Raw, Script: strings.Repeat("x", 48<<10+1)},
		} {
			if _, err := p.hub.CreateProduct(t.Context(), bad); !errors.Is(err, hub.ErrInvalid) {
				t.Errorf("%s %.20s: %v", bad.DataFormat, bad.Script, err)
			}
		}
		// Without a script the device is told nothing, and the log says why.
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(pr *hub.Product) { pr.DataFormat = hub.Raw }); err != nil {
			t.Fatal(err)
		}
		c := p.connect(p.register("lamp-1"))
		if _, err := c.raw("x:y"); !isRejected(err) {
			t.Errorf("raw without a script: %v", err)
		}
		if e := p.expectLog(hub.OpTransform, hub.CauseScript); e.Code != alink.CodeNoScript {
			t.Errorf("code %d", e.Code)
		}
	})
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		if _, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: "b1", DataFormat: hub.Raw, Script: "x"}); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("script without an engine: %v", err)
		}
	})
	native := hub.Config{Codecs: func(pk string) alink.RawCodec { return upperCase{} }}
	bubble(t, native, func(t *testing.T, p *platform) {
		if _, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: "a1Native001", DataFormat: hub.Raw}); err != nil {
			t.Fatal(err)
		}
		d, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: "a1Native001", Name: "d-01"}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.connect(d).raw("thing.event.property.post:x"); err != nil || !strings.HasPrefix(got, "thing/model/up_raw_reply") {
			t.Errorf("native codec: %s, %v", got, err)
		}
	})
}
