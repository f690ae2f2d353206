// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

var closeCases = []contract{
	{"Disconnect", testDisconnect},
	{"ConnectionLost", testLost},
	{"Kicked", testKicked},
	{"FirstCauseWins", testFirstCause},
	{"WhatWasSentLeavesFirst", testLastWords},
	{"TakeOver", testTakeOver},
	{"Close", testClose},
	{"CloseEndsConnect", testCloseEndsConnect},
	{"Shutdown", testShutdown},
	{"ShutdownGivesUp", testShutdownGivesUp},
	{"ManyConnections", testManyConnections},
	{"StuckClientIsKicked", testStuckKicked},
	{"StuckClientDoesNotHoldTheDoor", testStuckClose},
}

func testDisconnect(f *fixture) {
	c, s := f.connect()
	c.write(mqttwire.AppendDisconnect(nil))
	c.expectEnd()
	f.expectClosed(s, hal.CauseClient)
}

func testLost(f *fixture) {
	c, s := f.connect()
	c.write([]byte{0x30, 100, 0, 3}) // in the middle of a packet
	c.close()
	f.expectClosed(s, hal.CauseReset)
}

func testKicked(f *fixture) {
	c, s := f.connect()
	for range 3 {
		s.Request.Link.Close(hal.CauseKicked)
	}
	c.expectEnd()
	f.expectClosed(s, hal.CauseKicked)
}

func testFirstCause(f *fixture) {
	c, s := f.connect()
	c.publish(1, "/a", "x")
	flight := s.Received(f)
	s.Request.Link.Close(hal.CauseDisabled)
	s.Request.Link.Close(hal.CauseDeleted)
	flight.Done(nil, errors.New("too late"))
	c.close()
	f.expectClosed(s, hal.CauseDisabled)
}

// testLastWords: a notice sent before the kick arrives.
func testLastWords(f *fixture) {
	c, s := f.connect()
	s.Request.Link.Send(f.Context(), delivery(0, "/ext/error/a1product/device", "{}"), nil)
	s.Request.Link.Close(hal.CauseDisabled)
	c.expect(publishBytes(0, "/ext/error/a1product/device", "{}"))
	c.expectEnd()
}

// testTakeOver kicks the older session from within the Connect of the newer,
// and waits for its end as a platform does.
func testTakeOver(f *fixture) {
	var mu sync.Mutex
	var older *FakeSession
	gone := make(chan hal.Cause, 100)
	f.setup(func(s *FakeSession) {
		s.OnClose = func(cause hal.Cause) { gone <- cause }
		mu.Lock()
		defer mu.Unlock()
		if older != nil {
			older.Request.Link.Close(hal.CauseKicked)
			if cause := receive(f, gone, "the end of the older session"); cause != hal.CauseKicked {
				f.Errorf("older session closed with %q", cause)
			}
		}
		older = s
	})
	last, _ := f.connect()
	for range 20 {
		c, _ := f.connect()
		last.expectEnd()
		last = c
	}
	last.ping()
	if n := len(gone); n > 0 {
		f.Errorf("%d sessions closed too often", n)
	}
}

func testClose(f *fixture) {
	var sessions []*FakeSession
	var clients []*client
	for range 5 {
		c, s := f.connect()
		c.publish(1, "/a", "x")
		s.Received(f) // never done
		clients, sessions = append(clients, c), append(sessions, s)
	}
	half := f.dial()
	half.write([]byte{0x10})
	for range 2 {
		if err := f.door.Close(); err != nil {
			f.Error(err)
		}
	}
	for i, s := range sessions {
		f.expectClosed(s, hal.CauseServerStop)
		clients[i].expectEnd()
	}
	half.expectEnd()
	if nc, err := f.door.Dial(f.Context()); err == nil {
		c := newClient(f.T, nc)
		c.write(mqttwire.AppendConnect(nil, login()))
		c.expectEnd()
		c.close()
	}
}

// testCloseEndsConnect: a platform that is slow to decide does not keep the
// door open.
func testCloseEndsConnect(f *fixture) {
	entered := make(chan struct{})
	f.access.Decide = func(ctx context.Context, _ *FakeSession) (hal.Accepted, error) {
		close(entered)
		<-ctx.Done()
		return hal.Accepted{}, ctx.Err()
	}
	c := f.dial()
	c.write(mqttwire.AppendConnect(nil, login()))
	receive(f, entered, "Connect")
	if err := f.door.Close(); err != nil {
		f.Error(err)
	}
}

func testShutdown(f *fixture) {
	busy, s1 := f.connect()
	idle, s2 := f.connect()
	var flights []Flight
	for i := range 10 {
		busy.publish(uint16(i+1), "/a", "x")
		flights = append(flights, s1.Received(f))
	}
	result := make(chan error, 1)
	go func() { result <- f.door.Shutdown(f.Context()) }()
	idle.expectEnd()
	f.expectClosed(s2, hal.CauseServerStop)
	if s1.Closes() > 0 {
		f.Error("session closed with messages in flight")
	}
	for i, flight := range flights {
		flight.Done(nil, nil)
		busy.expectAcks(uint16(i + 1))
	}
	busy.expectEnd()
	f.expectClosed(s1, hal.CauseServerStop)
	if err := receive(f, result, "Shutdown"); err != nil {
		f.Error(err)
	}
}

func testShutdownGivesUp(f *fixture) {
	c, s := f.connect()
	c.publish(1, "/a", "x")
	s.Received(f) // never done
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.door.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("Shutdown: %v, want the error of the context", err)
	}
	c.expectEnd()
	f.expectClosed(s, hal.CauseServerStop)
}

// testManyConnections connects and ends in every way at once.
func testManyConnections(f *fixture) {
	var wg sync.WaitGroup
	f.setup(func(s *FakeSession) { s.OnClose = func(hal.Cause) { wg.Done() } })
	const clients, rounds = 8, 15
	wg.Add(clients * rounds)
	var clientsDone sync.WaitGroup
	for g := range clients {
		clientsDone.Go(func() {
			for i := range rounds {
				f.connectAndEnd((g + i) % 4)
			}
		})
	}
	clientsDone.Wait()
	wg.Wait()
}

func (f *fixture) connectAndEnd(way int) {
	nc, err := f.door.Dial(f.Context())
	if err != nil {
		f.Error(err)
		return
	}
	c := newClient(f.T, nc)
	defer c.close()
	c.write(append(mqttwire.AppendConnect(nil, login()), publishBytes(1, "/a", "x")...))
	if _, err := c.read(); err != nil { // CONNACK
		f.Error(err)
	}
	switch way {
	case 0:
		c.write(mqttwire.AppendDisconnect(nil))
	case 1:
		c.write(publishBytes(0, "#", "bad"))
	case 2:
		c.write([]byte{0x30, 9, 0})
	}
}

// stuck connects a client that does not read, and sends until nothing more
// fits.
func (f *fixture) stuck() (*client, *FakeSession) {
	f.Helper()
	c, s := f.connect()
	other, s2 := f.connect()
	payload := strings.Repeat("x", 10<<10)
	queued := 0
	for range 5 {
		for !sendUntilFull(f, s, payload, &queued) {
		}
		f.expectAlive(other, s2) // time for the door to write
	}
	return c, s
}

func testStuckKicked(f *fixture) {
	_, s := f.stuck()
	s.Request.Link.Close(hal.CauseKicked)
	f.expectClosed(s, hal.CauseKicked)
}

func testStuckClose(f *fixture) {
	_, s := f.stuck()
	closed := make(chan error, 1)
	go func() { closed <- f.door.Close() }()
	if err := receive(f, closed, "Close"); err != nil {
		f.Error(err)
	}
	f.expectClosed(s, hal.CauseServerStop)
}
