// SPDX-License-Identifier: Apache-2.0

package jt808_test

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/bridge/jt808"
)

// The frames below and what they say are published with the tests of two other
// implementations: xtream-codec of makeclan (a terminal with the number
// 13912344329) and go-jt808 of cuteLittleDevil (17299841738).
const (
	xtream = "00000000013912344329"
	gojt   = "00000000017299841738"
)

func published(t *testing.T, phone string, version jt808.Version, id jt808.ID, text string) *jt808.Frame {
	t.Helper()
	raw := unhex(t, text)
	f := one(t, raw)
	if f.ID != id || f.Phone != phone || f.Version != version {
		t.Errorf("%+v", f)
	}
	again, err := f.Append(nil)
	if err != nil || !bytes.Equal(again, raw) {
		t.Errorf("appended again: %x %v", again, err)
	}
	return f
}

func TestPublishedBatch(t *testing.T) {
	f := published(t, xtream, jt808.V2019, jt808.BatchID,
		"7e0704403f01000000000139123443290000000200001c000000010000000101d907f2073d336c029a00210059241029213903001c000000010000000101d907f3073d336d03090043005a241029213903f87e")
	all, late, err := jt808.ParseBatch(f.Body)
	at := time.Date(2024, 10, 29, 21, 39, 3, 0, cst)
	want := []jt808.Location{
		{Alarm: 1, Status: 1, Latitude: 31.000562, Longitude: 121.451372, Altitude: 666, Speed: 3.3, Direction: 89, Time: at},
		{Alarm: 1, Status: 1, Latitude: 31.000563, Longitude: 121.451373, Altitude: 777, Speed: 6.7, Direction: 90, Time: at},
	}
	if diff := cmp.Diff(want, all); diff != "" || late || err != nil {
		t.Errorf("%v %v %v", diff, late, err)
	}
	// A late batch of 2013 and of 2019, the same location three times.
	for version, frame := range map[jt808.Version]string{
		jt808.V2013: "7e0704005d0123456789017fff000301001c000004000000080006eeb6ad02633df7013800030063200707192359001c000004000000080006eeb6ad02633df7013800030063200707192359001c000004000000080006eeb6ad02633df7013800030063200707192359067e",
		jt808.V2019: "7e0704405d0100000000017299841738ffff000301001c000004000000080006eeb6ad02633df7013800030063200707192359001c000004000000080006eeb6ad02633df7013800030063200707192359001c000004000000080006eeb6ad02633df70138000300632007071923590e7e",
	} {
		phone := map[jt808.Version]string{jt808.V2013: "012345678901", jt808.V2019: gojt}[version]
		f := published(t, phone, version, jt808.BatchID, frame)
		all, late, err := jt808.ParseBatch(f.Body)
		if len(all) != 3 || !late || err != nil {
			t.Fatalf("%d locations, %v %v", len(all), late, err)
		}
		want := jt808.Location{
			Alarm: 1024, Status: 2048, Latitude: 116.307629, Longitude: 40.058359, Altitude: 312, Speed: 0.3, Direction: 99,
			Time: time.Date(2020, 7, 7, 19, 23, 59, 0, cst),
		}
		if diff := cmp.Diff(want, all[2]); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPublishedLocations(t *testing.T) {
	f := published(t, xtream, jt808.V2019, jt808.LocationID,
		"7e02004026010000000001391234432900000000006f0000001601dc9a0707456246007b004200032501292233440202006401040000000c417e")
	l, err := jt808.ParseLocation(f.Body)
	want := jt808.Location{ // bit 2 of the state says south
		Alarm: 111, Status: 22, Latitude: -31.234567, Longitude: 121.987654, Altitude: 123, Speed: 6.6, Direction: 3,
		Time:   time.Date(2025, 1, 29, 22, 33, 44, 0, cst),
		Extras: []jt808.Extra{{ID: 2, Value: []byte{0, 100}}, {ID: 1, Value: []byte{0, 0, 0, 12}}},
	}
	if diff := cmp.Diff(want, l); diff != "" || err != nil {
		t.Errorf("%v %v", diff, err)
	}
	f = published(t, xtream, jt808.V2019, jt808.LocationReply,
		"7e0201403c0100000000013912344329000001410000007b000000de01d907f2073d336c029a004e000014102119510901040000006f020200de0302029a0402014d2504000003093001213101374e7e")
	if serial := int(f.Body[0])<<8 | int(f.Body[1]); serial != 321 {
		t.Errorf("answers %d", serial)
	}
	l, err = jt808.ParseLocation(f.Body[2:])
	if err != nil || l.Alarm != 123 || l.Status != 222 || l.Latitude != -31.000562 || l.Longitude != -121.451372 || l.Altitude != 666 || l.Speed != 7.8 ||
		!l.Time.Equal(time.Date(2014, 10, 21, 19, 51, 9, 0, cst)) || len(l.Extras) != 7 {
		t.Errorf("%+v %v", l, err)
	}
	if f := l.Fields(); f["mileage"] != 11.1 || f["fuel"] != 22.2 || f["signal"] != uint32(33) || f["satellites"] != uint32(55) {
		t.Errorf("%v", f)
	}
}

func TestPublishedParameters(t *testing.T) {
	f := published(t, xtream, jt808.V2019, jt808.ParametersReply,
		"7e0104405001000000000139123443290000029a0700000001040000006f000000400b3133393030303031313131000000400b3133393030303032323232000000400b31333930303030333333330000008102003e000000820200670000008401013b7e")
	serial, all, err := jt808.ParseParametersReply(f.Body)
	if serial != 666 || len(all) != 7 || err != nil {
		t.Fatalf("%d %v %v", serial, all, err)
	}
	for i, want := range map[int]uint32{0: 111, 4: 62, 5: 103, 6: 1} {
		if n, ok := all[i].Uint(); n != want || !ok {
			t.Errorf("parameter %#x is %d", all[i].ID, n)
		}
	}
	if all[1].ID != 0x40 || string(all[3].Value) != "13900003333" {
		t.Errorf("%+v", all)
	}
}

func TestPublishedLogin(t *testing.T) {
	f := published(t, gojt, jt808.V2019, jt808.RegisterID,
		"7e0100405301000000000172998417380000001f007363640000000000000000007777772e3830382e636f6d0000000000000000000000000000000000000037363534333231000000000000000000000000000000000000000000000001b2e241313233343b7e")
	r, err := jt808.ParseRegister(f.Version, f.Body)
	want := jt808.Register{Province: 31, City: 115, Maker: "cd", Model: "www.808.com", Terminal: "7654321", PlateColour: 1, Plate: "测A1234"}
	if diff := cmp.Diff(want, r); diff != "" || err != nil {
		t.Errorf("%v %v", diff, err)
	}
	f = published(t, gojt, jt808.V2019, jt808.AuthenticateID,
		"7e0102402f010000000001729984173800000b3137323939383431373338313233343536373839303132333435332e372e31350000000000000000000000000000227e")
	a, err := jt808.ParseAuthenticate(f.Version, f.Body)
	if diff := cmp.Diff(jt808.Authenticate{Code: "17299841738", IMEI: "123456789012345", Software: "3.7.15"}, a); diff != "" || err != nil {
		t.Errorf("%v %v", diff, err)
	}
	f = published(t, xtream, jt808.V2019, jt808.RegisterReply, "7e8100400d01000000000139123443290000006f006f6b2e2e6f6b2e2e6f6bd27e")
	if a, err := jt808.ParseRegisterAnswer(f.Body); err != nil || a != (jt808.RegisterAnswer{Serial: 111, Code: "ok..ok..ok"}) {
		t.Errorf("%+v %v", a, err)
	}
	f = published(t, xtream, jt808.V2019, jt808.PlatformAnswer, "7e8001400501000000000139123443290000006f020000dc7e")
	if a, err := jt808.ParseAnswer(f.Body); err != nil || a != (jt808.Answer{Serial: 111, ID: jt808.LocationID}) {
		t.Errorf("%+v %v", a, err)
	}
}

func TestPublishedText(t *testing.T) {
	const text = "HelloWorld 汉字 GBK 编码"
	for version, frame := range map[jt808.Version]string{
		jt808.V2013: "7e8300001901391234432300000148656c6c6f576f726c6420babad7d62047424b20b1e0c2ebf27e",
		jt808.V2019: "7e8300401a01000000000139123443290000010148656c6c6f576f726c6420babad7d62047424b20b1e0c2ebbb7e",
	} {
		want, phone := jt808.Text{Flag: 1, Text: text}, "013912344323"
		if version == jt808.V2019 {
			want.Kind, phone = 1, xtream
		}
		f := published(t, phone, version, jt808.TextDown, frame)
		got, err := jt808.ParseText(version, f.Body)
		if got != want || err != nil {
			t.Errorf("%+v %v", got, err)
		}
		if body, err := want.Append(nil, version); hex.EncodeToString(body) != hex.EncodeToString(f.Body) || err != nil {
			t.Errorf("%x %v", body, err)
		}
	}
}
