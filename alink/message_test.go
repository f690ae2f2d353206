// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/alink"
	"pgregory.net/rapid"
)

// What real SDKs send (wire facts, sections 1 and 24).
func TestParse(t *testing.T) {
	tests := []struct {
		name, in string
		want     alink.Message
	}{
		{"Post", `{"id":"2","version":"1.0","params":{"Counter": 1},"method":"thing.event.property.post"}`, alink.Message{ID: "2", Version: "1.0", Method: "thing.event.property.post", Params: []byte(`{"Counter": 1}`), Ack: true}},
		{"Row06NodeID", `{"id":"1|exp-topic|/sys/pk/dn/thing/event/property/post_reply","params":{}}`, alink.Message{ID: "1|exp-topic|/sys/pk/dn/thing/event/property/post_reply", Params: []byte(`{}`), Ack: true}},
		{"Row06NumericID", `{"id" : 0,"version":"1.0","params":{"configScope":"product"},"method":"thing.config.get"}`, alink.Message{ID: "0", Version: "1.0", Method: "thing.config.get", Params: []byte(`{"configScope":"product"}`), Ack: true}},
		{"Row06EscapedID", `{"id":"a\"\\\u00e9\/"}`, alink.Message{ID: `a\"\\\u00e9\/`, Ack: true}},
		{"NoID", `{"params":[1,2]}`, alink.Message{Params: []byte(`[1,2]`), Ack: true}},
		{"NullID", `{"id":null}`, alink.Message{Ack: true}},
		{"Row07EmptyMethod", `{"id":"7","method":"","params":{}}`, alink.Message{ID: "7", Params: []byte(`{}`), Ack: true}},
		{"AckOn", `{"id":"2","params":{"LightSwitch": 0},"sys":{"ack":1}}`, alink.Message{ID: "2", Params: []byte(`{"LightSwitch": 0}`), Ack: true}},
		{"AckOff", `{"id":"2","sys":{"ack":0},"params":{}}`, alink.Message{ID: "2", Params: []byte(`{}`)}},
		{"AckOffText", `{"sys":{"other":{"ack":1},"ack":"0"}}`, alink.Message{}},
		{"AckOffWord", `{"sys":{"\u0061ck":false}}`, alink.Message{}},
		{"AckOffOn", `{"sys":{"ack":0,"ack":1}}`, alink.Message{Ack: true}},
		{"SysNotObject", `{"sys":[0]}`, alink.Message{Ack: true}},
		{"Row45TextParams", `{"id":"4","version":"1.0","params":"{}"}`, alink.Message{ID: "4", Version: "1.0", Params: []byte(`"{}"`), Ack: true}},
		{"Reply", `{"id":"324850","code":200,"data":{}}`, alink.Message{ID: "324850", Code: 200, HasCode: true, Data: []byte(`{}`), Ack: true}},
		{"ReplyText", `{"id":"1","code":460,"message":"request parameter error","data":{},"version":"1.0","method":"m"}`, alink.Message{ID: "1", Code: 460, HasCode: true, Text: "request parameter error", Data: []byte(`{}`), Version: "1.0", Method: "m", Ack: true}},
		{"Row21OTA", `{"code":"1000","data":{"size":1},"id":1507707025,"message":"success"}`, alink.Message{ID: "1507707025", Code: 1000, HasCode: true, Data: []byte(`{"size":1}`), Text: "success", Ack: true}},
		{"NullCode", `{"code":null}`, alink.Message{Ack: true}},
		{"NegativeCode", `{"code":-1}`, alink.Message{Code: -1, HasCode: true, Ack: true}},
		{"Unknown", `{"x":1,"y":{"id":"no"},"id":"yes","z":[{}]}`, alink.Message{ID: "yes", Ack: true}},
		{"EscapedKey", `{"\u0069d":"5","par\u0061ms":{}}`, alink.Message{ID: "5", Params: []byte(`{}`), Ack: true}},
		{"Case", `{"ID":"1","Id":"2","id":"3"}`, alink.Message{ID: "3", Ack: true}},
		{"Space", " \t\r\n{ \"id\" : \"1\" , \"params\" : [ ] } \n", alink.Message{ID: "1", Params: []byte(`[ ]`), Ack: true}},
		{"NumericVersion", `{"version":1.0}`, alink.Message{Version: "1.0", Ack: true}},
		{"NullParams", `{"params":null}`, alink.Message{Params: []byte(`null`), Ack: true}},
		{"Empty", `{}`, alink.Message{Ack: true}},
		{"NotUTF8", "{\"params\":\"\xb0\xa1\"}", alink.Message{Params: []byte("\"\xb0\xa1\""), Ack: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := alink.Message{ID: "old", Data: []byte("old"), Code: 1, HasCode: true}
			if err := alink.Parse([]byte(tt.in), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseMalformed(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"Nothing", "", "unexpected end at byte 0"},
		{"Space", "  ", "unexpected end at byte 2"},
		{"Array", `[{"id":"1"}]`, "not an object at byte 0"},
		{"Text", `"{}"`, "not an object at byte 0"},
		{"Row38NoBraces", `"id":"1","code":200`, "not an object at byte 0"},
		{"Open", `{`, "unexpected end at byte 1"},
		{"OpenKey", `{"id`, "unexpected end at byte 4"},
		{"NoColon", `{"id" 1}`, "unexpected byte at byte 6"},
		{"ColonEnd", `{"id":`, "unexpected end at byte 6"},
		{"NoValue", `{"id":}`, "unexpected byte at byte 6"},
		{"TrailingComma", `{"id":"1",}`, "unexpected byte at byte 10"},
		{"Row24DoubleComma", `{"method":"delete",,"state":{}}`, "unexpected byte at byte 19"},
		{"NoComma", `{"id":"1" "a":1}`, "unexpected byte at byte 10"},
		{"KeyNotText", `{1:2}`, "unexpected byte at byte 1"},
		{"Row29TrailingNUL", "{}\x00", "bytes after the value at byte 2"},
		{"Two", `{}{}`, "bytes after the value at byte 2"},
		{"Duplicate", `{"id":"1","id":"2"}`, "duplicate key at byte 10"},
		{"DuplicateUnknown", `{"x":"1","y":1,"x":"2"}`, "duplicate key at byte 15"},
		{"DuplicateEscaped", `{"id":"1","\u0069\u0064":"2"}`, "duplicate key at byte 10"},
		{"DuplicateUnknownEscaped", `{"x\/\ud83d\ude00":1,"\u0078/😀":2}`, "duplicate key at byte 21"},
		{"BoolID", `{"id":true}`, "neither text nor number at byte 6"},
		{"ObjectID", `{"id":{}}`, "neither text nor number at byte 6"},
		{"ArrayMethod", `{"method":[]}`, "neither text nor number at byte 10"},
		{"CodeText", `{"code":"ok"}`, "code is not an integer at byte 8"},
		{"CodeFraction", `{"code":200.5}`, "code is not an integer at byte 8"},
		{"CodeHuge", `{"code":99999999999}`, "code is not an integer at byte 8"},
		{"CodeObject", `{"code":{}}`, "code is not an integer at byte 8"},
		{"CodeEmpty", `{"code":""}`, "code is not an integer at byte 8"},
		{"Control", "{\"id\":\"a\nb\"}", "bad string at byte 8"},
		{"Escape", `{"id":"\x"}`, "bad string at byte 7"},
		{"EscapeEnd", `{"id":"\`, "bad string at byte 7"},
		{"EscapeDigits", `{"id":"\u12g4"}`, "bad string at byte 7"},
		{"LeadingZero", `{"id":01}`, "unexpected byte at byte 7"},
		{"Plus", `{"id":+1}`, "unexpected byte at byte 6"},
		{"Minus", `{"id":-}`, "bad number at byte 7"},
		{"Point", `{"id":1.}`, "bad number at byte 8"},
		{"Exponent", `{"id":1e+}`, "bad number at byte 9"},
		{"Word", `{"id":nul}`, "unexpected byte at byte 6"},
		{"NaN", `{"params":NaN}`, "unexpected byte at byte 10"},
		{"OpenArray", `{"params":[1,`, "unexpected end at byte 13"},
		{"ArrayComma", `{"params":[1,]}`, "unexpected byte at byte 13"},
		{"NestedComma", `{"params":{"a":1,}}`, "unexpected byte at byte 17"},
		{"Mixed", `{"params":[1}`, "unexpected byte at byte 12"},
		{"BOM", "\ufeff{}", "not an object at byte 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m alink.Message
			err := alink.Parse([]byte(tt.in), &m)
			if !errors.Is(err, alink.ErrMalformed) || !strings.HasSuffix(err.Error(), ": "+tt.want) {
				t.Errorf("got %v, want ErrMalformed: %s", err, tt.want)
			}
		})
	}
}

// A megabyte of brackets, keys or escapes is refused or read, at once.
func TestParseHostile(t *testing.T) {
	const size = 1 << 20
	tests := []struct {
		name, in string
		ok       bool
	}{
		{"Arrays", `{"params":` + strings.Repeat("[", size), false},
		{"Objects", strings.Repeat(`{"a":`, size/5), false},
		{"Balanced", `{"params":` + strings.Repeat("[", size/2) + strings.Repeat("]", size/2) + "}", false},
		{"Members", "{" + strings.Repeat(`"a":0,`, size/6) + `"b":0}`, false},
		{"EscapedKeys", "{" + strings.Repeat(`"\u0061":0,`, size/11) + `"b":0}`, false},
		{"LongKey", `{"` + strings.Repeat(`\u0061`, size/6) + `":0}`, true},
		{"LongText", `{"params":"` + strings.Repeat(`\\`, size/2) + `"}`, true},
		{"Wide", `{"params":[` + strings.Repeat("0,", size/2) + `0]}`, true},
		{"Digits", `{"params":` + strings.Repeat("9", size) + `}`, true},
		{"Spaces", "{" + strings.Repeat(" ", size) + "}", true},
		{"Deepest", nested(alink.MaxDepth), true},
		{"TooDeep", nested(alink.MaxDepth + 1), false},
		{"MostMembers", wide(alink.MaxMembers), true},
		{"TooManyMembers", wide(alink.MaxMembers + 1), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			var m alink.Message
			if err := alink.Parse([]byte(tt.in), &m); (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// nested returns a message n levels deep.
func nested(n int) string {
	return `{"params":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}"
}

// wide returns a message of n members.
func wide(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"m` + strconv.Itoa(i) + `":0`)
	}
	return "{" + b.String()[1:] + "}"
}

// Parse agrees with encoding/json on what a message says.
func TestParseLikeStandard(t *testing.T) {
	value := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Float64Range(-1e9, 1e9), func(f float64) any { return f }),
		rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any]([]any{}),
		rapid.Map(rapid.MapOf(rapid.String(), rapid.Int()), func(m map[string]int) any { return m }),
	)
	rapid.Check(t, func(t *rapid.T) {
		doc := rapid.MapOfN(rapid.StringMatching(`[a-h\\"é😀]{1,3}`), value, 0, 20).Draw(t, "unknown")
		id := rapid.String().Draw(t, "id")
		doc["id"], doc["params"] = id, value.Draw(t, "params")
		in, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "indent") {
			in, _ = json.MarshalIndent(doc, " ", "\t")
		}
		var m alink.Message
		if err := alink.Parse(in, &m); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		var want struct {
			ID     json.RawMessage `json:"id"`
			Params json.RawMessage `json:"params"`
		}
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatal(err)
		}
		if `"`+m.ID+`"` != string(want.ID) || string(m.Params) != string(want.Params) {
			t.Errorf("%s: got id %s, params %s", in, m.ID, m.Params)
		}
	})
}

func TestMessageErr(t *testing.T) {
	if err := (&alink.Message{}).Err(); err != nil {
		t.Errorf("request: %v", err)
	}
	if err := (&alink.Message{HasCode: true, Code: alink.CodeOK}).Err(); err != nil {
		t.Errorf("success: %v", err)
	}
	m := alink.Message{HasCode: true, Code: alink.CodeBadParams, Text: `not \u0061 \ud83d\ude00\n\t\r\b\f\"\\\/ \ud83d x \ud83d\u0041`, Data: []byte(`{}`)}
	var e *alink.CodeError
	if !errors.As(m.Err(), &e) || e.Code != alink.CodeBadParams || string(e.Data) != "{}" {
		t.Fatalf("got %#v", m.Err())
	}
	if want := "not a 😀\n\t\r\b\f\"\\/ \ufffd x \ufffdA"; e.Message != want {
		t.Errorf("message %q, want %q", e.Message, want)
	}
}

func TestValid(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, want := range map[string]bool{
		` {"a":[1,-2.5e3,"x\"y",true,false,null,{}]} `: true, `7`: true, `""`: true, deep(alink.MaxDepth): true,
		deep(alink.MaxDepth + 1): false, ``: false, ` `: false, `{"a":1}x`: false, `{"a":1`: false, `[1,]`: false, `01`: false, `nul`: false,
	} {
		if got := alink.Valid([]byte(text)); got != want {
			t.Errorf("%.40q: %v", text, got)
		}
	}
}
