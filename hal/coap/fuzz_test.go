// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"bytes"
	"context"
	"testing"

	"pgregory.net/rapid"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/topic"
)

// checker is a platform that looks at what gets through.
type checker struct {
	onlyAccess
	t testing.TB
}

func (c checker) IssueToken(_ context.Context, p *hal.Proof, use auth.Use) (hal.TokenGrant, error) {
	if p.Device.Validate() != nil || p.Sign == "" || use != auth.UseRequests || len(p.Params) < 3 {
		c.t.Errorf("let through: %v, %d params", p.Device, len(p.Params))
	}
	return hal.TokenGrant{Token: auth.NewSecret("token")}, nil
}

func (checker) CoAPKey(context.Context, iot.DeviceID, string) ([]byte, error) {
	return make([]byte, auth.CoAPKeySize), nil
}

func (c checker) Connect(context.Context, *hal.ConnectRequest) (hal.Accepted, error) {
	return hal.Accepted{Session: mirror{c.t}}, nil
}

// mirror answers with what it got.
type mirror struct{ t testing.TB }

func (s mirror) Receive(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
	if m.Topic == "" || m.Topic[0] != '/' || len(m.Payload) > 1024 {
		s.t.Errorf("topic %q, %d bytes", m.Topic, len(m.Payload))
	}
	done([]iot.Message{m}, nil)
}

func (mirror) Authorize(topic.Operation, string) error { return nil }
func (mirror) Close(hal.Cause)                         {}

func newChecked(t testing.TB) *coap.Server {
	s, err := coap.NewServer(coap.Config{Platform: checker{t: t}, Cleartext: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// FuzzDatagram: whatever arrives is answered once at most, in its own number, and
// not with more than it may.
func FuzzDatagram(f *testing.F) {
	f.Add(post(labPost, "token", []byte(onePost)).bytes(), true)
	f.Add(post("/auth", "", []byte(signed(labSecret, lab))).bytes(), false)
	f.Add(with(post(labPost, "", []byte{0}), option{2088, "token"}).bytes(), false)
	f.Add(with(post(labPost, "token", nil), option{27, "\x0a"}).bytes(), true)
	f.Add([]byte{0x40, 0, 0, 1}, false)
	f.Add([]byte{0x52, 2, 0, 1, 1, 2, 0xb5, 't', 'o', 'p', 'i', 'c', 0x01, 'a', 0xff}, true)
	f.Fuzz(func(t *testing.T, datagram []byte, secure bool) {
		sent := newChecked(t).Handle(datagram, secure)
		if len(sent) > 1 {
			t.Fatalf("%d answers", len(sent))
		}
		confirmable := len(datagram) >= 4 && datagram[0]>>4 == 4
		if len(sent) == 0 {
			if confirmable && datagram[1]>>5 == 0 {
				t.Error("a request without an answer")
			}
			return
		}
		a := parse(t, sent[0])
		if confirmable && !bytes.Equal(sent[0][2:4], datagram[2:4]) || len(sent[0]) > 1024+16 {
			t.Errorf("answer %+v", a)
		}
	})
}

// FuzzLogin: no body of a login gets through that is none, in either form.
func FuzzLogin(f *testing.F) {
	f.Add([]byte(signed(labSecret, lab, auth.Param{Key: "seq", Value: "1"})), false)
	f.Add([]byte("\xa2\x64sign\x62ab\x63seq\x19\x01\x00"), true)
	f.Add([]byte("\xa4\x6aproductKey\x6ca1LabPk00001\x6adeviceName\x6alab_dev_01\x68clientId\x61c\x64sign\x6200"), true)
	f.Add([]byte("\xbb\xff\xff\xff\xff\xff\xff\xff\xff"), true)
	f.Fuzz(func(t *testing.T, body []byte, isCBOR bool) {
		m := post("/auth", "", body)
		if isCBOR {
			m = with(without(m, 12), option{12, "\x3c"})
		}
		sent := newChecked(t).Handle(m.bytes(), false)
		if len(sent) != 1 {
			t.Fatalf("%d answers", len(sent))
		}
		a := parse(t, sent[0])
		switch coap.Code(a.code) {
		case coap.CodeContent:
			if len(a.options) != 1 || (a.options[0].value == "\x3c") != isCBOR {
				t.Errorf("answer %+v", a)
			}
		case coap.CodeBadRequest, coap.CodeTooLarge:
		default:
			t.Errorf("answer %+v", a)
		}
	})
}

// FuzzUnseal: what can be decrypted is what was encrypted.
func FuzzUnseal(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), coap.Seal([]byte("0123456789abcdef"), []byte(onePost)))
	f.Add([]byte("0123456789abcdef"), []byte(nil))
	f.Add([]byte("0123456789abcdef"), []byte("0123456789abcde"))
	f.Fuzz(func(t *testing.T, key, text []byte) {
		if len(key) != 16 {
			return
		}
		sealed := coap.Seal(key, text)
		if back, err := coap.Unseal(key, bytes.Clone(sealed)); err != nil || !bytes.Equal(back, text) {
			t.Errorf("%q became %q, %v", text, back, err)
		}
		if plain, err := coap.Unseal(key, bytes.Clone(text)); err == nil && !bytes.Equal(coap.Seal(key, plain), text) {
			t.Errorf("%x is not what %q is sealed to", text, plain)
		}
	})
}

// TestWindow: against a memory of everything.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w coap.Window
		seen, highest := map[uint64]bool{}, int64(-1)
		base := rapid.SampledFrom([]uint64{0, 1, 1000, 1 << 40}).Draw(t, "base")
		for range 200 {
			n := base + rapid.Uint64Range(0, 300).Draw(t, "number")
			want := !seen[n] && int64(n) > highest-64
			if got := w.Take(n); got != want {
				t.Fatalf("%d is taken: %v, want %v; the highest was %d", n, got, want, highest)
			}
			if want {
				seen[n], highest = true, max(highest, int64(n))
			}
		}
	})
	var w coap.Window
	if w.Take(1<<64-1) || !w.Take(1<<64-2) || w.Take(1<<64-2) {
		t.Error("the last number")
	}
}

func TestParseCBOR(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want string // keys and values, then the sign; empty for none
	}{
		{"\xa0", "|"},
		{"\xa1\x61a\x61b", "ab|"},
		{"\xa1\x61a\x18\xff", "a255|"},
		{"\xa1\x61a\x1a\x00\x01\x00\x00", "a65536|"},
		{"\xa1\x61a\x1b\x00\x00\x00\x01\x00\x00\x00\x00", "a4294967296|"},
		{"\xa1\x61a\x38\x63", "a-100|"},
		{"\xa1\x61a\xf5", "|"},
		{"\xa2\x64SIGN\x62ab\x6asignMethod\x68hmacsha1", "|ab"},
		{"", ""},
		{"\x80", ""},
		{"\xbf\xff", ""},
		{"\xa1", ""},
		{"\xa1\x61a", ""},
		{"\xa1\x61a\x61", ""},
		{"\xa1\x01\x61b", ""},
		{"\xa1\x61a\x41b", ""},
		{"\xa1\x61a\x18", ""},
		{"\xa1\x61a\x1f", ""},
		{"\xa1\x61a\x7b\xff\xff\xff\xff\xff\xff\xff\xff", ""},
		{"\xa1\x61a\x3b\xff\xff\xff\xff\xff\xff\xff\xff", ""},
		{"\xa1\x61a\x61b\x00", ""},
		{"\xb8\x41", ""},
		{"\xa1\x6asignMethod\x63md4", ""},
	} {
		s, ok := coap.ParseCBOR([]byte(tt.in))
		got := ""
		if ok {
			for _, p := range s.Params {
				got += p.Key + p.Value
			}
			got += "|" + s.Sign
		}
		if got != tt.want {
			t.Errorf("% x: %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzRoute: a datagram on a DTLS socket is read no further than it is long, and
// only a connection id leads to its session from anywhere.
func FuzzRoute(f *testing.F) {
	cid := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	record := func(kind byte, body ...byte) []byte {
		return append([]byte{kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	}
	f.Add(record(22, 1, 0, 0, 40, 0, 0))
	f.Add(append(record(22, 16, 0), record(20, 1)...))
	f.Add(record(23, 0))
	f.Add(append(append([]byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0}, cid[:]...), 0, 0))
	f.Add([]byte{25})
	s := newChecked(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		first, keys := coap.Hello(b)
		r := coap.NewRoutes(s, cid)
		to := r.Find(b)
		named := len(b) >= 19 && b[0] == 25 && [8]byte(b[11:]) == cid
		if (to == "named") != named {
			t.Errorf("% x leads to %q", b, to)
		}
		if first && to == "older" {
			t.Errorf("a hello leads to %q", to)
		}
		data := record(23, 0)
		if after := r.Find(data); (after == "newer") != keys && len(b) >= 13 && b[0] != 25 {
			t.Errorf("% x, then data leads to %q", b, after)
		}
	})
}
