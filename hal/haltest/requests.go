// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// RequestDoor is a listener of single requests (HTTP, CoAP) under test.
type RequestDoor interface {
	// Post sends one message with a token and returns the payload that answers it,
	// empty when there is none. Any outcome but success is an error.
	Post(ctx context.Context, token, topic string, payload []byte) (answer []byte, err error)
	// Close ends everything. It is idempotent.
	Close() error
}

// TestRequestDoor is what every listener of single requests must do. How devices
// get tokens is the protocol's own and not part of it.
func TestRequestDoor(t *testing.T, open func(t *testing.T, a hal.Access) RequestDoor) {
	for _, c := range []struct {
		name string
		test func(f *requestFixture)
	}{
		{"AsksForEachRequest", testRequestAsks},
		{"MessageArrivesAsSent", testRequestArrives},
		{"BytesStayUntilDone", testRequestBytes},
		{"FirstAnswerIsTheResponse", testRequestAnswer},
		{"ResponseFollowsDone", testRequestFollowsDone},
		{"FailuresAreAnswered", testRequestFailures},
		{"RefusedSaysNothing", testRequestRefused},
		{"LinkReachesNobody", testRequestLink},
		{"ClientGoesAway", testRequestGone},
		{"PanicCostsOneRequest", testRequestPanic},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &requestFixture{T: t, access: new(FakeAccess)}
			f.door = open(t, f.access)
			t.Cleanup(func() {
				if err := f.door.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(f)
		})
	}
}

// requestFixture is a door with a fake platform behind it.
type requestFixture struct {
	*testing.T
	access *FakeAccess
	door   RequestDoor
}

const requestTopic = "/sys/a1product/device/thing/event/property/post"

// posted is the end of a Post.
type posted struct {
	answer []byte
	err    error
}

// post sends a message without waiting for its end.
func (f *requestFixture) post(ctx context.Context, topic string, payload []byte) <-chan posted {
	end := make(chan posted, 1)
	go func() {
		answer, err := f.door.Post(ctx, "a-token", topic, payload)
		end <- posted{answer, err}
	}()
	return end
}

// setup changes every session before it is accepted.
func (f *requestFixture) setup(change func(*FakeSession)) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		change(s)
		return hal.Accepted{Session: s}, nil
	}
}

// expectClosed checks that a session is closed, once.
func (f *requestFixture) expectClosed(s *FakeSession) {
	f.Helper()
	s.Closed(f)
	if n := s.Closes(); n > 0 {
		f.Errorf("session closed %d more times", n)
	}
}

func testRequestAsks(f *requestFixture) {
	for range 3 {
		end := f.post(f.Context(), requestTopic, []byte("x"))
		s := f.access.Next(f)
		r := &s.Request
		token, ok := r.Credential.(auth.Token)
		if r.Kind != hal.Request || r.Protocol == "" || r.Link == nil || r.KeepAlive != 0 || !ok || string(token.Bytes()) != "a-token" {
			f.Errorf("asked with kind %v, protocol %q, keep-alive %v, token %v", r.Kind, r.Protocol, r.KeepAlive, ok)
		}
		s.Received(f).Done(nil, nil)
		if e := <-end; e.err != nil {
			f.Error(e.err)
		}
		f.expectClosed(s)
	}
}

func testRequestArrives(f *requestFixture) {
	for _, want := range []iot.Message{
		{Topic: requestTopic, Payload: []byte(`{"id":"1"}`)},
		{Topic: "/a1product/device/user/update", Payload: []byte{}},
		{Topic: "/a1product/device/raw", Payload: []byte{0, 1, 2, 0xff}},
		{Topic: "/a1product/device/\u4e2d\u6587 %2F", Payload: []byte("x")},
		{Topic: "/a1product/device/large", Payload: bytes.Repeat([]byte{7}, 1000)},
	} {
		end := f.post(f.Context(), want.Topic, want.Payload)
		flight := f.access.Next(f).Received(f)
		got := flight.Copy
		if got.Topic != want.Topic || !bytes.Equal(got.Payload, want.Payload) || got.QoS != iot.AtLeastOnce {
			f.Errorf("got %+v, want %+v", got, want)
		}
		flight.Done(nil, nil)
		if e := <-end; e.err != nil {
			f.Errorf("%s: %v", want.Topic, e.err)
		}
	}
}

// testRequestBytes: many requests at once, done in another order.
func testRequestBytes(f *requestFixture) {
	var flights []Flight
	var ends []<-chan posted
	for i := range 20 {
		ends = append(ends, f.post(f.Context(), requestTopic, fmt.Appendf(nil, "payload %d", i)))
		flights = append(flights, f.access.Next(f).Received(f))
	}
	for _, flight := range slices.Backward(flights) {
		if string(flight.Message.Payload) != string(flight.Copy.Payload) || flight.Message.Topic != flight.Copy.Topic {
			f.Errorf("bytes changed before done: %q, was %q", flight.Message.Payload, flight.Copy.Payload)
		}
		flight.Done(nil, nil)
	}
	for _, end := range ends {
		if e := <-end; e.err != nil {
			f.Error(e.err)
		}
	}
}

func testRequestAnswer(f *requestFixture) {
	for _, answers := range [][]string{nil, {`{"code":200}`}, {"\x00raw\xff", "second"}} {
		end := f.post(f.Context(), requestTopic, []byte("x"))
		flight := f.access.Next(f).Received(f)
		var list []iot.Message
		for _, a := range answers {
			list = append(list, iot.Message{Topic: requestTopic + "_reply", Payload: []byte(a)})
		}
		flight.Done(list, nil)
		for _, m := range list { // valid until done returned, not longer
			clear(m.Payload)
		}
		want := ""
		if len(answers) > 0 {
			want = answers[0]
		}
		if e := <-end; e.err != nil || string(e.answer) != want {
			f.Errorf("answer %q, %v, want %q", e.answer, e.err, want)
		}
	}
}

func testRequestFollowsDone(f *requestFixture) {
	end := f.post(f.Context(), requestTopic, []byte("x"))
	flight := f.access.Next(f).Received(f)
	other := f.post(f.Context(), requestTopic, []byte("y")) // others do not wait
	f.access.Next(f).Received(f).Done(nil, nil)
	<-other
	select {
	case <-end:
		f.Error("answered before done")
	default:
	}
	flight.Done(nil, nil)
	<-end
}

func testRequestFailures(f *requestFixture) {
	for _, cause := range []error{&hal.RejectedError{}, &hal.RejectedError{Err: hal.ErrThrottled}, errors.New("disk full")} {
		end := f.post(f.Context(), requestTopic, []byte("x"))
		s := f.access.Next(f)
		s.Received(f).Done([]iot.Message{{Payload: []byte("not to be sent")}}, cause)
		if e := <-end; e.err == nil || len(e.answer) > 0 {
			f.Errorf("%v: answered %q, %v", cause, e.answer, e.err)
		}
		f.expectClosed(s)
	}
}

func testRequestRefused(f *requestFixture) {
	for _, cause := range []error{
		&hal.RefusedError{Reason: hal.BadCredentials}, &hal.RefusedError{Reason: hal.NotAuthorized},
		&hal.RefusedError{Reason: hal.Unavailable, Err: hal.ErrThrottled}, errors.New("cannot tell"),
	} {
		f.access.Decide = func(context.Context, *FakeSession) (hal.Accepted, error) { return hal.Accepted{}, cause }
		e := <-f.post(f.Context(), requestTopic, []byte("x"))
		if s := f.access.Next(f); e.err == nil || s.Waiting() > 0 || s.Closes() > 0 {
			f.Errorf("%v: answered %q, %v", cause, e.answer, e.err)
		}
	}
}

func testRequestLink(f *requestFixture) {
	end := f.post(f.Context(), requestTopic, []byte("x"))
	s := f.access.Next(f)
	sent := make(chan error, 2)
	s.Request.Link.Send(f.Context(), hal.Delivery{Message: iot.Message{Topic: "/a", Payload: []byte("x")}}, func(err error) { sent <- err })
	s.Received(f).Done(nil, nil)
	if e := <-end; e.err != nil || len(e.answer) > 0 {
		f.Errorf("answered %q, %v", e.answer, e.err)
	}
	if err := receive(f, sent, "the end of a delivery"); err == nil {
		f.Error("a delivery counts as acknowledged")
	}
	s.Request.Link.Close(hal.CauseKicked)
}

func testRequestGone(f *requestFixture) {
	ctx, cancel := context.WithCancel(f.Context())
	end := f.post(ctx, requestTopic, []byte("x"))
	s := f.access.Next(f)
	flight := s.Received(f)
	cancel()
	<-end
	f.expectClosed(s)
	if string(flight.Message.Payload) != "x" {
		f.Error("bytes changed before done")
	}
	flight.Done([]iot.Message{{Payload: []byte("late")}}, nil)
}

func testRequestPanic(f *requestFixture) {
	var once sync.Once
	f.setup(func(s *FakeSession) {
		once.Do(func() {
			s.OnReceive = func(context.Context, iot.Message, func([]iot.Message, error)) { panic("in the platform") }
		})
	})
	if e := <-f.post(f.Context(), requestTopic, []byte("x")); e.err == nil {
		f.Error("a panic is a success")
	}
	f.access.Next(f)
	end := f.post(f.Context(), requestTopic, []byte("x"))
	f.access.Next(f).Received(f).Done(nil, nil)
	if e := <-end; e.err != nil {
		f.Errorf("after a panic: %v", e.err)
	}
}
