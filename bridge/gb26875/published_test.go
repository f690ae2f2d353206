// SPDX-License-Identifier: Apache-2.0

package gb26875_test

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/bridge/gb26875"
)

// The bytes of this file and what they say are published with the tests of
// codec_gb26875_3_2011 of shootingfans.

// at is the time most of the objects carry.
func at(second int) time.Time {
	return time.Date(2021, 7, 2, 9, 0, second, 0, time.FixedZone("GMT+8", 8*3600))
}

func TestPublishedFrame(t *testing.T) {
	const frame = "40400000" + "0101" + "180d11160a14" + "000000000000" + "060504030201" + "3000" + "02" +
		"02010103" + "00d9000600" + "0200" + "a3c1c7f8a3b1b2e3dfc8b2b8d7dfc0c8000000000000000000000000000000" + "301213010814" + "682323"
	raw, err := hex.DecodeString(frame)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gb26875.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if f.Command != gb26875.Data || f.Version != [2]uint8{1, 1} || f.From != 0 || f.To != 0x010203040506 || f.Type != gb26875.PartState ||
		!f.Time.Equal(time.Date(2020, 10, 22, 17, 13, 24, 0, time.FixedZone("GMT+8", 8*3600))) {
		t.Errorf("%+v", f)
	}
	all, err := f.Parse()
	want := []gb26875.Object{{
		System: 1, SystemAddress: 3, PartAddress: 0x0600d9, State: gb26875.Fire, Text: "Ａ区１层呷哺走廊",
		Time: time.Unix(1596280728, 0),
	}}
	if diff := cmp.Diff(want, all); diff != "" || err != nil {
		t.Errorf("%v %v", diff, err)
	}
	if again, err := f.Append(nil); hex.EncodeToString(again) != frame || err != nil {
		t.Errorf("%x %v", again, err)
	}
	raw[len(raw)-3] = 0x63 // as another of the published frames has it
	if _, err := gb26875.Decode(raw); !errors.Is(err, gb26875.ErrChecksum) {
		t.Errorf("wrong checksum: %v", err)
	}
}

func TestPublishedObjects(t *testing.T) {
	const detector = "37c2a53032cad2bbe1d2e9cad2d1ccb8d0" + "0000000000000000000000000000"
	for data, want := range map[string][]gb26875.Object{
		"0102" + "01020402040009020715" + "0d030501050009020715": {
			{System: 1, SystemAddress: 2, State: 0x204, Time: at(4)},
			{System: 13, SystemAddress: 3, State: 0x105, Time: at(5)},
		},
		"0201" + "010279010203040402" + detector + "040009020715": {
			{System: 1, SystemAddress: 2, Part: 121, PartAddress: 0x04030201, State: 0x204, Text: "7楼02室会议室烟感", Time: at(4)},
		},
		"0302" + "01022801020304032003040009020715" + "0d037903040506020150050009020715": {
			{System: 1, SystemAddress: 2, Part: 40, PartAddress: 0x04030201, Quantity: 3, Value: 0x320, Time: at(4)},
			{System: 13, SystemAddress: 3, Part: 121, PartAddress: 0x06050403, Quantity: 2, Value: 0x5001, Time: at(5)},
		},
		"0401" + "010284fa040009020715":      {{System: 1, SystemAddress: 2, Flags: 0x84, Operator: 0xfa, Time: at(4)}},
		"0502" + "01020304" + "0d030101":     {{System: 1, SystemAddress: 2, Major: 3, Minor: 4}, {System: 13, SystemAddress: 3, Major: 1, Minor: 1}},
		"0601" + "01021e" + detector[:60]:    {{System: 1, SystemAddress: 2, Text: "7楼02室会议室烟感"}},
		"0701" + "01022801020304" + detector: {{System: 1, SystemAddress: 2, Part: 40, PartAddress: 0x04030201, Text: "7楼02室会议室烟感"}},
		"0801" + "0102040009020715":          {{System: 1, SystemAddress: 2, Time: at(4)}},
		"1501" + "08040009020715":            {{State: 8, Time: at(4)}},
		"1801" + "31fa040009020715":          {{Flags: 0x31, Operator: 0xfa, Time: at(4)}},
	} {
		raw, err := hex.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		f := gb26875.Frame{Type: gb26875.Type(raw[0]), Count: raw[1], Objects: raw[2:]}
		all, err := f.Parse()
		if diff := cmp.Diff(want, all); diff != "" || err != nil {
			t.Errorf("%s: %v %v", data, diff, err)
		}
	}
}

// Put together by hand from clause 8.3.2; the sizes are those other implementations
// have: 2, 6, 9, 1, 7, 6 and 1 bytes.
func TestQuestions(t *testing.T) {
	at := at(4)
	for want, o := range map[string]struct {
		t gb26875.Type
		o gb26875.Object
	}{
		"0103":               {gb26875.AskSystemState, gb26875.Object{System: 1, SystemAddress: 3}},
		"010304030201":       {gb26875.AskPartState, gb26875.Object{System: 1, SystemAddress: 3, PartAddress: 0x01020304}},
		"01030a040009020715": {gb26875.AskSystemOperation, gb26875.Object{System: 1, SystemAddress: 3, Records: 10, Time: at}},
		"00":                 {gb26875.AskVersion, gb26875.Object{}},
		"0a040009020715":     {gb26875.AskOperation, gb26875.Object{Records: 10, Time: at}},
		"040009020715":       {gb26875.SetClock, gb26875.Object{Time: at}},
		"1e":                 {gb26875.CheckPost, gb26875.Object{Minutes: 30}},
	} {
		var f gb26875.Frame
		if err := f.Put(o.t, o.o); err != nil || hex.EncodeToString(f.Objects) != want {
			t.Errorf("%d: %x %v", o.t, f.Objects, err)
		}
		all, err := f.Parse()
		if diff := cmp.Diff([]gb26875.Object{o.o}, all); diff != "" || err != nil {
			t.Errorf("%d: %s %v", o.t, diff, err)
		}
	}
}

// Everything a transmitter tells becomes something, and an object without a time has
// that of its frame.
func TestOutput(t *testing.T) {
	o := gb26875.Object{System: 1, SystemAddress: 2, Major: 3, Minor: 4}
	got := o.Output(gb26875.SystemVersion, time.UnixMilli(5))
	want := map[string]any{"System": uint8(1), "SystemAddress": uint8(2), "Major": uint8(3), "Minor": uint8(4), "At": int64(5)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	o = gb26875.Object{Quantity: 3, Value: -55, Time: time.UnixMilli(7)}
	if got := o.Output(gb26875.Analog, time.UnixMilli(5)); got["Value"] != -5.5 || got["Unit"] != "°C" || got["At"] != int64(7) {
		t.Errorf("%v", got)
	}
}
