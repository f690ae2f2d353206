// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openalink/iot/shadow"
)

var (
	rules = shadow.DefaultRules()
	at    = time.Unix(1700000000, 0)
)

// say carries a request out and returns the answer.
func say(d *shadow.Document, from shadow.Source, payload string, now time.Time) string {
	r, err := shadow.ParseRequest([]byte(payload))
	if err == nil {
		err = d.Apply(r, from, now, &rules)
	}
	if err != nil {
		return string(shadow.AppendError(nil, r, err, now))
	}
	return string(d.AppendReply(nil, r, now))
}

// TestConversation is the lamp of the documents with values of our own: it
// reports, an application asks for a change, the lamp is told, follows, clears
// the wish, reads and deletes.
func TestConversation(t *testing.T) {
	d := &shadow.Document{}
	later := func(n int) time.Time { return at.Add(time.Duration(n) * time.Second) }
	steps := []struct {
		from      shadow.Source
		say, want string
		doc       string // state and metadata afterwards
	}{
		{
			shadow.Device, `{"method":"update","state":{"reported":{"hue":12}},"version":1}`,
			`{"method":"reply","payload":{"status":"success","version":1},"timestamp":1700000000}`,
			`{"state":{"reported":{"hue":12}},"metadata":{"reported":{"hue":{"timestamp":1700000000}}},"timestamp":1700000000,"version":1,"revision":1,"desiredRevision":0}`,
		},
		{
			shadow.Application, `{"method":"update","state":{"desired":{"hue":99,"list":[1,2]}},"version":2}`,
			`{"method":"reply","payload":{"status":"success","version":2},"timestamp":1700000001}`,
			`{"state":{"reported":{"hue":12},"desired":{"hue":99,"list":[1,2]}},"metadata":{"reported":{"hue":{"timestamp":1700000000}},"desired":{"hue":{"timestamp":1700000001},"list":{"timestamp":1700000001}}},"timestamp":1700000001,"version":2,"revision":2,"desiredRevision":2}`,
		},
		{
			shadow.Device, `{"method":"get","clientToken":"pk.dn-1"}`,
			`{"method":"reply","payload":{"status":"success","state":{"reported":{"hue":12},"desired":{"hue":99,"list":[1,2]}},"metadata":{"reported":{"hue":{"timestamp":1700000000}},"desired":{"hue":{"timestamp":1700000001},"list":{"timestamp":1700000001}}},"version":2,"timestamp":1700000001},"version":2,"clientToken":"pk.dn-1","timestamp":1700000002}`,
			"",
		},
		{
			shadow.Device, `{"method":"update","state":{"reported":{"hue":99},"desired":"null"},"version":3}`,
			`{"method":"reply","payload":{"status":"success","version":3},"timestamp":1700000003}`,
			`{"state":{"reported":{"hue":99}},"metadata":{"reported":{"hue":{"timestamp":1700000003}}},"timestamp":1700000003,"version":3,"revision":3,"desiredRevision":3}`,
		},
		{
			shadow.Device, `{"method":"delete",,"state":{"reported":{"hue":"null"}},"clientToken":"pk.dn-7","version":7}`,
			`{"method":"reply","payload":{"status":"success","version":7},"clientToken":"pk.dn-7","timestamp":1700000004}`,
			`{"state":{},"metadata":{},"timestamp":1700000004,"version":7,"revision":4,"desiredRevision":3}`,
		},
		{
			shadow.Device, `{"method":"update","state":{"reported":{"hue":1}},"version":7}`,
			`{"method":"reply","payload":{"status":"error","content":{"errorcode":"409","errormessage":"version 7 is not above the stored 7"}},"timestamp":1700000005}`,
			`{"state":{},"metadata":{},"timestamp":1700000004,"version":7,"revision":4,"desiredRevision":3}`,
		},
		{
			shadow.Device, `{"method":"update","state":{"reported":{"hue":1}},"version":-1}`,
			`{"method":"reply","payload":{"status":"success","version":0},"timestamp":1700000006}`, "",
		},
	}
	for i, s := range steps {
		if got := say(d, s.from, s.say, later(i)); got != s.want {
			t.Errorf("step %d: answer\n%s, want\n%s", i, got, s.want)
		}
		if got := string(d.Append(nil)); s.doc != "" && got != s.doc {
			t.Errorf("step %d: document\n%s, want\n%s", i, got, s.doc)
		}
	}
}

func TestControl(t *testing.T) {
	d := &shadow.Document{}
	say(d, shadow.Application, `{"method":"update","state":{"desired":{"hue":9}}}`, at)
	want := `{"method":"control","payload":{"status":"success","state":{"desired":{"hue":9}},"metadata":{"desired":{"hue":{"timestamp":1700000000}}}},"version":1,"timestamp":1700000000}`
	if got := string(d.AppendControl(nil, at)); got != want {
		t.Errorf("control\n%s, want\n%s", got, want)
	}
}

func TestCodes(t *testing.T) {
	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"k%d":%d`, i, i))
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	for _, tt := range []struct {
		say  string
		want shadow.Code
	}{
		{`{"method":"update"`, 400},
		{`[1]`, 400},
		{`{"method":"update","state":{"reported":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}}`, 400},
		{`{"state":{"reported":{"a":1}}}`, 401},
		{`{"method":7,"state":{}}`, 401},
		{`{"method":"update"}`, 402},
		{`{"method":"update","state":7}`, 402},
		{`{"method":"update","state":{"reported":{"a":1}},"version":"1"}`, 403},
		{`{"method":"update","state":{"reported":{"a":1}},"version":1.5}`, 403},
		{`{"method":"update","state":{}}`, 404},
		{`{"method":"delete","state":{}}`, 404},
		{`{"method":"update","state":{"reported":{}}}`, 405},
		{`{"method":"patch","state":{}}`, 406},
		{``, 407},
		{`{}`, 407},
		{`{"method":"update","state":{"reported":` + many(129) + `}}`, 408},
		{`{"method":"update","state":{"reported":{"a":1}},"version":0}`, 409},
		{`{"method":"update","state":{"reported":{"a":1}},"version":-2}`, 409},
		{`{"method":"update","state":{"reported":{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}}}`, 400},
		{`{"method":"update","state":{"reported":{"a":"` + strings.Repeat("x", 16<<10) + `"}}}`, 400},
		{`{"method":"update","state":{"desired":{"a":1}}}`, 400},
		{`{"method":"update","state":{"reported":7}}`, 400},
		{`{"method":"delete","state":{"reported":{"a":7}}}`, 400},
	} {
		d := &shadow.Document{}
		before := string(d.Append(nil))
		r, err := shadow.ParseRequest([]byte(tt.say))
		if err == nil {
			err = d.Apply(r, shadow.Device, at, &rules)
		}
		if !errors.Is(err, &shadow.Error{Code: tt.want}) {
			t.Errorf("%.60s: %v, want %d", tt.say, err, tt.want)
		}
		if after := string(d.Append(nil)); after != before {
			t.Errorf("%.60s changed the document to %s", tt.say, after)
		}
	}
	if got := say(&shadow.Document{}, shadow.Device, `{"method":"update","state":{"reported":`+many(128)+`}}`, at); !strings.Contains(got, "success") {
		t.Errorf("128 attributes: %s", got)
	}
	five := `{"method":"update","state":{"reported":{"a":{"b":{"c":{"d":{"e":1}}}}}}}`
	if got := say(&shadow.Document{}, shadow.Device, five, at); !strings.Contains(got, "success") {
		t.Errorf("5 levels: %s", got)
	}
}

func TestRow25StaleVersions(t *testing.T) {
	d := &shadow.Document{}
	say(d, shadow.Device, `{"method":"update","state":{"reported":{"a":1}},"version":10}`, at)
	stale := `{"method":"update","state":{"reported":{"a":2}},"version":1}`
	if got := say(d, shadow.Device, stale, at); !strings.Contains(got, `"409"`) {
		t.Errorf("strict: %s", got)
	}
	lenient := rules
	lenient.RenumberStale = true
	r, err := shadow.ParseRequest([]byte(stale))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(r, shadow.Application, at, &lenient); !errors.Is(err, &shadow.Error{Code: 409}) {
		t.Errorf("an application is never renumbered: %v", err)
	}
	if err := d.Apply(r, shadow.Device, at, &lenient); err != nil || d.Version() != 11 {
		t.Errorf("lenient: %v, version %d", err, d.Version())
	}
}

// TestAgainstNaiveDocument holds any sequence of operations against maps.
func TestAgainstNaiveDocument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &shadow.Document{}
		naive := map[string]map[string]any{"reported": {}, "desired": {}}
		revision := uint64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			section := rapid.SampledFrom([]string{"reported", "desired"}).Draw(t, "section")
			value := drawObject(t, 3)
			clear := rapid.IntRange(0, 9).Draw(t, "clear") == 0
			body, _ := json.Marshal(value)
			if clear {
				body = []byte(rapid.SampledFrom([]string{`null`, `"null"`}).Draw(t, "null"))
			}
			say(d, shadow.Application, fmt.Sprintf(`{"method":"update","state":{%q:%s}}`, section, body), at)
			if section == "reported" && !clear && len(value) == 0 {
				continue // 405
			}
			if revision++; d.Revision() != revision {
				t.Fatalf("revision %d, want %d", d.Revision(), revision)
			}
			if clear {
				naive[section] = map[string]any{}
			} else {
				naiveMerge(naive[section], value)
			}
			back, err := shadow.Decode(d.Append(nil))
			if err != nil || string(back.Append(nil)) != string(d.Append(nil)) {
				t.Fatalf("stored and read: %v\n%s\n%s", err, d.Append(nil), back.Append(nil))
			}
			var got struct {
				State map[string]map[string]any
			}
			if err := json.Unmarshal(d.Append(nil), &got); err != nil {
				t.Fatalf("%s: %v", d.Append(nil), err)
			}
			for name, want := range naive {
				have := got.State[name]
				if have == nil {
					have = map[string]any{}
				}
				if diff := cmp.Diff(want, have); diff != "" {
					t.Fatalf("%s after %s: %s", name, body, diff)
				}
			}
		}
	})
}

func drawObject(t *rapid.T, depth int) map[string]any {
	out := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		out[rapid.SampledFrom([]string{"a", "b", "c", `q"\`, "ü"}).Draw(t, "key")] = drawValue(t, depth)
	}
	return out
}

func drawValue(t *rapid.T, depth int) any {
	switch n := rapid.IntRange(0, 6).Draw(t, "kind"); {
	case n == 0 && depth > 0:
		return drawObject(t, depth-1)
	case n == 1:
		return nil
	case n == 2:
		return "null"
	case n == 3:
		return []any{1.0, "x", nil}
	case n == 4:
		return rapid.SampledFrom([]string{"", "x", "<>&"}).Draw(t, "text")
	}
	return float64(rapid.IntRange(-5, 5).Draw(t, "number"))
}

func naiveMerge(into, from map[string]any) {
	for k, v := range from {
		if v == nil || v == "null" {
			delete(into, k)
			continue
		}
		object, ok := v.(map[string]any)
		if !ok {
			into[k] = v
			continue
		}
		old, ok := into[k].(map[string]any)
		if !ok {
			old = map[string]any{}
			into[k] = old
		}
		naiveMerge(old, object)
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{`{"method":"update","state":{"reported":{"a":1,"b":{"c":[1]}}},"version":3}`, `{"method":"delete",,"state":{}}`, `{"method":"get"}`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := shadow.ParseRequest(payload)
		if err != nil {
			if e, ok := errors.AsType[*shadow.Error](err); !ok || e.Code < 400 {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, from := range []shadow.Source{shadow.Device, shadow.Application} {
			d := &shadow.Document{}
			if d.Apply(r, from, at, &rules) != nil {
				continue
			}
			for _, out := range [][]byte{d.Append(nil), d.AppendReply(nil, r, at), d.AppendControl(nil, at)} {
				if !json.Valid(out) {
					t.Fatalf("%q made %q", payload, out)
				}
			}
			if _, err := shadow.Decode(d.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func Example() {
	d := &shadow.Document{}
	rules := shadow.DefaultRules()
	now := time.Unix(1700000000, 0)
	wish, _ := shadow.ParseRequest([]byte(`{"method":"update","state":{"desired":{"power":"on"}}}`))
	if err := d.Apply(wish, shadow.Application, now, &rules); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s\n", d.AppendControl(nil, now))
	done, _ := shadow.ParseRequest([]byte(`{"method":"update","state":{"reported":{"power":"on"},"desired":null}}`))
	if err := d.Apply(done, shadow.Device, now, &rules); err != nil {
		fmt.Println(err)
	}
	fmt.Println(d.Version(), d.HasDesired())
	// Output:
	// {"method":"control","payload":{"status":"success","state":{"desired":{"power":"on"}},"metadata":{"desired":{"power":{"timestamp":1700000000}}}},"version":1,"timestamp":1700000000}
	// 2 false
}
