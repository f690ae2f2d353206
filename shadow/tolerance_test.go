// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/openalink/iot/shadow"
)

// Commas too many are mended wherever they stand, but never inside of a text.
func TestRow24MalformedCommas(t *testing.T) {
	for _, tt := range []struct{ say, want string }{
		{`{"method":"delete",,"state":{"reported":{"hue":"null"}},"clientToken":"pk.dn-7","version":7}`, `"version":7}`},
		{`{"method":"update","state":{"reported":{"a":",,}",},},}`, `"version":2}`},
		{`{"method":"update","state":{"reported":{"a":[1,,2,]}}}`, `"version":2}`},
		{`{,"method":"get"}`, `"errorcode":"400"`},
		{`{"method":"update" "state":{}}`, `"errorcode":"400"`},
	} {
		d := &shadow.Document{}
		say(d, shadow.Device, `{"method":"update","state":{"reported":{"hue":1}}}`, at)
		if got := say(d, shadow.Device, tt.say, at); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", tt.say, got)
		}
		if text := string(d.Append(nil)); strings.Contains(tt.say, `,,}"`) && !strings.Contains(text, `"a":",,}"`) {
			t.Errorf("a text was mended: %s", text)
		}
	}
}

// A device that waits for its token hears it in every answer, errors included.
func TestRow26ClientToken(t *testing.T) {
	for _, request := range []string{
		`"method":"get"`, `"method":"update","state":{"reported":{"a":1}}`, `"method":"delete","state":{"reported":"null"}`,
		`"state":{}`, `"method":"patch"`, `"method":"update"`, `"method":"get","version":"1"`,
		`"method":"update","state":{"reported":{}}`, `"method":"update","state":{"reported":{"a":1}},"version":-7`,
	} {
		for _, token := range []string{`"pk.dn-1"`, `17`, ``} {
			text := "{" + request
			if token != "" {
				text += `,"clientToken":` + token
			}
			var got struct{ ClientToken json.RawMessage }
			if err := json.Unmarshal([]byte(say(&shadow.Document{}, shadow.Device, text+"}", at)), &got); err != nil {
				t.Fatal(err)
			}
			if string(got.ClientToken) != token {
				t.Errorf("%s: token %s, want %s", text, got.ClientToken, token)
			}
		}
	}
}

func TestVersionsEnd(t *testing.T) {
	d := &shadow.Document{}
	for text, want := range map[string]string{
		`9007199254740993`: `"403"`, `9223372036854775807`: `"403"`, `1e400`: `"403"`, `true`: `"403"`, `1e3`: `"version":1000}`,
	} {
		if got := say(d, shadow.Device, `{"method":"update","state":{"reported":{"a":1}},"version":`+text+`}`, at); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	r, err := shadow.Update([]byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(r.At(1<<62), shadow.Application, at, &rules); !errors.Is(err, &shadow.Error{Code: shadow.BadVersion}) {
		t.Errorf("an application's version without end: %v", err)
	}
}

func TestDeleteMakesNothing(t *testing.T) {
	d := &shadow.Document{}
	say(d, shadow.Device, `{"method":"update","state":{"reported":{"a":{"b":1,"c":2},"leaf":3}}}`, at)
	say(d, shadow.Device, `{"method":"delete","state":{"reported":{"a":{"b":null},"x":{"y":null},"leaf":{"z":null}},"desired":{"w":{"v":"null"}}}}`, at)
	if got := string(d.Append(nil)); !strings.HasPrefix(got, `{"state":{"reported":{"a":{"c":2},"leaf":3}}`) {
		t.Errorf("document %s", got)
	}
}

// What is wished is a value: it cannot close the object around it.
func TestWishStaysInside(t *testing.T) {
	for _, wish := range []string{`{}},"version":9,"x":{"y":{}`, `{},"reported":{"a":1}`, ``, `{`, `7`, strings.Repeat("[", 100)} {
		for _, request := range []func([]byte) (*shadow.Request, error){shadow.Update, shadow.Replace} {
			r, err := request([]byte(wish))
			if err == nil {
				err = (&shadow.Document{}).Apply(r, shadow.Application, at, &rules)
			}
			if !errors.Is(err, &shadow.Error{Code: shadow.BadJSON}) {
				t.Errorf("%s: %v", wish, err)
			}
		}
	}
}

// Levels count inside of arrays, too, and one name is one member however it is
// written.
func TestLevelsAndNames(t *testing.T) {
	at5 := func(v string) string {
		return `{"method":"update","state":{"reported":{"a":{"b":{"c":{"d":{"e":` + v + `}}}}}}}`
	}
	for v, want := range map[string]string{`[1,2]`: "success", `[[1]]`: `"400"`, `[{"x":1}]`: `"400"`} {
		if got := say(&shadow.Document{}, shadow.Device, at5(v), at); !strings.Contains(got, want) {
			t.Errorf("%s: %s", v, got)
		}
	}
	d := &shadow.Document{}
	for _, name := range []string{`a<\"`, `\u0061<\u0022`, `a\u003c\"`, `\u0001`} {
		say(d, shadow.Device, `{"method":"update","state":{"reported":{"`+name+`":1}}}`, at)
	}
	if got := string(d.Append(nil)); !strings.HasPrefix(got, `{"state":{"reported":{"a<\"":1,"\u0001":1}}`) {
		t.Errorf("document %s", got)
	}
}

// A document holds what it says, not the requests it came in.
func TestDocumentDoesNotPinRequests(t *testing.T) {
	d := &shadow.Document{}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 100 {
		say(d, shadow.Device, fmt.Sprintf(`{"method":"update","state":{"reported":{"a%d":1}},"ignored":%q}`, i, strings.Repeat("x", 200<<10)), at)
	}
	if grown := int64(heap() - before); grown > 1<<20 {
		t.Errorf("a document of %d bytes holds %d", len(d.Append(nil)), grown)
	}
	runtime.KeepAlive(d)
}
