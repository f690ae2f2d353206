// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/alink"
)

func TestRow08EventParams(t *testing.T) {
	tests := []struct {
		name, in, want string
		ms             int64
	}{
		{"Bare", `{"ErrorCode":0}`, `{"ErrorCode":0}`, 0},
		{"Wrapped", `{"value":{"ErrorCode":0},"time":1524448722000}`, `{"ErrorCode":0}`, 1524448722000},
		{"WrappedTimeFirst", ` { "time" : 5 , "value" : { } } `, `{ }`, 5},
		{"NoTime", `{"value":{}}`, `{}`, 0},
		{"ValueNotObject", `{"value":1,"time":2}`, `{"value":1,"time":2}`, 0},
		{"TimeText", `{"value":{},"time":"2"}`, `{"value":{},"time":"2"}`, 0},
		{"TimeNull", `{"value":{},"time":null}`, `{"value":{},"time":null}`, 0},
		{"More", `{"value":{},"time":2,"x":1}`, `{"value":{},"time":2,"x":1}`, 0},
		{"OnlyTime", `{"time":2}`, `{"time":2}`, 0},
		{"Empty", `{}`, `{}`, 0},
		{"Array", `[1]`, `[1]`, 0},
		{"Malformed", `{"value":{},`, `{"value":{},`, 0},
		{"Nothing", ``, ``, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ms := alink.EventParams([]byte(tt.in))
			if string(got) != tt.want || ms != tt.ms {
				t.Errorf("got %s, %d; want %s, %d", got, ms, tt.want, tt.ms)
			}
		})
	}
}

func TestRow09EachProperty(t *testing.T) {
	in := `{"bare":1,"wrapped":{"value":"on","time":1524448722000},"noTime":{"value":[1]},"struct":{"value":1,"unit":"V"},
		"timeOnly":{"time":1},"textTime":{"value":1,"time":"1"},"empty":{},"block:id":{"time":2,"value":{"value":3,"time":4}},
		"\u0065sc":null,"float":{"value":1,"time":1.524448722E12},"negative":{"value":1,"time":-5},"huge":{"value":1,"time":1e99}}`
	want := []string{
		"bare 1 0", `wrapped "on" 1524448722000`, "noTime [1] 0", `struct {"value":1,"unit":"V"} 0`,
		`timeOnly {"time":1} 0`, `textTime {"value":1,"time":"1"} 0`, "empty {} 0", `block:id {"value":3,"time":4} 2`,
		"esc null 0", "float 1 1524448722000", "negative 1 0", "huge 1 0",
	}
	var got []string
	if err := alink.EachProperty([]byte(in), func(name string, value []byte, ms int64) bool {
		got = append(got, fmt.Sprintf("%s %s %d", name, value, ms))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	n := 0
	if err := alink.EachProperty([]byte(in), func(string, []byte, int64) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("stopped after %d properties with %v, want 3", n, err)
	}
}

func TestEachPropertyMalformed(t *testing.T) {
	for _, in := range []string{
		"", "[]", "null", `"{}"`, "{", `{"a"`, `{"a":`, `{"a":{`, `{"a":{"value":`, `{"a":{"value":1`, `{"a":{"value":1,"time":1`, `{"a":{"value":1,}}`, `{"a":1,}`, `{"a":1`, `{"a":1}x`, `{}{}`,
		strings.Repeat(`{"a":`, 1<<18), strings.Repeat(`{"value":`, 1<<18),
	} {
		if err := alink.EachProperty([]byte(in), func(string, []byte, int64) bool { return true }); !errors.Is(err, alink.ErrMalformed) {
			t.Errorf("%.40s: got %v, want ErrMalformed", in, err)
		}
	}
}

func TestRow45LenientParams(t *testing.T) {
	for in, want := range map[string]string{
		``: `{}`, `null`: `{}`, `""`: `{}`, `"  "`: `{}`, `"{}"`: `{}`, `" [1] "`: `[1]`, `"{\"a\":\"\\\"\"}"`: `{"a":"\""}`,
		`{"a":1}`: `{"a":1}`, `[]`: `[]`, `1`: `1`, `"text"`: `"text"`, `"{"`: `"{"`, `"{}x"`: `"{}x"`, `"`: `"`,
	} {
		if got := string(alink.LenientParams([]byte(in))); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestRow29TrimNUL(t *testing.T) {
	for in, want := range map[string]string{"{}\x00": "{}", "{}\x00\x00": "{}", "{}": "{}", "\x00": "", "": "", "\x00{}": "\x00{}"} {
		if got := string(alink.TrimNUL([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzEachProperty(f *testing.F) {
	f.Add([]byte(`{"bare":1,"wrapped":{"value":"on","time":1524448722000},"struct":{"value":1,"unit":"V"}}`))
	f.Add([]byte(`{"a":{"value":{"value":1,"time":2},"time":1e3}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		err := alink.EachProperty(in, func(_ string, value []byte, ms int64) bool {
			n++
			if !json.Valid(value) || ms < 0 {
				t.Errorf("value %q, time %d", value, ms)
			}
			return true
		})
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(in, &want)
		if err == nil && (wantErr != nil || n < len(want)) {
			t.Errorf("%q: %d properties; the standard library says %d, %v", in, n, len(want), wantErr)
		}
		if value, ms := alink.EventParams(in); json.Valid(in) && (!json.Valid(value) || ms < 0) {
			t.Errorf("event value %q, time %d", value, ms)
		}
		if p := alink.LenientParams(in); json.Valid(in) && !json.Valid(p) {
			t.Errorf("params %q", p)
		}
	})
}
