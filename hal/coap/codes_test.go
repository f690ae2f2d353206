// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/bar"
)

func cleartext(cfg *coap.Config) { cfg.Cleartext = true }

// with adds an option in its place.
func with(m message, o option) message {
	var options []option
	added := false
	for _, old := range m.options {
		if !added && old.id > o.id {
			options, added = append(options, o), true
		}
		options = append(options, old)
	}
	if !added {
		options = append(options, o)
	}
	m.options = options
	return m
}

func without(m message, id int) message {
	var options []option
	for _, o := range m.options {
		if o.id != id {
			options = append(options, o)
		}
	}
	m.options = options
	return m
}

func TestCodes(t *testing.T) {
	p := serve(t, hub.NoLimits(), cleartext)
	token, s := p.token(), p.speak(p.plain)
	in := post("/auth", "", []byte(signed(labSecret, lab)))
	say := post(labPost, token, []byte(onePost))
	get := say
	get.code = 1
	for _, tt := range []struct {
		name string
		m    message
		want coap.Code
	}{
		{"login", in, coap.CodeContent},
		{"login, JSON wanted", with(in, option{17, "\x32"}), coap.CodeContent},
		{"login, CBOR wanted", with(in, option{17, "\x3c"}), coap.CodeContent},
		{"login without format", without(in, 12), coap.CodeContent},
		{"login, XML wanted", with(in, option{17, "\x29"}), coap.CodeNotAcceptable},
		{"login in octets", with(without(in, 12), option{12, "\x2a"}), coap.CodeUnsupportedFormat},
		{"login in CBOR that is JSON", with(without(in, 12), option{12, "\x3c"}), coap.CodeBadRequest},
		{"login, not JSON", post("/auth", "", []byte("hello")), coap.CodeBadRequest},
		{"login, nothing", post("/auth", "", nil), coap.CodeBadRequest},
		{"login without sign", post("/auth", "", []byte(`{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","clientId":"c"}`)), coap.CodeBadRequest},
		{"login without client id", post("/auth", "", []byte(`{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","sign":"00"}`)), coap.CodeBadRequest},
		{"long client id", post("/auth", "", []byte(`{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","sign":"00","clientId":"`+strings.Repeat("c", 65)+`"}`)), coap.CodeBadRequest},
		{"bad name", post("/auth", "", []byte(`{"productKey":"a1LabPk00001","deviceName":"l/b","sign":"00","clientId":"c"}`)), coap.CodeBadRequest},
		{"unknown sign method", post("/auth", "", []byte(`{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","sign":"00","clientId":"c","signmethod":"md4"}`)), coap.CodeBadRequest},
		{"wrong sign", post("/auth", "", []byte(signed("guess", lab))), coap.CodeBadRequest},
		{"unknown device", post("/auth", "", []byte(signed(labSecret, iot.DeviceID{Product: lab.Product, Name: "nobody"}))), coap.CodeBadRequest},
		{"post", say, coap.CodeContent},
		{"post, octets wanted", with(say, option{17, "\x2a"}), coap.CodeContent},
		{"post in XML", with(without(say, 12), option{12, "\x29"}), coap.CodeContent},
		{"elective option", with(say, option{2000, "?"}), coap.CodeContent},
		{"query", with(say, option{15, "a=b"}), coap.CodeContent},
		{"critical option", with(say, option{2001, "?"}), coap.CodeBadOption},
		{"no token", post(labPost, "", []byte(onePost)), coap.CodeUnauthorized},
		{"wrong token", post(labPost, token[:len(token)-2]+"AA", []byte(onePost)), coap.CodeUnauthorized},
		{"foreign topic", post("/topic/sys/a1LabPk00001/lab_dev_02/thing/event/property/post", token, []byte(onePost)), coap.CodeBadRequest},
		{"not a topic", post("/topic/sys//x", token, []byte(onePost)), coap.CodeBadRequest},
		{"post is no JSON", post(labPost, token, []byte("hello")), coap.CodeBadRequest},
		{"no topic", post("/topic", token, []byte(onePost)), coap.CodeNotFound},
		{"no topic but a slash", post("/topic/", token, []byte(onePost)), coap.CodeNotFound},
		{"another path", post("/other", token, nil), coap.CodeNotFound},
		{"GET", get, coap.CodeMethodNotAllowed},
		{"largest", post("/topic/a1LabPk00001/lab_dev_01/user/update", token, []byte(strings.Repeat("x", 1024))), coap.CodeContent},
		{"too large", post("/topic/a1LabPk00001/lab_dev_01/user/update", token, []byte(strings.Repeat("x", 1025))), coap.CodeTooLarge},
		{"larger than any buffer", post("/topic/a1LabPk00001/lab_dev_01/user/update", token, []byte(strings.Repeat("x", 8000))), coap.CodeTooLarge},
		{"first of two blocks", with(say, option{27, "\x0a"}), coap.CodeTooLarge},
		{"second of two blocks", with(say, option{27, "\x12"}), coap.CodeTooLarge},
		{"one block", with(say, option{27, "\x06"}), coap.CodeContent},
		{"token in its new place", with(post(labPost, "", []byte(onePost)), option{2088, token}), coap.CodeContent},
		{"new place first", with(post(labPost, "wrong", []byte(onePost)), option{2088, token}), coap.CodeContent},
	} {
		a := s.ask(tt.m)
		if expect(t, tt.name, a, tt.want); a.typ != ack || a.token != "tok" {
			t.Errorf("%s: answer %+v", tt.name, a)
		}
	}
}

func TestCodesOfAPlatformThatStops(t *testing.T) {
	p := serve(t, hub.NoLimits(), cleartext)
	token, s := p.token(), p.speak(p.plain)
	if err := p.hub.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, "login", s.ask(post("/auth", "", []byte(signed(labSecret, lab)))), coap.CodeInternal)
	expect(t, "post", s.ask(post(labPost, token, []byte(onePost))), coap.CodeInternal)
}

func TestCodesOfLimitsAndTime(t *testing.T) {
	p := serve(t, hub.DefaultLimits(), cleartext)
	token, s := p.token(), p.speak(p.plain)
	codes := map[coap.Code]int{}
	for range 12 {
		codes[coap.Code(s.ask(post(labPost, token, []byte(onePost))).code)]++
	}
	if codes[coap.CodeContent] < 10 || codes[coap.CodeInternal] == 0 {
		t.Errorf("posts: %v", codes)
	}
	limits := hub.NoLimits()
	limits.TokenTTL = time.Nanosecond
	p = serve(t, limits, cleartext)
	expect(t, "expired", p.speak(p.plain).ask(post(labPost, p.token(), []byte(onePost))), coap.CodeUnauthorized)
}

// Without DTLS and without encryption nothing is taken, unless asked for.
func TestCleartextIsRefused(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := p.speak(p.plain)
	expect(t, "login", s.ask(post("/auth", "", []byte(signed(labSecret, lab)))), coap.CodeBadRequest)
	expect(t, "post", s.ask(post(labPost, p.token(), []byte(onePost))), coap.CodeUnauthorized)
}

func TestDisabledWithin100ms(t *testing.T) {
	bar.Within(t, 100*time.Millisecond, func() time.Duration { return disable(t) })
}

// disable returns how long after the order a device was heard.
func disable(t *testing.T) time.Duration {
	p := serve(t, hub.NoLimits(), cleartext)
	token, s := p.token(), p.speak(p.plain)
	l := s.symmetric(labSecret, lab)
	d := dialPSK(t, p.secure)
	expect(t, "before", s.ask(post(labPost, token, []byte(onePost))), coap.CodeContent)
	expect(t, "before, AES", s.ask(l.post(labPost, []byte(onePost))), coap.CodeContent)
	expect(t, "before, DTLS", d.ask(post(labPost, token, []byte(onePost))), coap.CodeContent)
	start := time.Now()
	if _, err := p.hub.DisableDevice(t.Context(), lab); err != nil {
		t.Fatal(err)
	}
	expect(t, "after", s.ask(post(labPost, token, []byte(onePost))), coap.CodeUnauthorized)
	expect(t, "after, AES", s.ask(l.post(labPost, []byte(onePost))), coap.CodeUnauthorized)
	expect(t, "after, DTLS", d.ask(post(labPost, token, []byte(onePost))), coap.CodeUnauthorized)
	took := time.Since(start)
	expect(t, "login", s.ask(post("/auth", "", []byte(signed(labSecret, lab)))), coap.CodeBadRequest)
	if _, err := tryPSK(impatience, p.secure); err == nil {
		t.Error("a disabled device made a DTLS session")
	}
	return took
}

// What comes again is answered again and not done again.
func TestRepeated(t *testing.T) {
	p := serve(t, hub.NoLimits(), cleartext)
	token, s := p.token(), p.speak(p.plain)
	for _, typ := range []byte{con, non} {
		m := post("/topic/a1LabPk00001/lab_dev_01/user/update", token, fmt.Appendf(nil, "type %d", typ))
		m.typ, m.id = typ, 7+uint16(typ)
		first := s.send(m)
		again := s.send(m)
		if first.code != byte(coap.CodeContent) || again.code != first.code || again.id != first.id || (first.id == m.id) != (typ == con) || first.typ != [...]byte{ack, non}[typ] {
			t.Errorf("type %d: %+v, then %+v", typ, first, again)
		}
	}
	if got := p.messages(); len(got) != 2 {
		t.Errorf("kept %q", got)
	}
}

// What can be read no further than its header is reset if it wants an answer.
func TestRubbish(t *testing.T) {
	p := serve(t, hub.NoLimits(), cleartext)
	for _, addr := range []string{p.plain, p.secure} {
		s := p.speak(addr)
		if addr == p.secure {
			s = dialPSK(t, addr)
			s.logsInAndPosts("before") // the session is there at both ends
		}
		for _, b := range [][]byte{{}, {0x40}, {0, 1, 2, 3}, {0x60, 0, 0, 1}, {0x70, 0, 0, 1}, {0x50, 0, 0, 1}, {0x40, 69, 0, 1}} {
			_, _ = s.conn.Write(b)
		}
		for _, b := range [][]byte{{0x40, 0, 0, 9}, {0x49, 2, 0, 9}, {0x44, 2, 0, 9, 1}, {0x40, 2, 0, 9, 0xf0}, {0x40, 2, 0, 9, 0xbf, 1}, {0x40, 2, 0, 9, 0xbd}} {
			if _, err := s.conn.Write(b); err != nil {
				t.Fatal(err)
			}
			if a := s.receive(); a.typ != rst || a.id != 9 || a.code != 0 {
				t.Errorf("% x: answer %+v", b, a)
			}
		}
	}
}

// Datagrams that are no DTLS, or too short for what they say they are, reach
// nobody and stop nothing.
func TestRubbishForDTLS(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := p.speak(p.secure)
	for kind := range 30 {
		for size := range 40 {
			b := make([]byte, size)
			if size > 0 {
				b[0] = byte(kind)
			}
			if size > 13 {
				b[13] = byte(size % 4)
			}
			if _, err := s.conn.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	dialPSK(t, p.secure).logsInAndPosts("after rubbish")
}

// A datagram that is longer than any message may be is not taken for what its
// beginning is.
func TestCutOffDatagram(t *testing.T) {
	p := serve(t, hub.NoLimits(), cleartext)
	m := post("/topic/a1LabPk00001/lab_dev_01/user/update", p.token(), bytes.Repeat([]byte("x"), 1024))
	for range 5 {
		m = with(m, option{15, strings.Repeat("q", 255)})
	}
	expect(t, "longer", p.speak(p.plain).ask(m), coap.CodeTooLarge)
	if got := p.messages(); len(got) > 0 {
		t.Errorf("kept %d bytes of 1024", len(got[0]))
	}
}
