// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"testing"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

// fixture is a door with a fake platform behind it.
type fixture struct {
	*testing.T
	access *FakeAccess
	door   Door
}

func newFixture(t *testing.T, open Opener) *fixture {
	f := &fixture{T: t, access: new(FakeAccess)}
	f.door = open(t, f.access)
	t.Cleanup(func() {
		if err := f.door.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

// dial opens a connection without logging in.
func (f *fixture) dial() *client {
	f.Helper()
	nc, err := f.door.Dial(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	c := newClient(f.T, nc)
	f.Cleanup(c.close)
	return c
}

// login is the CONNECT the tests use.
func login() *mqttwire.Connect {
	return &mqttwire.Connect{
		Level:        mqttwire.Level311,
		ClientID:     "a1product.device|securemode=3,signmethod=hmacsha256|",
		KeepAlive:    60,
		CleanSession: true,
		HasUserName:  true, UserName: "device&a1product",
		HasPassword: true, Password: []byte("0123456789abcdef"),
	}
}

// connect logs a client in.
func (f *fixture) connect() (*client, *FakeSession) {
	f.Helper()
	return f.connectAs(login())
}

func (f *fixture) connectAs(connect *mqttwire.Connect) (*client, *FakeSession) {
	f.Helper()
	c := f.dial()
	c.write(mqttwire.AppendConnect(nil, connect))
	c.expect(mqttwire.AppendConnack(nil, mqttwire.Connack{}))
	return c, f.access.Next(f)
}

// setup changes every session before it is accepted.
func (f *fixture) setup(change func(*FakeSession)) {
	f.access.Decide = func(_ context.Context, s *FakeSession) (hal.Accepted, error) {
		change(s)
		return hal.Accepted{Session: s}, nil
	}
}

// expectClosed checks that a session is closed once, with cause.
func (f *fixture) expectClosed(s *FakeSession, cause hal.Cause) {
	f.Helper()
	if got := s.Closed(f); got != cause {
		f.Errorf("session closed with cause %q, want %q", got, cause)
	}
	if n := s.Closes(); n > 0 {
		f.Errorf("session closed %d more times", n)
	}
}

// expectAlive checks that c still works.
func (f *fixture) expectAlive(c *client, s *FakeSession) {
	f.Helper()
	c.publish(60000, "/still/here", "x")
	s.Received(f).Done(nil, nil)
	c.expectAcks(60000)
}
