// SPDX-License-Identifier: Apache-2.0

package quickjs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/contrib/quickjs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is a script of the kind vendors have: the first byte is a command, four
// bytes of id follow, then values.
const sample = `
function rawDataToProtocol(bytes) {
  var u = new Uint8Array(bytes.length);
  for (var i = 0; i < bytes.length; i++) u[i] = bytes[i] & 0xff;
  var view = new DataView(u.buffer, 0);
  var out = {};
  var command = u[0];
  if (command == 0x00) {
    out.method = "thing.event.property.post";
    out.version = "1.0";
    out.id = "" + view.getInt32(1);
    out.params = {
      Speed: view.getInt16(5),
      Switch: u[7],
      Temperature: view.getFloat32(8)
    };
  } else if (command == 0x02) {
    out.id = "" + view.getInt32(1);
    out.code = u[5] == 0 ? 200 : 500;
    out.data = {};
  }
  return out;
}
function protocolToRawData(json) {
  var out = [];
  if (json.method == "thing.service.property.set") {
    var id = parseInt(json.id);
    out = out.concat([0x01, id >> 24 & 0xff, id >> 16 & 0xff, id >> 8 & 0xff, id & 0xff]);
    out.push(json.params.Switch);
  } else {
    out.push(0x03, json.code == 200 ? 0 : -1);
  }
  return out;
}
function transformPayload(topic, raw) {
  return {topic: topic, sum: raw.reduce(function (a, b) { return a + b; }, 0)};
}`

// frame is twenty bytes of a report.
var frame = []byte{0, 0, 0, 1, 4, 0x01, 0x2c, 1, 0x41, 0xac, 0, 0, 0xff, 0xfe, 0x80, 0x7f, 0, 1, 2, 3}

var device = iot.DeviceID{Product: "a1Raw000001", Name: "dev-1"}

func compile(t testing.TB, e quickjs.Engine, source string) *quickjs.Script {
	t.Helper()
	c, err := e.Compile(source)
	if err != nil {
		t.Fatal(err)
	}
	s := c.(*quickjs.Script)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestScript(t *testing.T) {
	s := compile(t, quickjs.Engine{}, sample)
	ctx := t.Context()
	got, err := s.Decode(ctx, device, frame)
	if want := `{"method":"thing.event.property.post","version":"1.0","id":"260","params":{"Speed":300,"Switch":1,"Temperature":21.5}}`; err != nil || string(got) != want {
		t.Errorf("decoded %s, %v", got, err)
	}
	got, err = s.Encode(ctx, device, []byte(`{"id":"4294967295","method":"thing.service.property.set","params":{"Switch":0}}`))
	if err != nil || string(got) != "\x01\xff\xff\xff\xff\x00" {
		t.Errorf("encoded %x, %v", got, err)
	}
	if got, err = s.Encode(ctx, device, []byte(`{"id":"1","code":460,"data":{}}`)); err != nil || string(got) != "\x03\xff" {
		t.Errorf("encoded reply %x, %v", got, err)
	}
	if got, err = s.Transform(ctx, device, "/a/b/user/update", []byte{0, 255, 128}); err != nil || string(got) != `{"topic":"/a/b/user/update","sum":383}` {
		t.Errorf("transformed %s, %v", got, err)
	}
}

func TestCompileErrors(t *testing.T) {
	for source, code := range map[string]alink.Code{
		"function rawDataToProtocol(": alink.CodeScriptSyntax,
		"while (true) {}":             alink.CodeScriptSyntax,
		"throw new Error('no')":       alink.CodeScriptSyntax,
		"var x = 1":                   alink.CodeScriptNoFunction,
		"":                            alink.CodeScriptNoFunction,
	} {
		_, err := quickjs.Engine{}.Compile(source)
		if e, ok := errors.AsType[*alink.CodeError](err); !ok || e.Code != code {
			t.Errorf("%q: %v, want code %d", source, err, code)
		}
	}
}

// TestBadScripts wants every misbehaviour to cost one call, inside its bounds, and
// the next call to work.
func TestBadScripts(t *testing.T) {
	const good = `if (bytes[0] == 1) return {method: "m", id: "1", version: "1.0", params: {}};`
	for name, body := range map[string]string{
		"endless loop":      `while (true) {}`,
		"endless recursion": `return rawDataToProtocol([2]);`,
		"memory":            `var a = []; while (true) a.push(new Array(1000).fill(7));`,
		"long text":         `var s = "x"; while (true) s += s;`,
		"expression":        `/(x+x+)+y/.test("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");`,
		"exception":         `throw new Error("broken");`,
		"nothing":           `return undefined;`,
		"null":              `return null;`,
		"number":            `return 7;`,
		"cycle":             `var a = {}; a.a = a; return a;`,
		"getter":            `return {get x() { while (true) {} }};`,
		"toJSON":            `return {toJSON: function () { throw 1; }};`,
		"globals":           `JSON.stringify = null; Array = null; String = null; return null;`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := compile(t, quickjs.Engine{Machines: 1}, "function rawDataToProtocol(bytes) { "+good+" "+body+" }")
			for range 2 {
				begin := time.Now()
				_, err := s.Decode(t.Context(), device, []byte{2})
				if e, ok := errors.AsType[*alink.CodeError](err); !ok || e.Code != alink.CodeScriptBadResult {
					t.Errorf("bad call: %v", err)
				}
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
				if got, err := s.Decode(t.Context(), device, []byte{1}); err != nil || !strings.Contains(string(got), `"method":"m"`) {
					t.Errorf("good call afterwards: %s, %v", got, err)
				}
			}
			if _, err := s.Encode(t.Context(), device, []byte(`{}`)); !errors.Is(err, &alink.CodeError{Code: alink.CodeScriptNoFunction}) {
				t.Errorf("function that is not there: %v", err)
			}
		})
	}
}

func TestConcurrentCalls(t *testing.T) {
	s := compile(t, quickjs.Engine{Machines: 3}, sample)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if _, err := s.Decode(context.Background(), device, frame); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Close()
	_ = s.Close()
	if _, err := s.Decode(ctx, device, frame); err == nil {
		t.Error("a closed script answered")
	}
	if _, err := s.Decode(t.Context(), device, frame); !errors.Is(err, quickjs.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	s := compile(f, quickjs.Engine{}, sample)
	f.Add(frame)
	f.Add([]byte{2, 0, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if out, err := s.Decode(t.Context(), device, raw); err == nil && len(out) == 0 {
			t.Error("neither result nor error")
		}
		_, _ = s.Transform(t.Context(), device, "t", raw)
		_, _ = s.Encode(t.Context(), device, raw)
	})
}

// BenchmarkDecode decodes a frame of 20 bytes on a machine that is warm.
func BenchmarkDecode(b *testing.B) {
	s := compile(b, quickjs.Engine{}, sample)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Decode(b.Context(), device, frame); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	script, err := quickjs.Engine{}.Compile(`
		function rawDataToProtocol(bytes) {
			return {method: "thing.event.property.post", id: "1", version: "1.0", params: {Level: bytes[1] & 0xff}};
		}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	message, err := script.Decode(context.Background(), iot.DeviceID{}, []byte{0, 200})
	fmt.Println(string(message), err)
	// Output: {"method":"thing.event.property.post","id":"1","version":"1.0","params":{"Level":200}} <nil>
}
