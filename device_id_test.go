// SPDX-License-Identifier: Apache-2.0

package iot_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	iot "github.com/openalink/iot"
)

func TestParseDeviceID(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want iot.DeviceID
		says string // empty for a good one
	}{
		{"pk/dn", iot.DeviceID{Product: "pk", Name: "dn"}, ""},
		{"a1/lamp-1@x.y:z_0", iot.DeviceID{Product: "a1", Name: "lamp-1@x.y:z_0"}, ""},
		{"a1/" + strings.Repeat("x", 256), iot.DeviceID{Product: "a1", Name: strings.Repeat("x", 256)}, ""},
		{"", iot.DeviceID{}, "no slash"},
		{"pk", iot.DeviceID{}, "no slash"},
		{"/dn", iot.DeviceID{}, "ProductKey is empty"},
		{"pk/", iot.DeviceID{}, "DeviceName is empty"},
		{"pk/a/b", iot.DeviceID{}, `'/' at byte 1`},
		{"pk/a+", iot.DeviceID{}, `'+' at byte 1`},
		{"p#/a", iot.DeviceID{}, `'#' at byte 1`},
		{"pk/a\x00", iot.DeviceID{}, "at byte 1"},
		{"pk/" + strings.Repeat("x", 257), iot.DeviceID{}, "257 bytes"},
	} {
		got, err := iot.ParseDeviceID(tt.in)
		switch {
		case tt.says == "" && (err != nil || got != tt.want):
			t.Errorf("%.40q: %v, %v", tt.in, got, err)
		case tt.says != "" && (!errors.Is(err, iot.ErrBadName) || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%.40q: %v, want an error with %q", tt.in, err, tt.says)
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, tt := range []struct {
		check func(string) error
		in    string
		good  bool
	}{
		{iot.CheckProductKey, "a1LabPk00001", true},
		{iot.CheckProductKey, "", false},
		{iot.CheckProductKey, "a-1", false},
		{iot.CheckProductKey, strings.Repeat("a", 21), false},
		{iot.CheckDeviceName, "lamp", true},
		{iot.CheckDeviceName, "A-_@.:9", true},
		{iot.CheckDeviceName, "abc", false},
		{iot.CheckDeviceName, strings.Repeat("a", 33), false},
		{iot.CheckDeviceName, "lamp 1", false},
		{iot.CheckDeviceName, "lämp", false},
	} {
		if err := tt.check(tt.in); (err == nil) != tt.good || err != nil && !errors.Is(err, iot.ErrBadName) {
			t.Errorf("%q: %v", tt.in, err)
		}
	}
}

func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[^/+#\x00]{1,20}`)
		id := iot.DeviceID{Product: part.Draw(t, "product"), Name: part.Draw(t, "name")}
		raw, err := json.Marshal(map[iot.DeviceID]iot.DeviceID{id: id})
		if err != nil {
			t.Fatal(err)
		}
		var back map[iot.DeviceID]iot.DeviceID
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		want, _ := json.Marshal(string(id.Append(nil))) // JSON replaces bad UTF-8; so must the comparison
		var text string
		_ = json.Unmarshal(want, &text)
		for k, v := range back {
			if k.String() != text || v != k {
				t.Fatalf("%q came back as %q", id.String(), k.String())
			}
		}
	})
}

func TestZeroDeviceID(t *testing.T) {
	var id iot.DeviceID
	if err := id.UnmarshalText(nil); err != nil || !id.IsZero() || id.String() != "" {
		t.Errorf("%v, %v", id, err)
	}
	if id.Validate() == nil {
		t.Error("the zero id is valid")
	}
}

func Example() {
	id, err := iot.ParseDeviceID("a1LabPk00001/lamp-1")
	fmt.Println(id.Product, id.Name, err)
	_, err = iot.ParseDeviceID("a1LabPk00001/lamp+1")
	fmt.Println(err)
	// Output:
	// a1LabPk00001 lamp-1 <nil>
	// iot: bad name: DeviceName "lamp+1" has '+' at byte 4
}
