// SPDX-License-Identifier: Apache-2.0

package mqttwire_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/internal/mqttwire"
	"pgregory.net/rapid"
)

const limit = 1 << 20

// split cuts one packet out of b, which must be all of it.
func split(t interface{ Fatalf(string, ...any) }, b []byte) mqttwire.Packet {
	p, n, err := mqttwire.Split(b, limit)
	if err != nil || n != len(b) {
		t.Fatalf("Split(% x) = %d, %v, want all %d bytes", b, n, err, len(b))
	}
	return p
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		n    int
		err  error
	}{
		{"nothing", "", 0, nil},
		{"half a header", "\xc0", 0, nil},
		{"half a length", "\x30\x80", 0, nil},
		{"three of four length bytes", "\x30\x80\x80\x80", 0, nil},
		{"whole", "\xc0\x00", 2, nil},
		{"body missing", "\x40\x02\x00", 4, nil},
		{"more behind", "\xc0\x00\xc0\x00", 2, nil},
		{"length with leading zeros", "\xc0\x80\x80\x00", 4, nil},
		{"length of five bytes", "\x30\x80\x80\x80\x80", 0, mqttwire.ErrMalformed},
		{"too large", "\x30\x81\x80\x40", 0, mqttwire.ErrTooLarge},
		{"just small enough", "\x30\x80\x80\x40", 4 + limit, nil},
		{"type 0", "\x00", 0, mqttwire.ErrMalformed},
		{"type 15", "\xf0", 0, mqttwire.ErrMalformed},
		{"flags of CONNECT", "\x11", 0, mqttwire.ErrMalformed},
		{"QoS 3", "\x36", 0, mqttwire.ErrMalformed},
		{"UNSUBSCRIBE of LinkSDK C 4.1.0", "\xa0\x00", 2, nil},
		{"PUBREL with flags 0000", "\x60\x00", 2, nil},
		{"SUBSCRIBE with flags 0001", "\x81", 0, mqttwire.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, n, err := mqttwire.Split([]byte(c.in), limit)
			if n != c.n || !errors.Is(err, c.err) {
				t.Errorf("got %d, %v, want %d, %v", n, err, c.n, c.err)
			}
			if whole := n > 0 && len(c.in) >= n; whole != (p.First != 0) {
				t.Errorf("packet set: %v, whole: %v", p.First != 0, whole)
			}
		})
	}
}

// TestDecodeSamples decodes every golden packet, and refuses it cut short at
// any byte and with a byte too many.
func TestDecodeSamples(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			p := split(t, s.b)
			if err := decode(p); err != nil {
				t.Fatalf("% x: %v", s.b, err)
			}
			for i := range p.Body {
				cut := mqttwire.Packet{First: p.First, Body: p.Body[:i:i]}
				if err := decode(cut); !errors.Is(err, mqttwire.ErrMalformed) && !optional(cut) {
					t.Errorf("cut to %d bytes: %v, want ErrMalformed", i, err)
				}
			}
			long := mqttwire.Packet{First: p.First, Body: append(bytes.Clone(p.Body), 0)}
			if err := decode(long); !errors.Is(err, mqttwire.ErrMalformed) && !optional(long) {
				t.Errorf("with a byte too many: %v, want ErrMalformed", err)
			}
		})
	}
}

// optional tells whether a packet may end where others go on: payloads and the
// codes of SUBACK do, and lists of filters between two of them.
func optional(p mqttwire.Packet) bool {
	switch p.Type() {
	case mqttwire.TypePublish, mqttwire.TypeSuback:
		return true
	case mqttwire.TypeSubscribe:
		return len(p.Body) == 9
	case mqttwire.TypeUnsubscribe:
		return len(p.Body) == 8
	}
	return false
}

// decode runs the decoder for p's type.
func decode(p mqttwire.Packet) error {
	var err error
	switch p.Type() {
	case mqttwire.TypeConnect:
		_, err = mqttwire.ParseConnect(p.Body)
	case mqttwire.TypeConnack:
		_, err = mqttwire.ParseConnack(p.Body)
	case mqttwire.TypePublish:
		_, err = mqttwire.ParsePublish(p)
	case mqttwire.TypeSubscribe:
		_, _, err = mqttwire.ParseSubscribe(p.Body)
	case mqttwire.TypeSuback:
		_, _, err = mqttwire.ParseSuback(p.Body)
	case mqttwire.TypeUnsubscribe:
		_, _, err = mqttwire.ParseUnsubscribe(p.Body)
	case mqttwire.TypePingreq, mqttwire.TypePingresp, mqttwire.TypeDisconnect:
		err = mqttwire.ParseEmpty(p.Body)
	default:
		_, err = mqttwire.ParseID(p.Body)
	}
	return err
}

func TestParseConnectErrors(t *testing.T) {
	const name = "\x00\x04MQTT"
	for _, c := range []struct {
		name string
		body string
		err  string
	}{
		{"unknown name", "\x00\x04MQTX\x04\x02\x00\x00\x00\x00", "protocol name"},
		{"reserved flag", name + "\x04\x03\x00\x00\x00\x00", "reserved connect flag"},
		{"will QoS 3", name + "\x04\x1c\x00\x00\x00\x00\x00\x00\x00\x00", "QoS 3"},
		{"will QoS without will", name + "\x04\x08\x00\x00\x00\x00", "without a will"},
		{"will retain without will", name + "\x04\x20\x00\x00\x00\x00", "without a will"},
		{"password without user name", name + "\x04\x40\x00\x00\x00\x00\x00\x00", "without user name"},
		{"client id with NUL", name + "\x04\x02\x00\x00\x00\x01\x00", "NUL"},
		{"client id not UTF-8", name + "\x04\x02\x00\x00\x00\x01\xff", "UTF-8"},
		{"user name not UTF-8", name + "\x04\x82\x00\x00\x00\x00\x00\x01\xff", "UTF-8"},
		{"will topic not UTF-8", name + "\x04\x06\x00\x00\x00\x00\x00\x01\xff\x00\x00", "UTF-8"},
		{"user name missing", name + "\x04\x82\x00\x00\x00\x00", "ends early"},
		{"bytes behind the end", name + "\x04\x02\x00\x00\x00\x00x", "after the end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mqttwire.ParseConnect([]byte(c.body))
			if !errors.Is(err, mqttwire.ErrMalformed) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v, want ErrMalformed about %q", err, c.err)
			}
		})
	}
}

func TestParseConnectVersions(t *testing.T) {
	for _, c := range []struct {
		body  string
		level byte
	}{
		{"\x00\x04MQTT\x05\x02\x00\x3c\x05\x11\x00\x00\x00\x0a\x00\x00", 5},
		{"\x00\x04MQTT\x03", 3},
		{"\x00\x06MQIsdp\x04", 4},
		{"\x00\x04MQTT\x84", 0x84},
	} {
		_, err := mqttwire.ParseConnect([]byte(c.body))
		if v, ok := errors.AsType[*mqttwire.VersionError](err); !ok || v.Level != c.level || v.Error() == "" {
			t.Errorf("%q: got %v, want a VersionError with level %d", c.body, err, c.level)
		}
	}
}

// TestMQTT31 covers what MQTT 3.1 allows and 3.1.1 does not.
func TestMQTT31(t *testing.T) {
	const name = "\x00\x06MQIsdp\x03"
	for _, c := range []struct {
		name string
		body string
		want mqttwire.Connect
	}{
		{"user name and password missing", name + "\xc2\x00\x3c\x00\x01c", mqttwire.Connect{
			Level: 3, CleanSession: true, KeepAlive: 60, ClientID: "c",
		}},
		{"password missing", name + "\xc0\x00\x3c\x00\x01c\x00\x01u", mqttwire.Connect{
			Level: 3, KeepAlive: 60, ClientID: "c", HasUserName: true, UserName: "u",
		}},
		{"will flags without a will", name + "\x28\x00\x3c\x00\x01c", mqttwire.Connect{Level: 3, KeepAlive: 60, ClientID: "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := mqttwire.ParseConnect([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParsePublishErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		first byte
		body  string
		err   string
	}{
		{"empty", 0x30, "", "ends early"},
		{"topic cut", 0x30, "\x00\x05/a", "ends early"},
		{"empty topic", 0x30, "\x00\x00x", "empty topic"},
		{"wildcard", 0x30, "\x00\x02/+", "wildcard"},
		{"wildcard", 0x30, "\x00\x02/#", "wildcard"},
		{"NUL", 0x30, "\x00\x02/\x00", "NUL"},
		{"not UTF-8", 0x30, "\x00\x02/\xc0", "UTF-8"},
		{"no packet id", 0x32, "\x00\x02/a\x00", "ends early"},
		{"packet id 0", 0x32, "\x00\x02/a\x00\x00", "packet id 0"},
		{"QoS 3", 0x36, "\x00\x02/a\x00\x01", "QoS 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mqttwire.ParsePublish(mqttwire.Packet{First: c.first, Body: []byte(c.body)})
			if !errors.Is(err, mqttwire.ErrMalformed) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v, want ErrMalformed about %q", err, c.err)
			}
		})
	}
}

// word draws a string MQTT can carry.
func word(minLen int) *rapid.Generator[string] {
	return rapid.StringN(minLen, 40, 200).Filter(func(s string) bool { return !strings.Contains(s, "\x00") })
}

// TestRoundTrip: what is encoded decodes to the same.
func TestRoundTrip(t *testing.T) {
	topics := word(1).Filter(func(s string) bool { return !strings.ContainsAny(s, "+#") })
	payloads := rapid.SliceOfN(rapid.Byte(), 0, 20000)
	ids := rapid.Uint16Min(1)
	t.Run("Publish", rapid.MakeCheck(func(t *rapid.T) {
		want := mqttwire.Publish{
			Topic: topics.Draw(t, "topic"), Payload: payloads.Draw(t, "payload"), QoS: rapid.ByteMax(2).Draw(t, "qos"),
			Dup: rapid.Bool().Draw(t, "dup"), Retain: rapid.Bool().Draw(t, "retain"),
		}
		if want.QoS > 0 {
			want.PacketID = ids.Draw(t, "id")
		}
		b := mqttwire.AppendPublish(nil, &want)
		if len(b) != want.Len() {
			t.Fatalf("Len is %d, encoded are %d bytes", want.Len(), len(b))
		}
		got, err := mqttwire.ParsePublish(split(t, b))
		if err != nil || cmp.Diff(want, got) != "" {
			t.Fatalf("%v %s", err, cmp.Diff(want, got))
		}
	}))
	t.Run("Connect", rapid.MakeCheck(func(t *rapid.T) {
		want := mqttwire.Connect{
			Level: rapid.SampledFrom([]byte{3, 4}).Draw(t, "level"), ClientID: word(0).Draw(t, "client"),
			CleanSession: rapid.Bool().Draw(t, "clean"), KeepAlive: rapid.Uint16().Draw(t, "keepalive"),
		}
		if rapid.Bool().Draw(t, "will") {
			want.Will = &mqttwire.Will{
				Topic: word(0).Draw(t, "will topic"), Payload: payloads.Draw(t, "will payload"),
				QoS: rapid.ByteMax(2).Draw(t, "will qos"), Retain: rapid.Bool().Draw(t, "will retain"),
			}
		}
		if want.HasUserName = rapid.Bool().Draw(t, "user"); want.HasUserName {
			want.UserName = word(0).Draw(t, "user name")
			if want.HasPassword = rapid.Bool().Draw(t, "pass"); want.HasPassword {
				want.Password = payloads.Draw(t, "password")
			}
		}
		got, err := mqttwire.ParseConnect(split(t, mqttwire.AppendConnect(nil, &want)).Body)
		if err != nil || cmp.Diff(want, got) != "" {
			t.Fatalf("%v %s", err, cmp.Diff(want, got))
		}
	}))
	t.Run("Subscribe", rapid.MakeCheck(func(t *rapid.T) {
		id, names := ids.Draw(t, "id"), rapid.SliceOfN(word(1), 1, 20).Draw(t, "filters")
		var want []mqttwire.Filter
		for i, name := range names {
			want = append(want, mqttwire.Filter{Topic: name, QoS: byte(i % 3)})
		}
		gotID, got, err := mqttwire.ParseSubscribe(split(t, mqttwire.AppendSubscribe(nil, id, want...)).Body)
		if err != nil || gotID != id || cmp.Diff(want, got) != "" {
			t.Fatalf("%d %v %s", gotID, err, cmp.Diff(want, got))
		}
		gotID, gotNames, err := mqttwire.ParseUnsubscribe(split(t, mqttwire.AppendUnsubscribe(nil, id, names...)).Body)
		if err != nil || gotID != id || cmp.Diff(names, gotNames) != "" {
			t.Fatalf("%d %v %s", gotID, err, cmp.Diff(names, gotNames))
		}
	}))
}

func TestReader(t *testing.T) {
	var all []byte
	for _, s := range samples {
		all = append(all, s.b...)
	}
	large := mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "a", Payload: make([]byte, 100_000)})
	all = append(append(all, large...), mqttwire.AppendPingreq(nil)...)
	for name, src := range map[string]io.Reader{
		"at once":      bytes.NewReader(all),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(all)),
		"with errors":  iotest.DataErrReader(bytes.NewReader(all)),
	} {
		t.Run(name, func(t *testing.T) {
			r := mqttwire.NewReader(src, limit)
			for _, s := range samples {
				p, err := r.Next()
				if err != nil || p.First != s.b[0] || !bytes.HasSuffix(s.b, p.Body) {
					t.Fatalf("got % x % x %v, want % x", p.First, p.Body, err, s.b)
				}
			}
			if p, err := r.Next(); err != nil || !bytes.HasSuffix(large, p.Body) {
				t.Fatalf("large packet: %d bytes, %v", len(p.Body), err)
			}
			if p, err := r.Next(); err != nil || p.Type() != mqttwire.TypePingreq || r.Buffered() != 0 {
				t.Fatalf("last packet: %v %v, %d bytes left", p.Type(), err, r.Buffered())
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("at the end: %v, want EOF", err)
			}
		})
	}
}

func TestReaderErrors(t *testing.T) {
	for _, c := range []struct {
		in  string
		err error
	}{
		{"\x40\x02\x00", io.ErrUnexpectedEOF},
		{"\x40", io.ErrUnexpectedEOF},
		{"", io.EOF},
		{"\x00", mqttwire.ErrMalformed},
		{"\x30\xff\xff\xff\x7f", mqttwire.ErrTooLarge},
	} {
		if _, err := mqttwire.NewReader(strings.NewReader(c.in), limit).Next(); !errors.Is(err, c.err) {
			t.Errorf("%q: got %v, want %v", c.in, err, c.err)
		}
	}
}

// TestNoAllocation: the decoders on the hot path allocate nothing.
func TestNoAllocation(t *testing.T) {
	b := mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a/b", Payload: []byte("x"), QoS: 1, PacketID: 1})
	dst := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		p, _, _ := mqttwire.Split(b, limit)
		m, _ := mqttwire.ParsePublish(p)
		dst = mqttwire.AppendPublish(dst[:0], &m)
		dst = mqttwire.AppendPuback(dst, m.PacketID)
	}); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestTypeNames(t *testing.T) {
	if got := mqttwire.TypePublish.String() + " " + mqttwire.Type(0).String(); got != "PUBLISH type 0" {
		t.Errorf("got %q", got)
	}
}
