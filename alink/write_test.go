// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/alink"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares wire bytes with a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".json")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestAppendReply(t *testing.T) {
	for name, r := range map[string]alink.Reply{
		"reply_success":     {ID: "2", Method: "thing.event.property.post"},
		"reply_data":        {ID: "1|exp-topic|/sys/pk/dn/x_reply", Code: alink.CodeOK, Method: "thing.topo.get", Version: "1.0.0", Data: []byte(`[{"deviceName":"<a>&b"}]`)},
		"reply_error":       {ID: "3", Code: alink.CodeBadParams, Method: "thing.sub.register"},
		"reply_message":     {ID: "4", Code: alink.CodeInternal, Message: "a \"quoted\" \\ <tag> & \u4e2d\n\t\x01 \xff"},
		"reply_own_code":    {ID: "5", Code: 100001},
		"reply_empty":       {},
		"reply_escaped_id":  {ID: `a\"\\\u00e9\/`, Method: `m\u0041`},
		"reply_unsafe_text": {ID: `a"b`, Method: "m\x02", Version: `1\`},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, alink.AppendReply(nil, &r)) })
	}
}

func TestAppendCall(t *testing.T) {
	for name, c := range map[string]alink.Call{
		"call_set":    {ID: "1", Method: string(alink.PropertySet), Params: []byte(`{"Switch":1}`)},
		"call_array":  {ID: "2", Version: "1.0.0", Method: string(alink.PropertyGet), Params: []byte(`["Switch"]`)},
		"call_no_ack": {ID: "3", Method: string(alink.PropertyPost), NoAck: true},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, alink.AppendCall(nil, &c)) })
	}
}

// What is appended is appended.
func TestAppendKeeps(t *testing.T) {
	got := alink.AppendCall(alink.AppendReply([]byte("> "), &alink.Reply{}), &alink.Call{})
	if !strings.HasPrefix(string(got), `> {"id":""`) || !strings.Contains(string(got), `}{"id":""`) {
		t.Errorf("got %s", got)
	}
}

// Whatever is in a reply, it is valid JSON, data stands last, and Parse gives
// back what the other side needs.
func TestReplyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := alink.Reply{
			ID:      rapid.String().Draw(t, "id"),
			Code:    alink.Code(rapid.IntRange(1, 110000).Draw(t, "code")),
			Message: rapid.OneOf(rapid.String(), rapid.Just("\xff\x00")).Draw(t, "message"),
			Method:  rapid.String().Draw(t, "method"),
			Data:    []byte(rapid.SampledFrom([]string{"", `{"id":"x","code":1}`, `[]`, `"data"`}).Draw(t, "data")),
		}
		out := alink.AppendReply(nil, &r)
		if !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
		var m alink.Message
		if err := alink.Parse(out, &m); err != nil {
			t.Fatal(err)
		}
		if m.Code != r.Code || !m.HasCode || m.Version != alink.DefaultVersion || len(r.Data) > 0 && string(m.Data) != string(r.Data) {
			t.Errorf("%s: got %+v", out, m)
		}
		if !strings.HasSuffix(string(out), `,"data":`+string(m.Data)+"}") {
			t.Errorf("%s: data is not last", out)
		}
		again := alink.AppendReply(nil, &alink.Reply{ID: m.ID, Code: m.Code, Message: "x", Method: m.Method})
		var m2 alink.Message
		if err := alink.Parse(again, &m2); err != nil || m2.ID != m.ID || m2.Method != m.Method {
			t.Errorf("%s: id and method are not echoed: %s, %v", out, again, err)
		}
	})
}

// Row 6: the id goes back with the same text, as a JSON string.
func TestRow06IDEcho(t *testing.T) {
	for in, want := range map[string]string{
		`{"id":"4"}`:                 `{"id":"4",`,
		`{"id":4}`:                   `{"id":"4",`,
		`{"id" : 0}`:                 `{"id":"0",`,
		`{"id":"1|exp-topic|\/sys"}`: `{"id":"1|exp-topic|\/sys",`,
		`{"id":"\u4e2d\"\\"}`:        `{"id":"\u4e2d\"\\",`,
		`{"id":1.50E+2}`:             `{"id":"1.50E+2",`,
		`{}`:                         `{"id":"",`,
	} {
		var m alink.Message
		if err := alink.Parse([]byte(in), &m); err != nil {
			t.Fatal(err)
		}
		r := alink.OK(nil).For(&m)
		if got := string(alink.AppendReply(nil, &r)); !strings.HasPrefix(got, want) {
			t.Errorf("%s is answered by %s", in, got)
		}
	}
}

func TestReplyFor(t *testing.T) {
	m := alink.Message{ID: "1", Version: "1.0.0", Method: "m"}
	if diff := cmp.Diff(alink.Reply{ID: "1", Version: "1.0.0", Method: "m", Code: 200}, alink.OK(nil).For(&m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	own := alink.Reply{ID: "2", Version: "2.0", Method: "n"}
	if diff := cmp.Diff(own, own.For(&m)); diff != "" {
		t.Errorf("own values (-want +got):\n%s", diff)
	}
}

// Row 44: the text scanner of one SDK finds every key in the answers we write,
// whatever data holds.
func TestRow44TextScanner(t *testing.T) {
	r := alink.Reply{ID: "7", Code: alink.CodeOK, Method: "thing.topo.get", Data: []byte(`{"id":"x","code":1,"message":"id","list":["code","id"]}`)}
	out := string(alink.AppendReply(nil, &r))
	for key, want := range map[string]string{"id": `"7"`, "code": `200`, "message": `"success"`, "data": string(r.Data)} {
		i := strings.Index(out, `"`+key+`"`)
		rest := out[i+len(key)+2:]
		if rest[0] != ':' || !strings.HasPrefix(rest[1:], want) {
			t.Errorf("a scanner for %q finds %s", key, rest)
		}
	}
}
