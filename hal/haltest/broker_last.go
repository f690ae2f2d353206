// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"fmt"
	"sync"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

// lastWords is how many messages a device leaves behind.
const lastWords = 5

// brokerLastWords: a device says something and goes, which is how those with a
// battery live. Its broker said PUBACK.
func brokerLastWords(f *brokerFixture) {
	release, heard := make(chan struct{}), make(chan string, recorded)
	f.setup(func(s *FakeSession) {
		s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
			<-release
			heard <- string(m.Payload)
			done(nil, nil)
		}
		s.OnClose = func(hal.Cause) {}
	})
	d := f.connect("lamp")
	for i := range lastWords {
		d.post(fmt.Sprint(i))
	}
	_ = d.Close()
	f.connect("other") // gives the news of the end some time
	close(release)
	for i := range lastWords {
		if got := receive(f, heard, "what the device said last"); got != fmt.Sprint(i) {
			f.Fatalf("got %s, want %d", got, i)
		}
	}
	if n := f.broker.Dropped(); n > 0 {
		f.Errorf("%d messages were dropped", n)
	}
}

// brokerHandedOver: what the session of a device's older connection did not keep,
// that of the newer one gets, in order.
func brokerHandedOver(f *brokerFixture) {
	entered, release, heard := make(chan struct{}, recorded), make(chan struct{}), make(chan string, recorded)
	var older sync.Once
	f.setup(func(s *FakeSession) {
		s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
			heard <- string(m.Payload)
			done(nil, nil)
		}
		s.OnClose = func(hal.Cause) {}
		older.Do(func() {
			s.OnReceive = func(_ context.Context, _ iot.Message, done func([]iot.Message, error)) {
				entered <- struct{}{}
				<-release
				done(nil, hal.ErrGone)
			}
			closed := sync.OnceFunc(func() { close(release) })
			s.OnClose = func(hal.Cause) { closed() }
		})
	})
	d := f.connect("lamp")
	for i := range lastWords {
		d.post(fmt.Sprint(i))
	}
	receive(f, entered, "the first message")
	f.connect("lamp")
	for i := range lastWords {
		if got := receive(f, heard, "a message of the older connection"); got != fmt.Sprint(i) {
			f.Fatalf("got %s, want %d", got, i)
		}
	}
}
