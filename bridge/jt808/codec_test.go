// SPDX-License-Identifier: Apache-2.0

package jt808_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openalink/iot/bridge/jt808"
)

var cst = time.FixedZone("GMT+8", 8*3600)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// one decodes a stream that holds one message.
func one(t testing.TB, stream []byte) *jt808.Frame {
	t.Helper()
	all, d := decode(stream)
	if len(all) != 1 || d.Bad != 0 {
		t.Fatalf("%d messages, %d bad frames", len(all), d.Bad)
	}
	return all[0]
}

func decode(stream []byte) ([]*jt808.Frame, *jt808.Decoder) {
	var d jt808.Decoder
	var all []*jt808.Frame
	for len(stream) > 0 {
		m, n, _ := d.Decode(stream)
		if n == 0 {
			break
		}
		if f, ok := m.(*jt808.Frame); ok {
			all = append(all, f)
		}
		stream = stream[n:]
	}
	return all, &d
}

// The frame and its values stand in the README of SmallChi's JT808 library, with
// both escapes in it.
func TestPublishedLocation(t *testing.T) {
	f := one(t, unhex(t, "7E 02 00 00 26 12 34 56 78 90 12 00 7D 02 00 00 00 01 00 00 00 02 00 BA 7F 0E 07 E4 F1 1C 00 28 00 3C 00 00 18 10 15 10 10 10 01 04 00 00 00 64 02 02 00 7D 01 13 7E"))
	if f.ID != jt808.LocationID || f.Phone != "123456789012" || f.Serial != 126 || f.Version != jt808.V2013 || len(f.Body) != 38 {
		t.Errorf("%+v", f)
	}
	l, err := jt808.ParseLocation(f.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := jt808.Location{
		Alarm: 1, Status: 2, Latitude: 12.222222, Longitude: 132.444444, Altitude: 40, Speed: 6,
		Time:   time.Date(2018, 10, 15, 10, 10, 10, 0, cst),
		Extras: []jt808.Extra{{ID: 1, Value: []byte{0, 0, 0, 100}}, {ID: 2, Value: []byte{0, 125}}},
	}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
	if f := l.Fields(); f["mileage"] != 10.0 || f["fuel"] != 12.5 || f["fixed"] != 1 {
		t.Errorf("%v", f)
	}
	body, err := l.Append(nil)
	if err != nil || !bytes.Equal(body, f.Body) {
		t.Errorf("%x, %v", body, err)
	}
	again, err := f.Append(nil)
	if err != nil || hex.EncodeToString(again) != "7e02000026123456789012007d02000000010000000200ba7f0e07e4f11c0028003c000018101510101001040000006402020"+"07d01137e" {
		t.Errorf("%x, %v", again, err)
	}
}

// These are frames of terminals from the tests of Traccar's Huabao decoder.
func TestCapturedFrames(t *testing.T) {
	reg := one(t, unhex(t, "7E0100002D013511221122000500000000373031303748422D52303347424400000000000000000000003233363631303402CBD5424136383630387E"))
	r, err := jt808.ParseRegister(reg.Version, reg.Body)
	want := jt808.Register{Maker: "70107", Model: "HB-R03GBD", Terminal: "2366104", PlateColour: 2, Plate: "苏BA6860"}
	if diff := cmp.Diff(want, r); diff != "" || err != nil || reg.Phone != "013511221122" || reg.Serial != 5 {
		t.Errorf("%v %v %+v", diff, err, reg)
	}
	if body, err := r.Append(nil, jt808.V2013); err != nil || !bytes.Equal(body, reg.Body) {
		t.Errorf("%x %v", body, err)
	}
	other := one(t, unhex(t, "7e0100002d007089994489002800000000000000000048422d523033474244000000000000000000000031393036373531024142433030303030d17e"))
	if r, err := jt808.ParseRegister(other.Version, other.Body); err != nil || r.Model != "HB-R03GBD" || r.Terminal != "1906751" || r.Plate != "ABC00000" {
		t.Errorf("%+v %v", r, err)
	}
	auth := one(t, unhex(t, "7E0102000E013511221122000661757468656E7469636174696F6E3F7E"))
	if a, err := jt808.ParseAuthenticate(auth.Version, auth.Body); err != nil || a.Code != "authentication" {
		t.Errorf("%+v %v", a, err)
	}
	// This one was shortened by ten bytes when it was published: length and checksum
	// are those of the whole, so that the frame is refused and the body good.
	raw := unhex(t, "7E02000032013511221122000700000000000C000301578CC006CA3A5C00470000000014072317201501040000000030011631010BD07E")
	if _, err := jt808.Decode(raw[1 : len(raw)-1]); !errors.Is(err, jt808.ErrChecksum) {
		t.Errorf("shortened: %v", err)
	}
	l, err := jt808.ParseLocation(raw[13 : len(raw)-2])
	if err != nil || l.Latitude != 22.51488 || l.Longitude != 113.916508 || l.Altitude != 71 || !l.Time.Equal(time.Date(2014, 7, 23, 17, 20, 15, 0, cst)) {
		t.Errorf("%+v %v", l, err)
	}
	if f := l.Fields(); f["signal"] != uint32(22) || f["satellites"] != uint32(11) || f["ignition"] != 1 {
		t.Errorf("%v", f)
	}
}

// A stream arrives in any pieces, with noise and broken frames in it.
func TestStream(t *testing.T) {
	good, err := (&jt808.Frame{ID: jt808.Heartbeat, Phone: "1", Serial: 7}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Clone(good)
	wrong[5] ^= 1
	cut := good[:6]
	for name, c := range map[string]struct {
		in        []byte
		want, bad int
	}{
		"two":            {slicesConcat(good, good), 2, 0},
		"one flag only":  {slicesConcat(good, good[1:]), 2, 0},
		"noise":          {slicesConcat([]byte("noise"), good), 1, 0},
		"wrong checksum": {slicesConcat(wrong, good), 1, 1},
		"cut, then more": {slicesConcat(cut, good, good), 2, 1},
		"half":           {cut, 0, 0},
		"endless":        {slicesConcat([]byte{0x7e}, bytes.Repeat([]byte{1}, 5000)), 0, 1},
		"bad escape":     {[]byte{0x7e, 0x7d, 3, 0x7e}, 0, 1},
	} {
		all, d := decode(c.in)
		if len(all) != c.want || d.Bad != c.bad {
			t.Errorf("%s: %d messages, %d bad; want %d, %d", name, len(all), d.Bad, c.want, c.bad)
		}
	}
}

func slicesConcat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Parts come in any order, twice, or never.
func TestParts(t *testing.T) {
	f := &jt808.Frame{ID: jt808.BatchID, Phone: "13800138000", Version: jt808.V2019, Revision: 1, Serial: 0xfffe, Body: bytes.Repeat([]byte{0x7e, 1}, 2000)}
	parts := f.Split()
	if len(parts) != 4 {
		t.Fatalf("%d parts", len(parts))
	}
	var stream []byte
	for _, i := range []int{2, 0, 0, 3, 1} {
		var err error
		if stream, err = parts[i].Append(stream); err != nil {
			t.Fatal(err)
		}
	}
	got := one(t, stream)
	if !bytes.Equal(got.Body, f.Body) || got.Total != 0 {
		t.Errorf("%d bytes, total %d", len(got.Body), got.Total)
	}
	stream = nil
	for i := range 10 { // begun and never ended: only so many are kept
		p := f.Split()[0]
		p.Serial = uint16(100 * i)
		stream, _ = p.Append(stream)
	}
	if all, d := decode(stream); len(all) != 0 || d.Bad != 6 {
		t.Errorf("%d messages, %d bad", len(all), d.Bad)
	}
}

func text(n int) *rapid.Generator[string] {
	return rapid.StringMatching(fmt.Sprintf("[A-Za-z0-9沪苏中]{0,%d}", n/2))
}

func TestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]jt808.Version{jt808.V2013, jt808.V2019}).Draw(t, "version")
		digits := 12
		if v == jt808.V2019 {
			digits = 20
		}
		total := rapid.Uint16Range(0, 9).Draw(t, "total")
		f := jt808.Frame{
			ID: jt808.ID(rapid.Uint16().Draw(t, "id")), Version: v, Phone: rapid.StringMatching(fmt.Sprintf("[0-9]{%d}", digits)).Draw(t, "phone"),
			Serial: rapid.Uint16().Draw(t, "serial"), Encryption: rapid.Uint8Range(0, 7).Draw(t, "encryption"), Total: total,
			Body: rapid.SliceOfN(rapid.SampledFrom([]byte{0x7d, 0x7e, 0, 1, 2, 255}), 0, jt808.MaxBody).Draw(t, "body"),
		}
		if v == jt808.V2019 {
			f.Revision = rapid.Uint8().Draw(t, "revision")
		}
		if total > 0 {
			f.Index = rapid.Uint16Range(1, total).Draw(t, "index")
		}
		raw, err := f.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := jt808.Decode(raw[1 : len(raw)-1])
		if err != nil || !bytes.Equal(got.Body, f.Body) {
			t.Fatalf("%v", err)
		}
		got.Body, f.Body = nil, nil
		if diff := cmp.Diff(f, got); diff != "" {
			t.Fatal(diff)
		}
		roundTripBodies(t, v)
	})
}

func roundTripBodies(t *rapid.T, v jt808.Version) {
	r := jt808.Register{
		Province: rapid.Uint16().Draw(t, "province"), City: rapid.Uint16().Draw(t, "city"), Maker: text(5).Draw(t, "maker"),
		Model: text(20).Draw(t, "model"), Terminal: text(7).Draw(t, "terminal"), PlateColour: rapid.Uint8().Draw(t, "colour"), Plate: text(12).Draw(t, "plate"),
	}
	b, err := r.Append(nil, v)
	same(t, err)
	gotR, err := jt808.ParseRegister(v, b)
	same(t, err, r, gotR)

	a := jt808.Authenticate{Code: text(30).Draw(t, "code")}
	if v == jt808.V2019 {
		a.IMEI, a.Software = text(15).Draw(t, "imei"), text(20).Draw(t, "software")
	}
	b, err = a.Append(nil, v)
	same(t, err)
	gotA, err := jt808.ParseAuthenticate(v, b)
	same(t, err, a, gotA)

	tx := jt808.Text{Flag: rapid.Uint8().Draw(t, "flag"), Text: text(100).Draw(t, "text")}
	b, err = tx.Append(nil, v)
	same(t, err)
	gotT, err := jt808.ParseText(v, b)
	same(t, err, tx, gotT)

	l := jt808.Location{
		Alarm: rapid.Uint32().Draw(t, "alarm"), Status: rapid.Uint32().Draw(t, "status") &^ (jt808.StatusSouth | jt808.StatusWest),
		Latitude: float64(rapid.IntRange(0, 90e6).Draw(t, "lat")) / 1e6, Longitude: float64(rapid.IntRange(0, 180e6).Draw(t, "lon")) / 1e6,
		Altitude: rapid.Uint16().Draw(t, "altitude"), Speed: float64(rapid.Uint16().Draw(t, "speed")) / 10, Direction: rapid.Uint16().Draw(t, "direction"),
		Time:   time.Unix(rapid.Int64Range(946702800, 4102398000).Draw(t, "time"), 0).In(cst),
		Extras: []jt808.Extra{{ID: 0xe1, Value: []byte(text(40).Draw(t, "extra") + "x")}},
	}
	if rapid.Bool().Draw(t, "south") && l.Latitude > 0 {
		l.Latitude, l.Status = -l.Latitude, l.Status|jt808.StatusSouth
	}
	b, err = jt808.AppendBatch(nil, []jt808.Location{l, l}, true)
	same(t, err)
	all, late, err := jt808.ParseBatch(b)
	same(t, err, []jt808.Location{l, l}, all)
	if !late {
		t.Fatal("not late")
	}

	ps := []jt808.Parameter{{ID: rapid.Uint32().Draw(t, "param"), Value: []byte(text(200).Draw(t, "value") + "x")}}
	b, err = jt808.AppendParameters([]byte{1, 2}, ps)
	same(t, err)
	serial, gotP, err := jt808.ParseParametersReply(b)
	same(t, err, ps, gotP)
	if serial != 0x102 {
		t.Fatal("serial", serial)
	}
}

func same(t *rapid.T, err error, pair ...any) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(pair) == 2 {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestCannotBeSent(t *testing.T) {
	bad := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, jt808.ErrValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := (&jt808.Frame{Phone: "12a"}).Append(nil)
	bad("letters", err)
	_, err = (&jt808.Frame{Phone: "1234567890123"}).Append(nil)
	bad("13 digits", err)
	_, err = (&jt808.Frame{Body: make([]byte, 1024)}).Append(nil)
	bad("long body", err)
	_, err = jt808.Register{Maker: "abcdef"}.Append(nil, jt808.V2013)
	bad("maker", err)
	_, err = jt808.Text{Text: "\U0001F600"}.Append(nil, jt808.V2013)
	bad("not GBK", err)
	_, err = jt808.Location{Latitude: 91, Time: time.Now()}.Append(nil)
	bad("latitude", err)
	_, err = jt808.Location{}.Append(nil)
	bad("year 1", err)
	_, err = jt808.AppendParameters(nil, []jt808.Parameter{{Value: make([]byte, 256)}})
	bad("parameter", err)
}

func FuzzDecoder(f *testing.F) {
	f.Add(unhex(f, "7E02000032013511221122000700000000000C000301578CC006CA3A5C00470000000014072317201501040000000030011631010BD07E"))
	f.Add(unhex(f, "7E0100002D013511221122000500000000373031303748422D52303347424400000000000000000000003233363631303402CBD5424136383630387E"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		all, _ := decode(stream)
		for _, m := range all {
			again, err := (jt808.Encoder{}).Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := decode(again); len(got) != 1 || !bytes.Equal(got[0].Body, m.Body) || got[0].Phone != m.Phone {
				t.Errorf("%+v came back as %+v", m, got)
			}
		}
	})
}

func FuzzBodies(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0, 28})
	f.Add(make([]byte, 80))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []jt808.Version{jt808.V2013, jt808.V2019} {
			_, _ = jt808.ParseRegister(v, b)
			_, _ = jt808.ParseAuthenticate(v, b)
			_, _ = jt808.ParseText(v, b)
			if r, err := jt808.ParseResend(v, b); err == nil {
				if again, err := r.Append(nil, v); err != nil || !bytes.Equal(again, b) {
					t.Errorf("%+v: %x %v", r, again, err)
				}
			}
			if a, err := jt808.ParseAttributes(v, b); err == nil {
				_, _ = a.Append(nil, v)
			}
		}
		_, _ = jt808.ParseControl(b)
		_, _ = jt808.ParseServerTime(b)
		if ids, err := jt808.ParseIDs(b); err == nil {
			if again, err := jt808.AppendIDs(nil, ids); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%v: %x %v", ids, again, err)
			}
		}
		if tr, err := jt808.ParseTracking(b); err == nil && tr.Interval != 0 && !bytes.Equal(tr.Append(nil), b) {
			t.Errorf("%+v", tr)
		}
		_, _ = jt808.ParseAnswer(b)
		_, _ = jt808.ParseRegisterAnswer(b)
		_, _, _ = jt808.ParseParametersReply(b)
		_, _, _ = jt808.ParseBatch(b)
		if l, err := jt808.ParseLocation(b); err == nil && !l.Time.IsZero() {
			again, err := l.Append(nil)
			if err == nil {
				if back, err := jt808.ParseLocation(again); err != nil || back.Time != l.Time {
					t.Errorf("%+v, %v", back, err)
				}
			}
		}
	})
}
