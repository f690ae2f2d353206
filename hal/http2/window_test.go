// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
)

// TestBodiesWaitOutside: a message whose turn has not come is not read, so that the
// window bounds what the messages of a device take. The platform says that it reads
// by asking to continue.
func TestBodiesWaitOutside(t *testing.T) {
	d := openDoor(t, nil)
	d.access.Decide = func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		return hal.Accepted{Session: s, MaxUnacked: 1}, nil
	}
	tr, _ := d.web.Transport.(*http.Transport)
	tr.ExpectContinueTimeout = time.Minute
	s := d.connect()
	publish := func(body io.Reader, reads func()) chan int {
		wrote, answered := make(chan struct{}), make(chan int, 1)
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: reads, WroteHeaders: func() { close(wrote) }})
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/h2/publish/a/b/c", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Channel-Id", s.resp.Header.Get("X-Channel-Id"))
		r.Header.Set("Expect", "100-continue")
		go func() {
			resp, err := d.web.Do(r)
			if err != nil {
				t.Error(err)
				answered <- 0
				return
			}
			_ = resp.Body.Close()
			answered <- resp.StatusCode
		}()
		<-wrote
		return answered
	}
	body, rest := io.Pipe()
	reads := make(chan struct{})
	first := publish(body, func() { close(reads) })
	<-reads
	var over, early atomic.Bool
	second := publish(strings.NewReader("second"), func() { early.Store(!over.Load()) })
	for range 10 { // so that it may do what it must not
		if code, _ := s.post("/h2/other", ""); code != http.StatusNotFound {
			t.Errorf("elsewhere: %d", code)
		}
	}
	if _, err := io.WriteString(rest, "first"); err != nil {
		t.Fatal(err)
	}
	_ = rest.Close()
	flight := s.session.Received(t)
	over.Store(true)
	flight.Done(nil, nil)
	last := s.session.Received(t)
	last.Done(nil, nil)
	if a, b := <-first, <-second; a != http.StatusOK || b != http.StatusOK {
		t.Errorf("answered %d and %d", a, b)
	}
	if got := string(flight.Copy.Payload) + string(last.Copy.Payload); got != "firstsecond" {
		t.Errorf("came %q", got)
	}
	if early.Load() {
		t.Error("a message that must wait is read")
	}
}
