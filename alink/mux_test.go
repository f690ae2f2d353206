// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
	"pgregory.net/rapid"
)

// says returns a handler whose reply tells who it is.
func says(name string) alink.HandlerFunc {
	return func(context.Context, *alink.Request) alink.Reply { return alink.Reply{Message: name} }
}

func request(path string) *alink.Request { return &alink.Request{Topic: topic.Topic{Path: path}} }

func newMux(t testing.TB, patterns ...string) *alink.Mux {
	t.Helper()
	m := alink.NewMux()
	for _, p := range patterns {
		if err := m.Handle(p, says(p)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestMux(t *testing.T) {
	m := newMux(t, "thing/event/property/post", "thing/event/+/post", "thing/event/#", "thing/+/property/set", "app/#", "a/+/c", "a/b/+", "+/x", "deep/a/b/c/d", "deep/+/b/#")
	for path, want := range map[string]string{
		"thing/event/property/post":     "thing/event/property/post",
		"thing/event/error/post":        "thing/event/+/post",
		"thing/event/error/get":         "thing/event/#",
		"thing/event":                   "thing/event/#",
		"thing/event/property/set":      "thing/event/#",
		"thing/service/property/set":    "thing/+/property/set",
		"thing/service":                 "unknown method",
		"app":                           "app/#",
		"app/a/b/c":                     "app/#",
		"application":                   "unknown method",
		"a/b/c":                         "a/b/+",
		"a/x/c":                         "a/+/c",
		"a/x/d":                         "unknown method",
		"q/x":                           "+/x",
		"/x":                            "+/x",
		"deep/a/b/c":                    "deep/+/b/#",
		"deep/a/b/c/d":                  "deep/a/b/c/d",
		"deep/a/b":                      "deep/+/b/#",
		"":                              "unknown method",
		"/":                             "unknown method",
		"+":                             "unknown method",
		"thing/event/property/post/":    "thing/event/#",
		strings.Repeat("app/", 1000):    "app/#",
		"x" + strings.Repeat("/", 1000): "unknown method",
	} {
		got := m.ServeAlink(t.Context(), request(path))
		if got.Message != want {
			t.Errorf("%.40q is served by %q, want %q", path, got.Message, want)
		}
		if want == "unknown method" && got.Code != alink.CodeBadParams {
			t.Errorf("%.40q is answered %v, want %v", path, got.Code, alink.CodeBadParams)
		}
	}
}

// Row 7: the method in the message does not matter.
func TestRow07DispatchOnTopic(t *testing.T) {
	m := newMux(t, "thing/event/property/post", "thing/reset")
	r := request("thing/event/property/post")
	for _, method := range []string{"", "thing.reset", "combine.login"} {
		r.Method = method
		if got := m.ServeAlink(t.Context(), r); got.Message != "thing/event/property/post" {
			t.Errorf("method %q is served by %q", method, got.Message)
		}
	}
}

func TestMuxBadPattern(t *testing.T) {
	m := newMux(t, "a/b", "a/+", "#")
	for _, p := range []string{"", "/a", "a#", "a/#/b", "a/b", "a/+", "#", "a\x00"} {
		if err := m.Handle(p, says(p)); !errors.Is(err, alink.ErrBadPattern) {
			t.Errorf("%q: got %v, want ErrBadPattern", p, err)
		}
	}
	if err := m.Handle("x", nil); !errors.Is(err, alink.ErrBadPattern) {
		t.Errorf("nil handler: got %v, want ErrBadPattern", err)
	}
	if err := m.HandleFunc("x", nil); !errors.Is(err, alink.ErrBadPattern) {
		t.Errorf("nil function: got %v, want ErrBadPattern", err)
	}
	if got := m.ServeAlink(t.Context(), request("x")); got.Message != "#" {
		t.Errorf("x is served by %q", got.Message)
	}
}

// naiveBest chooses the pattern a path belongs to by comparing all that match,
// level by level.
func naiveBest(patterns []string, path string) string {
	rank := func(p string) string {
		var b strings.Builder
		for level := range strings.SplitSeq(p, "/") {
			switch level {
			case "#":
				b.WriteByte('2')
			case "+":
				b.WriteByte('1')
			default:
				b.WriteByte('0')
			}
		}
		return b.String()
	}
	best := ""
	for _, p := range patterns {
		if topic.Match(p, path) && (best == "" || rank(p) < rank(best)) {
			best = p
		}
	}
	if best == "" {
		return "unknown method"
	}
	return best
}

func TestMuxNaive(t *testing.T) {
	level := rapid.SampledFrom([]string{"a", "b", "+", "#"})
	pattern := rapid.Map(rapid.SliceOfN(level, 1, 4), func(l []string) string { return strings.Join(l, "/") }).
		Filter(func(s string) bool { return topic.CheckFilter(s) == nil })
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfNDistinct(pattern, 0, 12, rapid.ID).Draw(t, "patterns")
		m := alink.NewMux()
		for _, p := range patterns {
			if err := m.Handle(p, says(p)); err != nil {
				t.Fatal(err)
			}
		}
		path := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 5).Draw(t, "path"), "/")
		if got, want := m.ServeAlink(context.Background(), request(path)).Message, naiveBest(patterns, path); got != want {
			t.Errorf("%v: %s is served by %q, want %q", patterns, path, got, want)
		}
	})
}

func TestMuxUse(t *testing.T) {
	m := newMux(t, "a")
	var trace []string
	made := map[string]int{}
	mw := func(name string) alink.Middleware {
		return func(next alink.Handler) alink.Handler {
			made[name]++
			return alink.HandlerFunc(func(ctx context.Context, r *alink.Request) alink.Reply {
				trace = append(trace, name)
				return next.ServeAlink(ctx, r)
			})
		}
	}
	m.Use(mw("1"), mw("2"))
	m.Use(mw("3"))
	if err := m.Handle("b", says("b")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a": "a", "b": "b", "c": "unknown method"} {
		trace = nil
		if got := m.ServeAlink(t.Context(), request(path)); got.Message != want {
			t.Errorf("%s is served by %q", path, got.Message)
		}
		if diff := cmp.Diff([]string{"1", "2", "3"}, trace); diff != "" {
			t.Errorf("%s passes (-want +got):\n%s", path, diff)
		}
	}
	if diff := cmp.Diff(map[string]int{"1": 1, "2": 1, "3": 1}, made); diff != "" {
		t.Errorf("middleware made (-want +got):\n%s", diff)
	}
}

func TestMuxConcurrent(t *testing.T) {
	m := newMux(t, "a")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 20 {
				if err := m.Handle(fmt.Sprintf("h/%d/%d", i, j), says("h")); err != nil {
					t.Error(err)
				}
				if j == 10 {
					m.Use(func(next alink.Handler) alink.Handler { return next })
				}
			}
		})
		wg.Go(func() {
			for range 200 {
				if got := m.ServeAlink(t.Context(), request("a")); got.Message != "a" {
					t.Errorf("a is served by %q", got.Message)
				}
			}
		})
	}
	wg.Wait()
	for i := range 4 {
		if got := m.ServeAlink(t.Context(), request(fmt.Sprintf("h/%d/19", i))); got.Message != "h" {
			t.Errorf("a pattern is lost")
		}
	}
}

func TestErrorReply(t *testing.T) {
	coded := &alink.CodeError{Code: alink.CodeTopoMissing, Message: "not yours", Data: []byte(`{"a":1}`)}
	tests := []struct {
		name string
		err  error
		want alink.Reply
	}{
		{"Nil", nil, alink.Reply{Code: alink.CodeOK}},
		{"Code", coded, alink.Reply{Code: alink.CodeTopoMissing, Message: "not yours", Data: []byte(`{"a":1}`)}},
		{"Wrapped", fmt.Errorf("topo: %w", coded), alink.Reply{Code: alink.CodeTopoMissing, Message: "not yours", Data: []byte(`{"a":1}`)}},
		{"Other", errors.New("dial db.internal: password wrong"), alink.Reply{Code: alink.CodeInternal}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, alink.ErrorReply(tt.err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
