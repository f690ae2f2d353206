// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var connectCases = []contract{
	{"RequestSaysWhoAsks", testRequest},
	{"NoPasswordNoCredential", testNoCredential},
	{"Version31", testVersion31},
	{"SessionPresent", testSessionPresent},
	{"WillIsReportedAndForgotten", testWill},
	{"OddClientIDsReachThePlatform", testOddClientIDs},
	{"SameClientIDOtherUser", testSameClientID},
	{"PacketsBehindConnect", testPacketsBehindConnect},
	{"ByteByByte", testByteByByte},
	{"DeliveriesFollowConnack", testDeliveriesFollowConnack},
	{"SessionIsReadyBeforeConnack", testReadyBeforeConnack},
	{"ClosedWhileConnecting", testClosedWhileConnecting},
}

func testRequest(f *fixture) {
	connect := login()
	connect.KeepAlive, connect.CleanSession = 1200, false
	_, s := f.connectAs(connect)
	r := s.Request
	for _, field := range []struct {
		name      string
		got, want any
	}{
		{"Protocol", r.Protocol, "mqtt"},
		{"Version", r.Version, byte(4)},
		{"Kind", r.Kind, hal.Connection},
		{"ClientID", r.ClientID, connect.ClientID},
		{"UserName", r.UserName, connect.UserName},
		{"KeepAlive", r.KeepAlive, 20 * time.Minute},
		{"CleanSession", r.CleanSession, false},
		{"Will", r.Will, false},
	} {
		if field.got != field.want {
			f.Errorf("%s is %v, want %v", field.name, field.got, field.want)
		}
	}
	if p, ok := r.Credential.(auth.Password); !ok || string(p.Bytes()) != string(connect.Password) {
		f.Errorf("Credential is a %T, want the password", r.Credential)
	}
	if r.RemoteAddr == nil || r.Link == nil {
		f.Errorf("RemoteAddr is %v, Link is %v", r.RemoteAddr, r.Link)
	}
}

func testNoCredential(f *fixture) {
	_, s := f.connectAs(&mqttwire.Connect{Level: mqttwire.Level311, ClientID: "x", CleanSession: true})
	if s.Request.Credential != nil || s.Request.UserName != "" {
		f.Errorf("credential is a %T, user name is %q", s.Request.Credential, s.Request.UserName)
	}
}

func testVersion31(f *fixture) {
	connect := login()
	connect.Level = mqttwire.Level31
	c, s := f.connectAs(connect)
	if s.Request.Version != 3 {
		f.Errorf("Version is %d, want 3", s.Request.Version)
	}
	f.expectAlive(c, s)
}

// testSessionPresent: MQTT 3.1.1 section 3.2.2.2. MQTT 3.1 has no such bit.
func testSessionPresent(f *fixture) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		return hal.Accepted{Session: s, Resumed: s.Request.UserName == "resumed"}, nil
	}
	for _, c := range []struct {
		level   byte
		clean   bool
		user    string
		present bool
	}{
		{mqttwire.Level311, false, "resumed", true},
		{mqttwire.Level311, false, "new", false},
		{mqttwire.Level311, true, "resumed", false},
		{mqttwire.Level31, false, "resumed", false},
		{mqttwire.Level31, true, "new", false},
	} {
		connect := login()
		connect.Level, connect.CleanSession, connect.UserName = c.level, c.clean, c.user
		cl := f.dial()
		cl.write(mqttwire.AppendConnect(nil, connect))
		cl.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{SessionPresent: c.present}))
	}
}

// testWill: a will is no way around the platform's checks, so there are none.
func testWill(f *fixture) {
	connect := login()
	connect.Will = &mqttwire.Will{Topic: "/sys/other/device/thing/event", Payload: []byte("boo"), QoS: 1, Retain: true}
	c, s := f.connectAs(connect)
	if !s.Request.Will {
		f.Error("Will is false, want true")
	}
	c.close() // without DISCONNECT, so that a broker would publish the will
	f.expectClosed(s, hal.CauseReset)
	if s.Waiting() > 0 {
		f.Errorf("the will arrived: %+v", s.Received(f).Copy)
	}
}

func testOddClientIDs(f *fixture) {
	for _, id := range []string{
		"",
		strings.Repeat("long", 100),
		"a1product.device|securemode=3,\n        signmethod=hmacsha1,\n        timestamp=1|",
		"\u8bbe\u5907",
	} {
		for _, level := range []byte{mqttwire.Level31, mqttwire.Level311} {
			connect := login()
			connect.ClientID, connect.Level = id, level
			if _, s := f.connectAs(connect); s.Request.ClientID != id {
				f.Errorf("ClientID is %q, want %q", s.Request.ClientID, id)
			}
		}
	}
}

// testSameClientID: who a client is, the platform decides. A listener that
// keys sessions by client id hands one user's to another.
func testSameClientID(f *fixture) {
	first, s1 := f.connect()
	connect := login()
	connect.UserName = "other&a1product"
	second, s2 := f.connectAs(connect)
	if s2.Request.UserName != connect.UserName {
		f.Errorf("UserName is %q, want %q", s2.Request.UserName, connect.UserName)
	}
	s1.Request.Link.Send(f.Context(), delivery(0, "/to/first", "1"), nil)
	s2.Request.Link.Send(f.Context(), delivery(0, "/to/second", "2"), nil)
	first.expect(publishBytes(0, "/to/first", "1"))
	second.expect(publishBytes(0, "/to/second", "2"))
	f.expectAlive(first, s1)
	f.expectAlive(second, s2)
}

// testPacketsBehindConnect: devices publish and subscribe in the millisecond
// they connect, some without waiting for the CONNACK.
func testPacketsBehindConnect(f *fixture) {
	c := f.dial()
	b := mqttwire.AppendConnect(nil, login())
	b = append(b, publishBytes(1, "/ota/device/inform/a1product/device", "{}")...)
	b = mqttwire.AppendSubscribe(b, 2, mqttwire.Filter{Topic: "/sys/+/+/#", QoS: 1})
	b = mqttwire.AppendPingreq(b)
	c.write(b)
	c.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{}))
	s := f.access.Next(f)
	flight := s.Received(f)
	c.expect(mqttwire.AppendSuback[byte](nil, 2, 1))
	c.expect(mqttwire.AppendPingresp(nil))
	flight.Done(nil, nil)
	c.expectAcks(1)
}

func testByteByByte(f *fixture) {
	c := f.dial()
	b := mqttwire.AppendConnect(nil, login())
	b = append(b, publishBytes(1, "/a/b", strings.Repeat("x", 200))...)
	b = mqttwire.AppendSubscribe(b, 2, mqttwire.Filter{Topic: "/a/#"})
	b = mqttwire.AppendUnsubscribe(b, 3, "/a/#")
	b = mqttwire.AppendPingreq(b)
	for i := range b {
		c.write(b[i : i+1])
	}
	c.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{}))
	s := f.access.Next(f)
	flight := s.Received(f)
	if got := len(flight.Copy.Payload); got != 200 {
		f.Errorf("payload has %d bytes, want 200", got)
	}
	c.expect(mqttwire.AppendSuback[byte](nil, 2, 0))
	c.expect(mqttwire.AppendUnsuback(nil, 3))
	c.expect(mqttwire.AppendPingresp(nil))
	flight.Done(nil, nil)
	c.expectAcks(1)
	c.write([]byte{0xe0})
	c.write([]byte{0})
	f.expectClosed(s, hal.CauseClient)
}

func testDeliveriesFollowConnack(f *fixture) {
	acked := make(chan error, 1)
	written := make(chan error, 1)
	f.setup(func(s *FakeSession) {
		link := s.Request.Link
		link.Send(f.Context(), delivery(7, "/a/1", "one"), func(err error) { acked <- err })
		link.Send(f.Context(), delivery(0, "/a/2", "two"), func(err error) { written <- err })
		link.Send(f.Context(), delivery(0, "/a/3", "three"), nil)
	})
	c, _ := f.connect()
	c.expect(publishBytes(7, "/a/1", "one"))
	c.expect(publishBytes(0, "/a/2", "two"))
	c.expect(publishBytes(0, "/a/3", "three"))
	if err := receive(f, written, "the QoS 0 delivery"); err != nil {
		f.Errorf("QoS 0 delivery: %v", err)
	}
	c.write(mqttwire.AppendPuback(nil, 7))
	if err := receive(f, acked, "the acknowledgement"); err != nil {
		f.Errorf("QoS 1 delivery: %v", err)
	}
}

// testReadyBeforeConnack: a client that has its CONNACK has its session.
func testReadyBeforeConnack(f *fixture) {
	entered, leave := make(chan struct{}), make(chan struct{})
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		close(entered)
		<-leave
		return hal.Accepted{Session: s}, nil
	}
	c := f.dial()
	answered := make(chan mqttwire.Packet, 1)
	c.write(mqttwire.AppendConnect(nil, login()))
	go func() {
		if p, err := c.read(); err == nil {
			answered <- p
		}
	}()
	receive(f, entered, "Connect")
	select {
	case p := <-answered:
		f.Errorf("%v before Connect returned", p.Type())
	default:
	}
	close(leave)
	if p := receive(f, answered, "the answer"); p.Type() != mqttwire.TypeConnack {
		f.Errorf("got %v, want CONNACK", p.Type())
	}
}

func testClosedWhileConnecting(f *fixture) {
	f.setup(func(s *FakeSession) {
		s.Request.Link.Close(hal.CauseKicked)
		s.Request.Link.Close(hal.CauseDeleted)
	})
	c := f.dial()
	c.write(mqttwire.AppendConnect(nil, login()))
	c.drain()
	f.expectClosed(f.access.Next(f), hal.CauseKicked)
}

var refuseCases = []contract{
	{"Codes", testRefusalCodes},
	{"DeliveriesAreGone", testRefusedDeliveries},
	{"OtherVersions", testOtherVersions},
	{"MalformedConnect", testMalformedConnect},
	{"FirstPacketIsNotConnect", testFirstPacket},
	{"HugePacketBeforeLogin", testHugeBeforeLogin},
}

func testRefusalCodes(f *fixture) {
	refusal := errors.New("set below")
	f.access.Decide = func(_ context.Context, _ *FakeSession) (hal.Accepted, error) {
		return hal.Accepted{}, refusal
	}
	for _, c := range []struct {
		err  error
		code mqttwire.Code
	}{
		{&hal.RefusedError{Reason: hal.BadVersion}, 1},
		{&hal.RefusedError{Reason: hal.BadClientID}, 2},
		{&hal.RefusedError{Reason: hal.Unavailable}, 3},
		{&hal.RefusedError{Reason: hal.BadCredentials, Err: errors.New("wrong sign")}, 4},
		{fmt.Errorf("wrapped: %w", &hal.RefusedError{Reason: hal.NotAuthorized}), 5},
		{&hal.RefusedError{Reason: 77}, 3},
		{errors.New("no database"), 3},
	} {
		for _, level := range []byte{mqttwire.Level31, mqttwire.Level311} {
			refusal = c.err
			connect := login()
			connect.Level = level
			cl := f.dial()
			cl.write(mqttwire.AppendConnect(nil, connect))
			cl.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{Code: c.code}))
			cl.expectEnd()
			if s := f.access.Next(f); s.Closes() > 0 {
				f.Errorf("%v: a session that never was is closed", c.err)
			}
		}
	}
}

func testRefusedDeliveries(f *fixture) {
	done := make(chan error, 2)
	f.access.Decide = func(ctx context.Context, s *FakeSession) (hal.Accepted, error) {
		s.Request.Link.Send(ctx, delivery(1, "/secret", "x"), func(err error) { done <- err })
		s.Request.Link.Send(ctx, delivery(0, "/secret", "x"), func(err error) { done <- err })
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials}
	}
	c := f.dial()
	c.write(mqttwire.AppendConnect(nil, login()))
	c.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{Code: 4}))
	c.expectEnd()
	for range 2 {
		if err := receive(f, done, "the delivery"); !errors.Is(err, hal.ErrGone) {
			f.Errorf("delivery: %v, want ErrGone", err)
		}
	}
}

// testOtherVersions: the answer is one an MQTT 3.1.1 client understands.
func testOtherVersions(f *fixture) {
	for _, c := range []struct {
		name  string
		level byte
	}{{"MQTT", 5}, {"MQTT", 3}, {"MQIsdp", 4}, {"MQTT", 0x84}, {"MQIsdp", 0x83}, {"MQTT", 0}} {
		head := append([]byte{0, byte(len(c.name))}, c.name...)
		rest := mqttwire.AppendConnect(nil, login())[2+2+4+1:]
		body := append(append(head, c.level), rest...)
		cl := f.dial()
		cl.write(packet(0x10, body))
		cl.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{Code: mqttwire.BadVersion}))
		cl.expectEnd()
	}
	if n := f.access.Asked(); n > 0 {
		f.Errorf("the platform was asked %d times", n)
	}
}

func testMalformedConnect(f *fixture) {
	good := mqttwire.AppendConnect(nil, login())[2:]
	withWill := login()
	withWill.Will = &mqttwire.Will{Topic: "/t", Payload: []byte("p")}
	will := mqttwire.AppendConnect(nil, withWill)[2:]
	const flags = 2 + 4 + 1
	bad := map[string][]byte{
		"no protocol name":           {},
		"unknown protocol name":      replace(good, 2, 'X'),
		"reserved flag":              replace(good, flags, good[flags]|1),
		"will QoS 3":                 replace(will, flags, will[flags]|0x18),
		"will QoS without will":      replace(good, flags, good[flags]|0x08),
		"will retain without will":   replace(good, flags, good[flags]|0x20),
		"password without user name": replace(good, flags, good[flags]&^0x80),
		"bytes behind the end":       append(slices.Clone(good), 0),
		"NUL in client id":           replace(good, flags+5, 0),
		"client id is not UTF-8":     replace(good, flags+5, 0xff),
	}
	for i := range good {
		bad[fmt.Sprintf("cut to %d bytes", i)] = good[:i]
	}
	for i := range will {
		bad[fmt.Sprintf("with will, cut to %d bytes", i)] = will[:i]
	}
	for name, body := range bad {
		cl := f.dial()
		cl.write(packet(0x10, body))
		if p, err := cl.read(); err == nil {
			f.Errorf("%s: got %v, want the end of the connection", name, p.Type())
		}
		cl.close()
	}
	if n := f.access.Asked(); n > 0 {
		f.Errorf("the platform was asked %d times, last by %+v", n, f.access.Next(f).Request)
	}
}

func testFirstPacket(f *fixture) {
	for _, b := range [][]byte{
		publishBytes(1, "/a", "x"),
		publishBytes(0, "/a", "x")[:1], // the first byte tells
		mqttwire.AppendPingreq(nil),
		mqttwire.AppendSubscribe(nil, 1, mqttwire.Filter{Topic: "#"}),
		mqttwire.AppendDisconnect(nil),
		{0x11, 0},
		{0, 0},
		{0xf0, 0},
		[]byte("GET / HTTP/1.1\r\n\r\n"),
		{0x16, 3, 1, 2, 0},
		{0x10, 0xff, 0xff, 0xff, 0xff, 1},
	} {
		c := f.dial()
		c.write(b)
		c.expectEnd()
	}
	if n := f.access.Asked(); n > 0 {
		f.Errorf("the platform was asked %d times", n)
	}
}

// testHugeBeforeLogin: five bytes from a stranger claim 256 MB.
func testHugeBeforeLogin(f *fixture) {
	grown := allocated(func() {
		for range 20 {
			c := f.dial()
			c.write([]byte{0x10, 0xff, 0xff, 0xff, 0x7f})
			c.expectEnd()
		}
	})
	if grown > 100<<20 {
		f.Errorf("%d MB were allocated", grown>>20)
	}
	if n := f.access.Asked(); n > 0 {
		f.Errorf("the platform was asked %d times", n)
	}
}

func delivery(id uint16, name, payload string) hal.Delivery {
	d := hal.Delivery{Message: iot.Message{Topic: name, Payload: []byte(payload)}, PacketID: id}
	if id > 0 {
		d.Message.QoS = iot.AtLeastOnce
	}
	return d
}
