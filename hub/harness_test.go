// SPDX-License-Identifier: Apache-2.0

package hub_test

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

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f with a hub in a synctest bubble: time is virtual, and settle
// waits for everything in flight.
func bubble(t *testing.T, cfg hub.Config, f func(t *testing.T, p *platform)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := open(t, cfg)
		f(t, p)
		if err := p.hub.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// platform is a hub under test with one product.
type platform struct {
	t       testing.TB
	hub     *hub.Hub
	store   store.Engine
	product hub.Product
}

func open(t testing.TB, cfg hub.Config) *platform {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = mem.New()
	}
	h, err := hub.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	p := &platform{t: t, hub: h, store: cfg.Store}
	p.product = p.newProduct("a1TestPk0001")
	return p
}

func (p *platform) newProduct(key string) hub.Product {
	p.t.Helper()
	made, err := p.hub.CreateProduct(p.t.Context(), hub.Product{Key: key})
	if err != nil {
		p.t.Fatalf("CreateProduct: %v", err)
	}
	return made
}

func (p *platform) register(name string) hub.Device {
	p.t.Helper()
	d, err := p.hub.RegisterDevice(p.t.Context(), hub.Device{ID: iot.DeviceID{Product: p.product.Key, Name: name}})
	if err != nil {
		p.t.Fatalf("RegisterDevice: %v", err)
	}
	return d
}

// link is a hal.Link that records what it is sent and acknowledges at once,
// unless told otherwise.
type link struct {
	mu      sync.Mutex
	got     []hal.Delivery
	pending []func(error)
	hold    bool  // keep acknowledgements back
	fail    error // answer this
	cause   hal.Cause
	onClose func(hal.Cause)
}

func (l *link) Send(_ context.Context, d hal.Delivery, done func(error)) {
	d.Message.Payload = append([]byte(nil), d.Message.Payload...)
	d.Message.Topic = strings.Clone(d.Message.Topic)
	l.mu.Lock()
	if l.fail != nil {
		l.mu.Unlock()
		done(l.fail)
		return
	}
	l.got = append(l.got, d)
	if l.hold && d.PacketID != 0 {
		l.pending = append(l.pending, done)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	if done != nil {
		done(nil)
	}
}

func (l *link) Close(cause hal.Cause) {
	l.mu.Lock()
	first := l.cause == ""
	if first {
		l.cause = cause
	}
	f := l.onClose
	pending := l.pending
	l.pending = nil
	l.mu.Unlock()
	if !first {
		return
	}
	for _, done := range pending {
		done(hal.ErrGone)
	}
	if f != nil {
		f(cause)
	}
}

// ack acknowledges the oldest delivery kept back.
func (l *link) ack() {
	l.mu.Lock()
	done := l.pending[0]
	l.pending = l.pending[1:]
	l.mu.Unlock()
	done(nil)
}

// take returns what arrived and forgets it.
func (l *link) take() []hal.Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.got
	l.got = nil
	return got
}

// client is a connected device.
type client struct {
	*link
	p       *platform
	id      iot.DeviceID
	session hal.Session
	resumed bool
}

type loginOptions struct {
	auth.MQTTOptions
	keepAlive time.Duration
	clean     bool
	will      bool
	password  string // instead of the right one
	clientID  string // instead of the built one
	userName  string
	link      *link
}

// login connects a device; the error is the refusal.
func (p *platform) login(d hub.Device, o loginOptions) (*client, error) {
	if o.keepAlive == 0 {
		o.keepAlive = time.Minute
	}
	tr := auth.SignMQTT(d.ID, d.Secret, o.MQTTOptions)
	c := &client{link: o.link, p: p, id: d.ID}
	if c.link == nil {
		c.link = &link{}
	}
	r := &hal.ConnectRequest{
		Protocol: "mqtt", Version: 4, ClientID: tr.ClientID, UserName: tr.UserName,
		Credential: auth.NewPassword(tr.Password.Reveal()), KeepAlive: o.keepAlive, CleanSession: o.clean, Will: o.will, Link: c.link,
	}
	if o.password != "" {
		r.Credential = auth.NewPassword(o.password)
	}
	if o.clientID != "" {
		r.ClientID = o.clientID
	}
	if o.userName != "" {
		r.UserName = o.userName
	}
	acc, err := p.hub.Connect(p.t.Context(), r)
	if err != nil {
		return nil, err
	}
	c.session, c.resumed = acc.Session, acc.Resumed
	c.link.mu.Lock()
	c.link.onClose = func(cause hal.Cause) { go c.session.Close(cause) }
	c.link.mu.Unlock()
	return c, nil
}

// connect is login for devices that must get in: implicit subscriptions.
func (p *platform) connect(d hub.Device) *client {
	p.t.Helper()
	c, err := p.login(d, loginOptions{MQTTOptions: auth.MQTTOptions{ServerSubscribe: true}, clean: true})
	if err != nil {
		p.t.Fatalf("Connect %v: %v", d.ID, err)
	}
	return c
}

// publish hands a message in and returns the answers and the error of done.
func (c *client) publish(name, payload string, qos iot.QoS) ([]iot.Message, error) {
	type outcome struct {
		answers []iot.Message
		err     error
	}
	result := make(chan outcome, 1)
	c.session.Receive(c.p.t.Context(), iot.Message{Topic: name, Payload: []byte(payload), QoS: qos}, func(answers []iot.Message, err error) {
		var o outcome
		for _, a := range answers {
			o.answers = append(o.answers, iot.Message{Topic: strings.Clone(a.Topic), Payload: append([]byte(nil), a.Payload...), QoS: a.QoS})
		}
		o.err = err
		result <- o
	})
	o := <-result
	return o.answers, o.err
}

func (c *client) sys(path string) string { return "/sys/" + c.id.String() + "/" + path }

// post publishes a request below /sys and returns the one reply, parsed.
func (c *client) post(path, payload string) reply {
	c.p.t.Helper()
	answers, err := c.publish(c.sys(path), payload, iot.AtLeastOnce)
	if err != nil {
		c.p.t.Fatalf("%s: %v", path, err)
	}
	if len(answers) != 1 {
		c.p.t.Fatalf("%s: %d answers, want 1", path, len(answers))
	}
	if want := c.sys(path) + "_reply"; answers[0].Topic != want {
		c.p.t.Errorf("reply on %s, want %s", answers[0].Topic, want)
	}
	var r reply
	if err := json.Unmarshal(answers[0].Payload, &r); err != nil {
		c.p.t.Fatalf("%s: reply %s: %v", path, answers[0].Payload, err)
	}
	r.raw = string(answers[0].Payload)
	return r
}

type reply struct {
	ID      string          `json:"id"`
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
	raw     string
}

func (c *client) subscribe(filters ...string) []hal.Grant {
	var list []hal.Filter
	for _, f := range filters {
		list = append(list, hal.Filter{Topic: f, QoS: 1})
	}
	return c.session.(hal.Subscriber).Subscribe(c.p.t.Context(), list)
}

// goodbye ends the connection from the device's side.
func (c *client) goodbye() {
	c.session.Close(hal.CauseClient)
	synctest.Wait()
}

// logged returns the entries of the log, oldest first, without connects.
func (p *platform) logged(q hub.LogQuery) []hub.LogEntry {
	p.t.Helper()
	var list []hub.LogEntry
	for e, err := range p.hub.Logs(p.t.Context(), q) {
		if err != nil {
			p.t.Fatalf("Logs: %v", err)
		}
		list = append(list, e.LogEntry)
	}
	return list
}

// expectLog wants one entry with this operation and cause.
func (p *platform) expectLog(op hub.Operation, cause hub.LogCause) hub.LogEntry {
	p.t.Helper()
	var found []hub.LogEntry
	all := p.logged(hub.LogQuery{})
	for _, e := range all {
		if e.Operation == op && e.Cause == cause {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		var have []string
		for _, e := range all {
			have = append(have, fmt.Sprintf("%s/%s", e.Operation, e.Cause))
		}
		p.t.Errorf("%d log entries %s with cause %q, want 1; there are %v", len(found), op, cause, have)
		return hub.LogEntry{}
	}
	return found[0]
}

func reasonOf(err error) hal.Reason {
	if r, ok := errors.AsType[*hal.RefusedError](err); ok {
		return r.Reason
	}
	return 0
}

func isRejected(err error) bool {
	_, ok := errors.AsType[*hal.RejectedError](err)
	return ok
}
