// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

// TestTimeouts is what a door does when time passes. It runs in a bubble of
// testing/synctest, so the connections that open's door dials must be made of
// mem.Pipe or the like.
func TestTimeouts(t *testing.T, open func(t *testing.T, a hal.Access) Door, options ...Option) {
	left := leftOut(options)
	defer left.check(t)
	for _, c := range []contract{
		{"SilentSocket", testSilentSocket},
		{"SlowConnect", testSlowConnect},
		{"SlowPlatform", testSlowPlatform},
		{"KeepAlive", testKeepAlive},
		{"KeepAliveOff", testKeepAliveOff},
		{"HalfOpen", testHalfOpen},
		{"KickedWhileConnecting", testKickedWhileConnecting},
		{"ClientThatNeverReads", testNeverReads},
		{"UnwrittenIsGone", testUnwrittenGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			left.skip(t, c.name)
			synctest.Test(t, func(t *testing.T) { c.test(newFixture(t, open)) })
		})
	}
}

// longest is how long a door may leave a client undecided or stuck.
const longest = time.Minute

// testSilentSocket: somebody connects and never says a word.
func testSilentSocket(f *fixture) {
	c := f.dial()
	start := time.Now()
	_ = c.nc.SetReadDeadline(start.Add(2 * longest))
	_, err := c.nc.Read(make([]byte, 1))
	if took := time.Since(start); err == nil || took > longest {
		f.Errorf("silent connection ended after %v with %v", took, err)
	}
}

// testSlowConnect: somebody sends a byte now and then.
func testSlowConnect(f *fixture) {
	c := f.dial()
	start := time.Now()
	for _, b := range mqttwire.AppendConnect(nil, login()) {
		if _, err := c.nc.Write([]byte{b}); err != nil {
			break
		}
		time.Sleep(3 * time.Second)
	}
	c.expectEnd()
	if took := time.Since(start); took > longest+patience {
		f.Errorf("slow connection ended after %v", took)
	}
	if n := f.access.Asked(); n > 0 {
		f.Errorf("the platform was asked %d times", n)
	}
}

// testSlowPlatform: a platform that does not decide in time is unavailable.
func testSlowPlatform(f *fixture) {
	f.access.Decide = func(ctx context.Context, _ *FakeSession) (hal.Accepted, error) {
		<-ctx.Done()
		return hal.Accepted{}, ctx.Err()
	}
	c := f.dial()
	c.write(mqttwire.AppendConnect(nil, login()))
	c.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{Code: mqttwire.Unavailable}))
	c.expectEnd()
}

func (f *fixture) allowSilence(d time.Duration) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		return hal.Accepted{Session: s, KeepAlive: d}, nil
	}
}

func testKeepAlive(f *fixture) {
	for _, allowed := range []time.Duration{time.Second, 1500 * time.Millisecond, 45 * time.Second, 30 * time.Minute} {
		f.allowSilence(allowed)
		c, s := f.connect()
		for range 4 {
			time.Sleep(allowed - allowed/10)
			c.ping()
		}
		start := time.Now()
		_ = c.nc.SetReadDeadline(start.Add(2 * time.Hour))
		_, err := c.nc.Read(make([]byte, 1))
		if took := time.Since(start); err == nil || took < allowed || took > allowed+3*time.Second {
			f.Errorf("connection allowed to be silent for %v ended after %v with %v", allowed, took, err)
		}
		f.expectClosed(s, hal.CauseKeepAlive)
	}
}

func testKeepAliveOff(f *fixture) {
	f.allowSilence(0)
	c, s := f.connect()
	time.Sleep(30 * 24 * time.Hour)
	f.expectAlive(c, s)
}

// testHalfOpen: the client is gone and no packet says so. What is sent to it
// does not count as life, and does not keep the session from ending.
func testHalfOpen(f *fixture) {
	f.allowSilence(90 * time.Second)
	_, s := f.connect()
	start := time.Now()
	for s.Closes() == 0 && time.Since(start) < time.Hour {
		for id := range uint16(50) {
			s.Request.Link.Send(f.Context(), delivery(id, "/down", "some bytes to fill the buffers"), nil)
		}
		time.Sleep(time.Second)
	}
	if took := time.Since(start); took > 95*time.Second {
		f.Errorf("half-open connection ended after %v", took)
	}
	if cause := s.Closed(f); cause != hal.CauseKeepAlive && cause != hal.CauseSlow {
		f.Errorf("session closed with cause %q", cause)
	}
}

// testKickedWhileConnecting: the platform need not decide about a client that
// is gone.
func testKickedWhileConnecting(f *fixture) {
	var took time.Duration
	f.access.Decide = func(ctx context.Context, s *FakeSession) (hal.Accepted, error) {
		start := time.Now()
		s.Request.Link.Close(hal.CauseKicked)
		<-ctx.Done()
		took = time.Since(start)
		return hal.Accepted{}, ctx.Err()
	}
	c := f.dial()
	c.write(mqttwire.AppendConnect(nil, login()))
	f.access.Next(f)
	if took > 0 {
		f.Errorf("the context of Connect ended after %v", took)
	}
}

// testNeverReads: a client that talks and never reads is not served without
// end.
func testNeverReads(f *fixture) {
	f.setup(func(s *FakeSession) {
		s.OnReceive = func(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
			done([]iot.Message{{Topic: "/reply", Payload: m.Payload}}, nil)
		}
	})
	c, s := f.connect()
	_ = c.nc.SetDeadline(time.Time{})
	const most = 16 << 20
	taken := make(chan int, 1)
	go func() {
		b := publishBytes(1, "/a", strings.Repeat("x", 32<<10))
		n := 0
		for ; n < most; n += len(b) {
			if _, err := c.nc.Write(b); err != nil {
				break
			}
		}
		taken <- n
	}()
	time.Sleep(longest)
	f.expectClosed(s, hal.CauseSlow)
	if n := <-taken; n >= most {
		f.Errorf("%d MB of a client that does not read were taken", n>>20)
	}
}

// testUnwrittenGone: what the client did not take when it went is not done.
func testUnwrittenGone(f *fixture) {
	c, s := f.connect()
	var dones []<-chan error
	for range 3 { // by the third time the transport's buffer is full as well
		for full := false; !full; {
			done := s.send(f.Context(), delivery(0, "/down", strings.Repeat("x", 1000)))
			select {
			case err := <-done:
				full = errors.Is(err, hal.ErrFull)
			default:
				dones = append(dones, done)
			}
		}
		synctest.Wait()
	}
	var open []<-chan error
	for _, done := range dones {
		if len(done) == 0 {
			open = append(open, done)
		}
	}
	c.close()
	f.expectClosed(s, hal.CauseReset)
	for i, done := range open {
		if err := receive(f, done, "the delivery"); !errors.Is(err, hal.ErrGone) {
			f.Errorf("delivery %d of %d: %v, want ErrGone", i, len(open), err)
		}
	}
}
