// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"slices"
	"testing"
	"time"

	"github.com/openalink/iot/alink"
	"github.com/tidwall/gjson"
)

// post is a property post of 309 bytes.
var post = []byte(`{"id":"12345","version":"1.0","params":{"Temperature":{"value":23.5,"time":1795326890215},` +
	`"Humidity":{"value":45,"time":1795326890215},"Switch":1,"Name":"living room lamp","Voltage":220.4,"Current":0.35,` +
	`"Mode":"auto","Location":{"lat":30.27,"lon":120.15}},"sys":{"ack":1},"method":"thing.event.property.post"}`)

// ratio returns how long f takes as a multiple of base: the median of many rounds
// in which both run in turn, so that they share the machine's moods.
func ratio(f, base func()) float64 {
	took := func(f func()) float64 {
		start := time.Now()
		for range 200 {
			f()
		}
		return float64(time.Since(start))
	}
	rounds := make([]float64, 101)
	for i := range rounds {
		rounds[i] = took(f) / took(base)
	}
	slices.Sort(rounds)
	return rounds[len(rounds)/2]
}

// BenchmarkParse reports how long Parse takes as a multiple of validating and
// walking the top level with gjson (bar: 1.3).
func BenchmarkParse(b *testing.B) {
	text, n := string(post), 0
	count := func(gjson.Result, gjson.Result) bool { n++; return true }
	var m alink.Message
	parse := func() {
		if err := alink.Parse(post, &m); err != nil {
			b.Fatal(err)
		}
	}
	toGjson := ratio(parse, func() {
		if !gjson.ValidBytes(post) {
			b.Fatal("not valid")
		}
		gjson.Parse(text).ForEach(count)
	})
	b.SetBytes(int64(len(post)))
	b.ReportAllocs()
	for b.Loop() {
		parse()
	}
	b.ReportMetric(toGjson, "x-gjson")
}

func BenchmarkEachProperty(b *testing.B) {
	var m alink.Message
	if err := alink.Parse(post, &m); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := alink.EachProperty(m.Params, func(string, []byte, int64) bool { n++; return true }); err != nil || n != 8 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkAppendReply(b *testing.B) {
	var buf [512]byte
	r := alink.Reply{ID: "12345", Code: alink.CodeOK, Method: "thing.event.property.post"}
	b.ReportAllocs()
	for b.Loop() {
		_ = alink.AppendReply(buf[:0], &r)
	}
}

func BenchmarkMux(b *testing.B) {
	m := newMux(b, "thing/event/property/post", "thing/event/+/post", "thing/service/#", "app/#")
	for _, path := range []string{"thing/event/property/post", "thing/event/alarm/post", "thing/service/a/b"} {
		r := request(path)
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.ServeAlink(b.Context(), r)
			}
		})
	}
}

func BenchmarkMethodOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := alink.MethodOf("thing/event/property/post"); !ok {
			b.Fatal("unknown")
		}
	}
}

func BenchmarkCalls(b *testing.B) {
	c, ctx := alink.NewCalls(10), b.Context()
	payload := []byte(`{"id":"1","code":200,"data":{}}`)
	b.ReportAllocs()
	for b.Loop() {
		p, err := c.Start("1")
		if err != nil {
			b.Fatal(err)
		}
		c.Resolve("1", payload)
		if _, err := p.Wait(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAllocs(t *testing.T) {
	var m, parsed alink.Message
	if err := alink.Parse(post, &parsed); err != nil {
		t.Fatal(err)
	}
	var buf [512]byte
	mux := newMux(t, "thing/event/property/post", "thing/event/+/post", "app/#")
	mux.Use(func(next alink.Handler) alink.Handler { return next })
	requests := []*alink.Request{request("thing/event/property/post"), request("thing/event/x/post"), request("app/a/b"), request("unknown")}
	event := []byte(`{"value":{"ErrorCode":0},"time":1524448722000}`)
	for name, f := range map[string]func(){
		"Parse": func() {
			if err := alink.Parse(post, &m); err != nil {
				t.Error(err)
			}
		},
		"EachProperty": func() {
			n := 0
			if err := alink.EachProperty(parsed.Params, func(string, []byte, int64) bool { n++; return true }); err != nil {
				t.Error(err)
			}
		},
		"EventParams": func() { alink.EventParams(event) },
		"AppendReply": func() {
			r := alink.OK(nil).For(&parsed)
			_ = alink.AppendReply(buf[:0], &r)
		},
		"AppendCall": func() { _ = alink.AppendCall(buf[:0], &alink.Call{ID: "1", Method: "m", Params: parsed.Params}) },
		"MethodOf": func() {
			alink.MethodOf("thing/event/property/post")
			alink.MethodOf("thing/service/property/set_reply")
		},
		"Mux": func() {
			for _, r := range requests {
				mux.ServeAlink(t.Context(), r)
			}
		},
	} {
		if got := testing.AllocsPerRun(100, f); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}
