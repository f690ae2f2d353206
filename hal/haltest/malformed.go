// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var malformedCases = []contract{
	{"EndsThisConnectionOnly", testMalformed},
	{"CutShort", testCutShort},
	{"TrailingBytes", testTrailing},
	{"BadFlags", testBadFlags},
	{"TooLarge", testTooLarge},
}

// expectProtocolError logs in, sends b and checks that this is the end of it.
func (f *fixture) expectProtocolError(name string, b []byte) {
	f.Helper()
	c, s := f.connect()
	defer c.close()
	c.write(b)
	if p, err := c.read(); err == nil {
		f.Errorf("%s: got %v % x, want the end of the connection", name, p.Type(), p.Body)
		return
	}
	if cause := s.Closed(f); cause != hal.CauseProtocol {
		f.Errorf("%s: session closed with cause %q, want %q", name, cause, hal.CauseProtocol)
	}
	if s.Waiting() > 0 || len(s.changes) > 0 {
		f.Errorf("%s: reached the platform", name)
	}
}

func testMalformed(f *fixture) {
	bystander, s := f.connect()
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"second CONNECT", mqttwire.AppendConnect(nil, login())},
		{"CONNACK", mqttwire.AppendConnack(nil, mqttwire.Connack{})},
		{"SUBACK", mqttwire.AppendSuback[byte](nil, 1, 0)},
		{"UNSUBACK", mqttwire.AppendUnsuback(nil, 1)},
		{"PINGRESP", mqttwire.AppendPingresp(nil)},
		{"PUBREC", mqttwire.AppendPubrec(nil, 1)},
		{"PUBREL", mqttwire.AppendPubrel(nil, 1)},
		{"PUBCOMP", mqttwire.AppendPubcomp(nil, 1)},
		{"type 0", packet(0x00, nil)},
		{"type 15", packet(0xf0, nil)},
		{"remaining length of five bytes", []byte{0x30, 0x80, 0x80, 0x80, 0x80, 0x01}},
		{"QoS 3", packet(0x36, []byte("\x00\x01a\x00\x01x"))},
		{"empty topic", publishBytes(0, "", "x")},
		{"empty topic with alias of MQTT 5", packet(0x30, []byte("\x00\x00\x03\x23\x00\x01x"))},
		{"wildcard + in topic", publishBytes(0, "/a/+/b", "x")},
		{"wildcard # in topic", publishBytes(0, "/a/#", "x")},
		{"NUL in topic", publishBytes(0, "/a\x00b", "x")},
		{"topic is not UTF-8", publishBytes(0, "/a\xff\xfe", "x")},
		{"topic with a surrogate", publishBytes(0, "/a\xed\xa0\x80", "x")},
		{"packet id 0", packet(0x32, []byte("\x00\x01a\x00\x00x"))},
		{"PUBACK of packet id 0", packet(0x40, []byte{0, 0})},
		{"SUBSCRIBE without filters", packet(0x82, []byte{0, 1})},
		{"SUBSCRIBE with packet id 0", packet(0x82, []byte("\x00\x00\x00\x01a\x00"))},
		{"SUBSCRIBE without options byte", packet(0x82, []byte("\x00\x01\x00\x01a"))},
		{"SUBSCRIBE of MQTT 5 without options byte", packet(0x82, []byte("\x00\x01\x00\x00\x01a"))},
		{"SUBSCRIBE with QoS 3", packet(0x82, []byte("\x00\x01\x00\x01a\x03"))},
		{"SUBSCRIBE with options of MQTT 5", packet(0x82, []byte("\x00\x01\x00\x01a\x04"))},
		{"SUBSCRIBE with an empty filter", packet(0x82, []byte("\x00\x01\x00\x00\x00"))},
		{"SUBSCRIBE with NUL", packet(0x82, []byte("\x00\x01\x00\x01\x00\x00"))},
		{"UNSUBSCRIBE without filters", packet(0xa2, []byte{0, 1})},
		{"UNSUBSCRIBE with an empty filter", packet(0xa2, []byte{0, 1, 0, 0})},
		{"UNSUBSCRIBE with packet id 0", packet(0xa2, []byte("\x00\x00\x00\x01a"))},
		{"text", []byte("GET / HTTP/1.1\r\n\r\n")},
	} {
		f.expectProtocolError(c.name, c.b)
	}
	f.expectAlive(bystander, s)
}

// whole are packets whose every byte is needed.
func whole() map[string][]byte {
	return map[string][]byte{
		"PUBACK":      mqttwire.AppendPuback(nil, 1),
		"SUBSCRIBE":   mqttwire.AppendSubscribe(nil, 1, mqttwire.Filter{Topic: "/a/b", QoS: 1}),
		"UNSUBSCRIBE": mqttwire.AppendUnsubscribe(nil, 1, "/a/b"),
		"PUBLISH":     mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a/b", QoS: 1, PacketID: 1}),
	}
}

// testCutShort cuts a packet at every byte and lets its length say so.
func testCutShort(f *fixture) {
	for name, b := range whole() {
		for i := range b[2:] {
			f.expectProtocolError(fmt.Sprintf("%s with %d bytes", name, i), packet(b[0], b[2:2+i]))
		}
	}
}

func testTrailing(f *fixture) {
	b := whole()
	delete(b, "PUBLISH") // what is left over is its payload
	b["PINGREQ"] = mqttwire.AppendPingreq(nil)
	b["DISCONNECT"] = mqttwire.AppendDisconnect(nil)
	for name, b := range b {
		f.expectProtocolError(name, packet(b[0], append(slices.Clone(b[2:]), 0)))
	}
}

func testBadFlags(f *fixture) {
	good := map[byte][]byte{4: {0}, 8: {0, 2}, 10: {0, 2}, 12: {0}, 14: {0}}
	b := whole()
	for _, p := range [][]byte{
		b["PUBACK"], b["SUBSCRIBE"], b["UNSUBSCRIBE"], mqttwire.AppendPingreq(nil), mqttwire.AppendDisconnect(nil),
	} {
		for flags := range byte(16) {
			if !slices.Contains(good[p[0]>>4], flags) {
				f.expectProtocolError(fmt.Sprintf("%v with flags %d", mqttwire.Type(p[0]>>4), flags), replace(p, 0, p[0]&0xf0|flags))
			}
		}
	}
}

// testTooLarge: after login, too, a claimed length costs nothing.
func testTooLarge(f *fixture) {
	grown := allocated(func() {
		f.expectProtocolError("200 MB", []byte{0x30, 0x80, 0x80, 0x80, 0x64})
		c, s := f.connect()
		c.write(packet(0x30, []byte("\x00\x01a"+strings.Repeat("x", 1000)))[:500]) // never finished
		c.close()
		f.expectClosed(s, hal.CauseReset)
	})
	if grown > 100<<20 {
		f.Errorf("%d MB were allocated", grown>>20)
	}
}
