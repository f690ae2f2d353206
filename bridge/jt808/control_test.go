// SPDX-License-Identifier: Apache-2.0

package jt808_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/jt808"
)

// The bodies and what they say are published with the tests of SmallChi's JT808
// library; the one with 2019 in its name with those of xtream-codec.
func TestPublishedControl(t *testing.T) {
	check := func(name, body string, want any, got any, err error, again []byte, errAgain error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %s %v", name, diff, err)
		}
		if hex.EncodeToString(again) != body || errAgain != nil {
			t.Errorf("%s: %x %v", name, again, errAgain)
		}
	}
	body := "04d20201020203"
	r, err := jt808.ParseResend(jt808.V2013, unhex(t, body))
	again, errAgain := r.Append(nil, jt808.V2013)
	check("resend", body, jt808.Resend{First: 1234, Parts: []uint16{0x102, 0x203}}, r, err, again, errAgain)

	// By hand: of 2019 the count is a word.
	body = "04d2000200010003"
	r, err = jt808.ParseResend(jt808.V2019, unhex(t, body))
	again, errAgain = r.Append(nil, jt808.V2019)
	check("resend 2019", body, jt808.Resend{First: 1234, Parts: []uint16{1, 3}}, r, err, again, errAgain)

	body = "020000000100000002"
	ids, err := jt808.ParseIDs(unhex(t, body))
	again, errAgain = jt808.AppendIDs(nil, ids)
	check("ids", body, []uint32{1, 2}, ids, err, again, errAgain)

	body = "00450000007b"
	tr, err := jt808.ParseTracking(unhex(t, body))
	check("tracking", body, jt808.Tracking{Interval: 69, Seconds: 123}, tr, err, tr.Append(nil), nil)

	// By hand, from the example in the standard's table: 2017-03-15 17:09:23.
	body = "170315170923"
	at, err := jt808.ParseServerTime(unhex(t, body))
	again, errAgain = jt808.AppendServerTime(nil, at)
	check("time", body, time.Date(2017, 3, 15, 17, 9, 23, 0, time.UTC), at, err, again, errAgain)

	for frame, want := range map[string]jt808.Control{
		"7e81050001012345678900000105087e": {Command: jt808.ControlFactory},
		"7e8105004b012345678900000101313b544b4e616d653b544b3b544b3132333b7777772e62616964752e636f6d3b383830363b333330363b31323334353b636f64653b322e303b312e303b7777772e544b2e636f6d3b3630227e": {
			Command: jt808.ControlUpgrade, Params: "1;TKName;TK;TK123;www.baidu.com;8806;3306;12345;code;2.0;1.0;www.TK.com;60",
		},
	} {
		f := published(t, "012345678900", jt808.V2013, jt808.ControlID, frame)
		c, err := jt808.ParseControl(f.Body)
		again, errAgain := c.Append(nil)
		check("control", hex.EncodeToString(f.Body), want, c, err, again, errAgain)
	}
}

func TestPublishedAttributes(t *testing.T) {
	for _, c := range []struct {
		phone   string
		version jt808.Version
		frame   string
		want    jt808.Attributes
	}{
		{
			"112233445566", jt808.V2013,
			"7e0107004111223344556622b8000531303630313130343535353435393535313033000000000000346436613133001234567890123456789007616263646566670a706f69757974726577710709ea7e",
			jt808.Attributes{
				Type: 5, Maker: "10601", Model: "10455545955103", Terminal: "4d6a13", ICCID: "12345678901234567890",
				Hardware: "abcdefg", Firmware: "poiuytrewq", GNSS: 7, Radio: 9,
			},
		},
		{
			xtream, jt808.V2019,
			"7e0107406301000000000139123443290000004231323334357465726d696e616c54797065313233343536373831313131313232323232313233343536373839303132333435363738393031323334353637383930111122334455667788990968642d76312e322e3309666d2d76332e322e310302137e",
			jt808.Attributes{
				Type: 0x42, Maker: "12345", Model: "terminalType123456781111122222", Terminal: "123456789012345678901234567890", ICCID: "11112233445566778899",
				Hardware: "hd-v1.2.3", Firmware: "fm-v3.2.1", GNSS: 3, Radio: 2,
			},
		},
	} {
		f := published(t, c.phone, c.version, jt808.AttributesReply, c.frame)
		got, err := jt808.ParseAttributes(c.version, f.Body)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %s %v", c.phone, diff, err)
		}
		again, err := got.Append(nil, c.version)
		if err != nil || !bytes.Equal(again, f.Body) {
			t.Errorf("%s: %x %v", c.phone, again, err)
		}
	}
	// Some terminals of 2019 have a maker of eleven bytes, as in the registration.
	long := append([]byte{0, 1}, bytes.Repeat([]byte("m"), 11)...)
	long = append(append(long, make([]byte, 70)...), 0, 0, 1, 2)
	if a, err := jt808.ParseAttributes(jt808.V2019, long); err != nil || a.Maker != "mmmmmmmmmmm" || a.Radio != 2 {
		t.Errorf("%+v %v", a, err)
	}
}

func TestControlRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]jt808.Version{jt808.V2013, jt808.V2019}).Draw(t, "version")
		r := jt808.Resend{First: rapid.Uint16().Draw(t, "first"), Parts: rapid.SliceOfN(rapid.Uint16(), 1, 255).Draw(t, "parts")}
		b, err := r.Append(nil, v)
		same(t, err)
		gotR, err := jt808.ParseResend(v, b)
		same(t, err, r, gotR)

		c := jt808.Control{Command: rapid.Uint8().Draw(t, "command"), Params: text(60).Draw(t, "params")}
		b, err = c.Append(nil)
		same(t, err)
		gotC, err := jt808.ParseControl(b)
		same(t, err, c, gotC)

		a := jt808.Attributes{
			Type: rapid.Uint16().Draw(t, "type"), Maker: text(5).Draw(t, "maker"), Model: text(20).Draw(t, "model"), Terminal: text(7).Draw(t, "terminal"),
			ICCID: rapid.StringMatching("[0-9]{20}").Draw(t, "iccid"), Hardware: text(30).Draw(t, "hardware"), Firmware: text(30).Draw(t, "firmware"),
			GNSS: rapid.Uint8().Draw(t, "gnss"), Radio: rapid.Uint8().Draw(t, "radio"),
		}
		b, err = a.Append(nil, v)
		same(t, err)
		gotA, err := jt808.ParseAttributes(v, b)
		same(t, err, a, gotA)

		ids := rapid.SliceOfN(rapid.Uint32(), 1, 255).Draw(t, "ids")
		b, err = jt808.AppendIDs(nil, ids)
		same(t, err)
		gotIDs, err := jt808.ParseIDs(b)
		same(t, err, ids, gotIDs)

		tr := jt808.Tracking{Interval: rapid.Uint16Min(1).Draw(t, "interval"), Seconds: rapid.Uint32().Draw(t, "seconds")}
		gotT, err := jt808.ParseTracking(tr.Append(nil))
		same(t, err, tr, gotT)

		at := time.Unix(rapid.Int64Range(946702800, 4102398000).Draw(t, "time"), 0).UTC()
		b, err = jt808.AppendServerTime(nil, at)
		same(t, err)
		gotAt, err := jt808.ParseServerTime(b)
		same(t, err, at, gotAt)
	})
}

func TestParameterSizes(t *testing.T) {
	for _, c := range []struct {
		id    uint32
		value any
		want  string
	}{
		{0x01, 30.0, "0000001e"},
		{0x31, 300.0, "012c"},
		{0x84, 2.0, "02"},
		{0x13, "沪.example", "bba62e6578616d706c65"},
		{0xf000, 4294967295.0, "ffffffff"},
		{0x84, true, "01"},
	} {
		p, err := jt808.NewParameter(c.id, c.value)
		if err != nil || hex.EncodeToString(p.Value) != c.want || p.ID != c.id {
			t.Errorf("%#x %v: %x %v", c.id, c.value, p.Value, err)
		}
	}
	for _, bad := range []any{256.0, -1.0, 0.5, 1e300, []any{}, nil, "\U0001F600"} {
		if p, err := jt808.NewParameter(0x84, bad); !errors.Is(err, jt808.ErrValue) {
			t.Errorf("%v is %x, %v", bad, p.Value, err)
		}
	}
}

// Each extra of the tables of 2013 and 2019 with the length it has there; with
// another it is left out.
func TestExtras(t *testing.T) {
	for _, c := range []struct {
		id    uint8
		value string
		want  map[string]any
	}{
		{jt808.ExtraMileage, "00000064", map[string]any{"mileage": 10.0}},
		{jt808.ExtraFuel, "007d", map[string]any{"fuel": 12.5}},
		{jt808.ExtraSpeed, "0259", map[string]any{"recorderSpeed": 60.1}},
		{jt808.ExtraAlarmEvent, "0007", map[string]any{"alarmEvent": uint32(7)}},
		{jt808.ExtraTyres, "2021ff23ffffffffffffffffffffffffffffffffffffffffffffffffffff", map[string]any{"tyres": []int{32, 33, 255, 35}}},
		{jt808.ExtraTemperature, "0019", map[string]any{"temperature": 25}},
		{jt808.ExtraTemperature, "8005", map[string]any{"temperature": -5}},
		{jt808.ExtraTemperature, "fffb", map[string]any{"temperature": -5}},
		{jt808.ExtraOverspeed, "00", map[string]any{"overspeedPlace": uint8(0)}},
		{jt808.ExtraOverspeed, "0200000009", map[string]any{"overspeedPlace": uint8(2), "overspeedArea": uint32(9)}},
		{jt808.ExtraArea, "010000000901", map[string]any{"areaPlace": uint8(1), "area": uint32(9), "areaLeft": uint8(1)}},
		{jt808.ExtraRouteTime, "00000009012c01", map[string]any{"route": uint32(9), "routeTime": uint16(300), "routeLong": uint8(1)}},
		{jt808.ExtraVideoAlarm, "00000003", map[string]any{"videoAlarm": uint32(3)}},
		{jt808.ExtraVideoLost, "00000003", map[string]any{"videoLost": uint32(3)}},
		{jt808.ExtraVideoBlocked, "00000003", map[string]any{"videoBlocked": uint32(3)}},
		{jt808.ExtraStorage, "0003", map[string]any{"storage": uint32(3)}},
		{jt808.ExtraSignals, "00000003", map[string]any{"signals": uint32(3)}},
		{jt808.ExtraIO, "0002", map[string]any{"io": uint32(2)}},
		{jt808.ExtraAnalog, "00020001", map[string]any{"analog0": uint16(1), "analog1": uint16(2)}},
		{jt808.ExtraSignal, "16", map[string]any{"signal": uint32(22)}},
		{jt808.ExtraSatellites, "0b", map[string]any{"satellites": uint32(11)}},
		{jt808.ExtraSatellites, "0b0b", nil},
		{jt808.ExtraArea, "0100000009", nil},
		{jt808.ExtraTemperature, "", nil},
		{0xe1, "01", nil},
	} {
		got := jt808.Location{Extras: []jt808.Extra{{ID: c.id, Value: unhex(t, c.value)}}}.Fields()
		for name := range (jt808.Location{}).Fields() {
			delete(got, name)
		}
		if want := c.want; len(got) != len(want) || want != nil && cmp.Diff(want, got) != "" {
			t.Errorf("%#02x %s: %v, want %v", c.id, c.value, got, want)
		}
	}
}

// Bits of a location become properties of their own.
func ExampleLocation_Fields() {
	table := bridge.Table{
		{Name: "speed", Property: "Speed"},
		{Name: "alarm", Mask: jt808.AlarmOverspeed, Property: "Overspeed"},
		{Name: "alarm", Mask: jt808.AlarmDoor, Property: "DoorAlarm"},
		{Name: "status", Mask: jt808.StatusLoad, Property: "Load"},
		{Name: "signals", Mask: jt808.SignalBrake, Property: "Brake"},
	}
	l := jt808.Location{
		Speed: 93.5, Alarm: jt808.AlarmOverspeed, Status: jt808.StatusFixed | jt808.StatusLoad,
		Extras: []jt808.Extra{{ID: jt808.ExtraSignals, Value: []byte{0, 0, 0, jt808.SignalBrake}}},
	}
	fmt.Println(table.Apply(l.Fields()))
	// Output: map[Brake:1 DoorAlarm:0 Load:3 Overspeed:1 Speed:93.5]
}
