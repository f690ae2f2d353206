// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules/queue"
	"github.com/openalink/iot/rules/queue/stream"
	"github.com/openalink/iot/store/mem"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// platform serves group "g" at the URL returned.
func platform(t testing.TB) (*memlog.Log, *queue.Queues, string) {
	t.Helper()
	l, st := &memlog.Log{}, mem.New()
	q, err := queue.Open(t.Context(), queue.Config{Source: l, Store: st})
	if err != nil {
		t.Fatal(err)
	}
	g := queue.Group{ID: "g", Subscriptions: []queue.Subscription{{Product: "a1Product01", Kinds: queue.Kinds()}}}
	if err := q.Create(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := stream.Serve(w, r, q, strings.TrimPrefix(r.URL.Path, "/")); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
		}
	}))
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	server.Config.Protocols = &p
	server.Start()
	t.Cleanup(func() {
		q.Close()
		server.Close()
		st.Close()
	})
	return l, q, server.URL + "/g"
}

func client(t testing.TB, h2 bool) *http.Client {
	var p http.Protocols
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	tr := &http.Transport{Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestStream(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) { testStream(t, client(t, h2)) })
	}
}

func testStream(t *testing.T, hc *http.Client) {
	l, q, url := platform(t)
	c, err := stream.Open(t.Context(), url+"?prefetch=2", stream.Options{Client: hc})
	if err != nil {
		t.Fatal(err)
	}
	l.Say("a", "/a1Product01/a/user/x", "first")
	l.Say("a", "/a1Product01/a/user/x", "second")
	l.Say("b", "/a1Product01/b/user/x", "third")
	var got []string
	for m, err := range c.Messages() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s %s try %d", m.ID, m.Device, m.Payload, m.Tries))
		switch {
		case m.ID == 3 && m.Tries == 1:
			err = m.Later()
			if err == nil {
				err = m.Done()
			}
		case m.ID == 1 && m.Tries == 1:
			err = m.Again(time.Millisecond)
		default:
			err = m.Done()
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.ID == 2 {
			break
		}
	}
	if len(got) != 4 || got[len(got)-1] != "2 a1Product01/a second try 1" {
		t.Errorf("%q", got)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s, err := q.Stats(t.Context(), "g")
		if err == nil && s.Lag == 0 && s.Again == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v %v", s, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if s, err := q.Stats(t.Context(), "g"); err == nil && s.Consumers == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the consumer did not leave")
		}
	}
}

func TestRefused(t *testing.T) {
	_, _, url := platform(t)
	hc := client(t, true)
	for _, u := range []string{url + "x", url + "?prefetch=0"} {
		if _, err := stream.Open(t.Context(), u, stream.Options{Client: hc}); err == nil || !strings.Contains(err.Error(), "status 404") {
			t.Errorf("%s: %v", u, err)
		}
	}
	if _, err := stream.Open(t.Context(), "http://127.0.0.1:1/", stream.Options{Client: hc}); err == nil {
		t.Error("nobody listens")
	}
}

// Nonsense ends the stream, and nothing else.
func TestNonsense(t *testing.T) {
	l, q, url := platform(t)
	for _, text := range []string{"no\n", "{\"done\":7}\n", strings.Repeat("x", 1<<20)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client(t, true).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		if n, err := resp.Body.Read(b[:]); err == nil {
			t.Errorf("%.10q: %d bytes", text, n)
		}
		resp.Body.Close()
	}
	l.Say("a", "/a1Product01/a/user/x", "x")
	c, err := q.Join(t.Context(), "g", queue.JoinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.Next(t.Context()); err != nil || m.ID != 1 {
		t.Errorf("%+v %v", m, err)
	}
}

func Example() {
	// The URL of a hub's management API.
	_, err := stream.Open(context.Background(), "http://127.0.0.1:1/api/v1/groups/billing/stream", stream.Options{
		Header: http.Header{"Authorization": {"Bearer KEY"}},
	})
	fmt.Println(err != nil)
	// Output: true
}
