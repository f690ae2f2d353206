// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

var transportCases = []struct {
	name     string
	downlink bool // needs a way to the device
	test     func(*portFixture)
}{
	{"LoginArrives", true, portLogin},
	{"RefusalsSayWhy", true, portRefused},
	{"PostReturnsWhenKept", false, portPost},
	{"MessagesArriveAsSent", false, portArrives},
	{"AnswersArrive", false, portAnswer},
	{"NotKeptIsAnError", false, portNotKept},
	{"RejectedIsToldApart", false, portRejected},
	{"ManyAtOnce", false, portMany},
	{"ContextsEndCalls", false, portContext},
	{"PropertySet", true, portPropertySet},
	{"DownlinkInOrder", true, portOrder},
	{"Subscribe", true, portSubscribe},
	{"Kicked", true, portKicked},
	{"Reconnect", false, portReconnect},
	{"CloseLeavesNothing", false, portClose},
}

// portFixture is a transport with a fake platform behind it.
type portFixture struct {
	*testing.T
	access    *FakeAccess
	transport hal.Transport
	speaks    bool
}

func newPortFixture(t *testing.T, p Port) *portFixture {
	f := &portFixture{T: t, access: new(FakeAccess), speaks: p.Speaks}
	f.transport = p.Transport(t, f.access)
	return f
}

// portSecret is the DeviceSecret of the device, which nobody checks.
const portSecret = "0123456789abcdef0123456789abcdef"

var portDevice = iot.DeviceID{Product: "a1product", Name: "device"}

func portTopic(path string) string { return "/sys/a1product/device/" + path }

func (f *portFixture) login() hal.Login {
	tr := auth.SignMQTT(portDevice, auth.NewSecret(portSecret), auth.MQTTOptions{ServerSubscribe: true})
	return hal.Login{
		ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, KeepAlive: time.Minute, DeviceSecret: auth.NewSecret(portSecret),
	}
}

// portConn is a connection, what it received, and the session of it.
type portConn struct {
	hal.Conn
	got     chan iot.Message
	session *FakeSession // nil for a transport that only speaks
}

func (f *portFixture) connect() *portConn {
	f.Helper()
	c := &portConn{got: make(chan iot.Message, recorded)}
	var err error
	if c.Conn, err = f.transport.Connect(f.Context(), f.login(), func(m iot.Message) { c.got <- m }); err != nil {
		f.Fatalf("Connect: %v", err)
	}
	f.Cleanup(func() { _ = c.Close() })
	if !f.speaks {
		c.session = f.access.Next(f)
	}
	return c
}

// publish sends a message without waiting for its end.
func (f *portFixture) publish(ctx context.Context, c *portConn, m iot.Message) <-chan error {
	end := make(chan error, 1)
	go func() { end <- c.Publish(ctx, m) }()
	return end
}

// received waits for the next message of c at the platform.
func (f *portFixture) received(c *portConn) Flight {
	f.Helper()
	if f.speaks {
		return f.access.Next(f).Received(f)
	}
	return c.session.Received(f)
}

func (f *portFixture) post(c *portConn, text string) <-chan error {
	return f.publish(f.Context(), c, iot.Message{Topic: portTopic("thing/event/property/post"), Payload: []byte(text), QoS: 1})
}

func portLogin(f *portFixture) {
	l := f.login()
	l.KeepAlive, l.CleanSession = 5*time.Minute, true
	for range 2 {
		c, err := f.transport.Connect(f.Context(), l, func(iot.Message) {})
		if err != nil {
			f.Fatal(err)
		}
		r := f.access.Next(f).Request
		p, ok := r.Credential.(auth.Password)
		if r.Kind != hal.Connection || r.Protocol == "" || r.Link == nil || r.RemoteAddr == nil || r.ClientID != l.ClientID || r.UserName != l.UserName ||
			!ok || string(p.Bytes()) != l.Password.Reveal() || r.KeepAlive != l.KeepAlive || r.CleanSession != l.CleanSession {
			f.Errorf("asked with kind %v, protocol %q, %q, %q, password %v, keep-alive %v, clean %v", r.Kind, r.Protocol, r.ClientID, r.UserName, ok, r.KeepAlive, r.CleanSession)
		}
		_ = c.Close()
		l.KeepAlive, l.CleanSession = time.Minute, false
	}
}

func portRefused(f *portFixture) {
	for _, reason := range []hal.Reason{hal.BadClientID, hal.Unavailable, hal.BadCredentials, hal.NotAuthorized} {
		f.access.Decide = func(context.Context, *FakeSession) (hal.Accepted, error) {
			return hal.Accepted{}, &hal.RefusedError{Reason: reason, Err: errors.New("a secret of the platform")}
		}
		c, err := f.transport.Connect(f.Context(), f.login(), func(iot.Message) {})
		if refused, ok := errors.AsType[*hal.RefusedError](err); c != nil || !ok || refused.Reason != reason {
			f.Errorf("refused for %v: %v", reason, err)
		}
		f.access.Next(f)
	}
}

func portPost(f *portFixture) {
	c := f.connect()
	end := f.post(c, `{"id":"1","params":{"a":1}}`)
	flight := f.received(c)
	select {
	case err := <-end:
		f.Errorf("returned before the platform kept the message: %v", err)
	default:
	}
	flight.Done(nil, nil)
	if err := receive(f, end, "the end of Publish"); err != nil {
		f.Error(err)
	}
}

func portArrives(f *portFixture) {
	c := f.connect()
	for _, want := range []iot.Message{
		{Topic: portTopic("thing/event/property/post"), Payload: []byte(`{"id":"1"}`), QoS: 1},
		{Topic: "/a1product/device/user/update", Payload: []byte{}},
		{Topic: "/a1product/device/raw", Payload: []byte{0, 1, 2, '\n', 0xff}, QoS: 1},
		{Topic: "/a1product/device/\u4e2d\u6587 %2F?", Payload: []byte("x"), QoS: 1},
		{Topic: "/a1product/device/large", Payload: bytes.Repeat([]byte{7}, 900), QoS: 1},
	} {
		end := f.publish(f.Context(), c, want)
		flight := f.received(c)
		if got := flight.Copy; got.Topic != want.Topic || !bytes.Equal(got.Payload, want.Payload) || !f.speaks && got.QoS != want.QoS {
			f.Errorf("got %+v, want %+v", got, want)
		}
		flight.Done(nil, nil)
		if err := receive(f, end, "the end of Publish"); err != nil {
			f.Errorf("%s: %v", want.Topic, err)
		}
	}
}

func portAnswer(f *portFixture) {
	c := f.connect()
	end := f.post(c, `{"id":"7"}`)
	flight := f.received(c)
	flight.Done([]iot.Message{{Topic: portTopic("thing/event/property/post_reply"), Payload: []byte(`{"id":"7","code":200}`)}}, nil)
	if err := receive(f, end, "the end of Publish"); err != nil {
		f.Error(err)
	}
	m := receive(f, c.got, "an answer")
	if m.Topic != portTopic("thing/event/property/post_reply") || string(m.Payload) != `{"id":"7","code":200}` {
		f.Errorf("answer %+v", m)
	}
}

func portNotKept(f *portFixture) {
	c := f.connect()
	end := f.post(c, "{}")
	f.received(c).Done(nil, errors.New("disk full"))
	err := receive(f, end, "the end of Publish")
	if err == nil {
		f.Error("a message that is not kept is a success")
	}
	if _, rejected := errors.AsType[*hal.RejectedError](err); rejected {
		f.Errorf("a message that is not kept is not to be tried again: %v", err)
	}
}

// portRejected: over some transports nobody hears of it.
func portRejected(f *portFixture) {
	c := f.connect()
	end := f.post(c, "{}")
	f.received(c).Done(nil, &hal.RejectedError{Err: errors.New("foreign topic")})
	err := receive(f, end, "the end of Publish")
	if _, rejected := errors.AsType[*hal.RejectedError](err); err != nil && !rejected {
		f.Errorf("a rejected message is to be tried again: %v", err)
	}
	end = f.post(c, "{}")
	f.received(c).Done(nil, nil)
	if err := receive(f, end, "the end of Publish"); err != nil {
		f.Errorf("after a rejected one: %v", err)
	}
}

func portMany(f *portFixture) {
	c := f.connect()
	const senders, each = 8, 20
	var sending sync.WaitGroup
	for n := range senders {
		sending.Go(func() {
			for i := range each {
				if err := <-f.post(c, fmt.Sprintf("%d-%d", n, i)); err != nil {
					f.Errorf("%d-%d: %v", n, i, err)
				}
			}
		})
	}
	seen := map[string]bool{}
	for range senders * each {
		flight := f.received(c)
		seen[string(flight.Copy.Payload)] = true
		flight.Done(nil, nil)
	}
	sending.Wait()
	if len(seen) != senders*each {
		f.Errorf("%d messages arrived, want %d", len(seen), senders*each)
	}
}

func portContext(f *portFixture) {
	ctx, cancel := context.WithCancel(f.Context())
	c := f.connect()
	end := f.publish(ctx, c, iot.Message{Topic: portTopic("thing/event/property/post"), QoS: 1})
	f.received(c) // never done
	cancel()
	if err := receive(f, end, "the end of Publish"); !errors.Is(err, context.Canceled) {
		f.Errorf("Publish: %v, want context.Canceled", err)
	}
	if c, err := f.transport.Connect(ctx, f.login(), func(iot.Message) {}); err == nil {
		_ = c.Close()
		f.Error("Connect with a context that ended")
	}
}

func portPropertySet(f *portFixture) {
	c := f.connect()
	set := hal.Delivery{PacketID: 17, Message: iot.Message{Topic: portTopic("thing/service/property/set"), Payload: []byte(`{"id":"9","params":{"b":1}}`), QoS: 1}}
	done := make(chan error, 1)
	c.session.Request.Link.Send(f.Context(), set, func(err error) { done <- err })
	m := receive(f, c.got, "a property set")
	if m.Topic != set.Message.Topic || !bytes.Equal(m.Payload, set.Message.Payload) {
		f.Errorf("got %+v", m)
	}
	if err := receive(f, done, "its acknowledgement"); err != nil {
		f.Error(err)
	}
	end := f.publish(f.Context(), c, iot.Message{Topic: m.Topic + "_reply", Payload: []byte(`{"id":"9","code":200}`)})
	if got := f.received(c); got.Copy.Topic != m.Topic+"_reply" {
		f.Errorf("reply on %s", got.Copy.Topic)
	} else {
		got.Done(nil, nil)
	}
	if err := receive(f, end, "the end of Publish"); err != nil {
		f.Error(err)
	}
}

func portOrder(f *portFixture) {
	c := f.connect()
	const messages = 100
	var want, got []string
	for i := range uint16(messages) {
		d := hal.Delivery{Message: iot.Message{Topic: portTopic("x"), Payload: fmt.Append(nil, i)}}
		if i%3 > 0 {
			d.PacketID, d.Message.QoS = i+1, 1
		}
		want = append(want, fmt.Sprint(i))
		done := make(chan error, 1)
		c.session.Request.Link.Send(f.Context(), d, func(err error) { done <- err })
		if i%10 == 9 { // no more than a window
			if err := receive(f, done, "an acknowledgement"); err != nil {
				f.Errorf("%d: %v", i, err)
			}
		}
	}
	for range messages {
		got = append(got, string(receive(f, c.got, "a message").Payload))
	}
	if !slices.Equal(got, want) {
		f.Errorf("got %v", got)
	}
}

func portSubscribe(f *portFixture) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		s.OnSubscribe = refuseForeign
		return hal.Accepted{Session: s}, nil
	}
	c := f.connect()
	s, ok := c.Conn.(hal.SubscribingConn)
	if !ok {
		f.Fatal("no subscriptions, and no word of it")
	}
	grants, err := s.Subscribe(f.Context(), []hal.Filter{{Topic: "/a/#", QoS: 1}, {Topic: "/foreign/+"}, {Topic: "/b"}})
	if err != nil || !slices.Equal(grants, []hal.Grant{1, hal.Refused, 0}) {
		f.Errorf("grants %v, %v", grants, err)
	}
	if err := s.Unsubscribe(f.Context(), []string{"/a/#", "/b"}); err != nil {
		f.Error(err)
	}
	if got := c.session.Changed(f).Unsubscribed; !slices.Equal(got, []string{"/a/#", "/b"}) {
		f.Errorf("unsubscribed %v", got)
	}
}

// refuseForeign grants what is asked for but topics with foreign in their name.
func refuseForeign(_ context.Context, filters []hal.Filter) []hal.Grant {
	grants := make([]hal.Grant, len(filters))
	for i, filter := range filters {
		grants[i] = hal.Grant(filter.QoS)
		if strings.Contains(filter.Topic, "foreign") {
			grants[i] = hal.Refused
		}
	}
	return grants
}

func portNoSubscriptions(f *portFixture) {
	c := f.connect()
	s, ok := c.Conn.(hal.SubscribingConn)
	if !ok {
		return // package device knows what that means
	}
	if _, err := s.Subscribe(f.Context(), []hal.Filter{{Topic: "/a"}}); !errors.Is(err, errors.ErrUnsupported) {
		f.Errorf("Subscribe: %v, want errors.ErrUnsupported", err)
	}
}

func portKicked(f *portFixture) {
	c := f.connect()
	end := f.post(c, "{}")
	f.received(c) // never done
	c.session.Request.Link.Close(hal.CauseKicked)
	receive(f, c.Done(), "the end of the connection")
	if err := receive(f, end, "the end of Publish"); !errors.Is(err, hal.ErrGone) {
		f.Errorf("Publish: %v, want ErrGone", err)
	}
	if cause := c.session.Closed(f); cause != hal.CauseKicked {
		f.Errorf("session closed with %q", cause)
	}
	if err := c.Publish(f.Context(), iot.Message{Topic: portTopic("x"), QoS: 1}); !errors.Is(err, hal.ErrGone) {
		f.Errorf("Publish after the end: %v, want ErrGone", err)
	}
}

func portReconnect(f *portFixture) {
	for i := range 10 {
		c := f.connect()
		end := f.post(c, fmt.Sprint(i))
		f.received(c).Done(nil, nil)
		if err := receive(f, end, "the end of Publish"); err != nil {
			f.Errorf("connection %d: %v", i, err)
		}
		if c.session != nil && i%2 == 0 {
			c.session.Request.Link.Close(hal.CauseReset)
			receive(f, c.Done(), "the end of the connection")
		}
		if err := c.Close(); err != nil {
			f.Error(err)
		}
	}
}

func portClose(f *portFixture) {
	_ = f.connect().Close() // a door may start goroutines of its own with the first one
	before := goleak.IgnoreCurrent()
	c := f.connect()
	end := f.post(c, "{}")
	f.received(c).Done(nil, nil)
	<-end
	for range 2 {
		if err := c.Close(); err != nil {
			f.Errorf("Close: %v", err)
		}
	}
	receive(f, c.Done(), "Done")
	if c.session != nil {
		if cause := c.session.Closed(f); cause != hal.CauseClient {
			f.Errorf("session closed with %q, want %q", cause, hal.CauseClient)
		}
	}
	goleak.VerifyNone(f, before)
}
