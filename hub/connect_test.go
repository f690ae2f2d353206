// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
)

func TestConnectRefusals(t *testing.T) {
	tests := []struct {
		name  string
		login func(p *platform, d hub.Device) error
		want  hal.Reason
		cause hub.LogCause
	}{
		{"wrong secret", func(p *platform, d hub.Device) error {
			d.Secret = auth.NewSecret("wrong")
			_, err := p.login(d, loginOptions{})
			return err
		}, hal.BadCredentials, hub.CauseBadCredentials},
		{"unknown device", func(p *platform, d hub.Device) error {
			d.ID.Name = "nobody"
			_, err := p.login(d, loginOptions{})
			return err
		}, hal.BadCredentials, hub.CauseBadCredentials},
		{"unknown product", func(p *platform, d hub.Device) error {
			d.ID.Product = "nothing"
			_, err := p.login(d, loginOptions{})
			return err
		}, hal.BadCredentials, hub.CauseBadCredentials},
		{"malformed client id", func(p *platform, d hub.Device) error {
			_, err := p.login(d, loginOptions{clientID: "no bars"})
			return err
		}, hal.BadClientID, hub.CauseBadClientID},
		{"malformed user name", func(p *platform, d hub.Device) error {
			_, err := p.login(d, loginOptions{userName: "nobody"})
			return err
		}, hal.BadCredentials, hub.CauseBadCredentials},
		{"disabled device", func(p *platform, d hub.Device) error {
			if _, err := p.hub.DisableDevice(p.t.Context(), d.ID); err != nil {
				p.t.Fatal(err)
			}
			_, err := p.login(d, loginOptions{})
			return err
		}, hal.NotAuthorized, hub.CauseDisabledDevice},
		{"keep-alive too short", func(p *platform, d hub.Device) error {
			_, err := p.login(d, loginOptions{keepAlive: 29 * time.Second})
			return err
		}, hal.NotAuthorized, hub.CauseBadKeepAlive},
		{"keep-alive too long", func(p *platform, d hub.Device) error {
			_, err := p.login(d, loginOptions{keepAlive: 1201 * time.Second})
			return err
		}, hal.NotAuthorized, hub.CauseBadKeepAlive},
		{"sixth login in a minute", func(p *platform, d hub.Device) error {
			for range 5 {
				if _, err := p.login(d, loginOptions{}); err != nil {
					p.t.Fatal(err)
				}
			}
			_, err := p.login(d, loginOptions{})
			return err
		}, hal.Unavailable, hub.CauseRateLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
				err := tt.login(p, p.register("lamp-1"))
				if got := reasonOf(err); got != tt.want {
					t.Fatalf("refused as %v (%v), want %v", got, err, tt.want)
				}
				p.expectLog(hub.OpConnect, tt.cause)
			})
		})
	}
}

// A device that goes in between has no more logins than one that stays.
func TestLoginsCountAcrossSessions(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		for range 5 {
			p.connect(d).goodbye()
		}
		if _, err := p.login(d, loginOptions{}); reasonOf(err) != hal.Unavailable {
			t.Errorf("sixth login: %v", err)
		}
		time.Sleep(time.Minute)
		p.connect(d).goodbye()
	})
}

func TestFailedLoginsDoNotLockOut(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		for range 50 {
			if _, err := p.login(d, loginOptions{password: "00"}); reasonOf(err) != hal.BadCredentials {
				t.Fatalf("wrong password: %v", err)
			}
		}
		p.connect(d)
	})
}

func TestLoginRateRecovers(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		for range 5 {
			p.connect(d)
		}
		time.Sleep(13 * time.Second) // a fifth of a minute frees one
		p.connect(d)
	})
}

func TestTakeOver(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		first := p.connect(d)
		second := p.connect(d)
		synctest.Wait()
		if first.cause != hal.CauseKicked {
			t.Errorf("first connection closed with %q, want kicked", first.cause)
		}
		if second.cause != "" {
			t.Errorf("second connection closed with %q", second.cause)
		}
		if _, err := first.publish(first.sys("thing/event/property/post"), `{"id":"1","params":{}}`, 1); err == nil || isRejected(err) {
			t.Errorf("message of the ended session: %v, want an error that closes", err)
		}
		// The late Close of the first listener must not end the second session.
		first.session.Close(hal.CauseReset)
		synctest.Wait()
		if !p.hub.Online(d.ID) {
			t.Error("device is offline after the old session closed")
		}
		p.expectLog(hub.OpDisconnect, "kicked")
		var events []hub.PresenceEvent
		for e, err := range p.hub.PresenceEvents(t.Context(), d.ID, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		if len(events) != 3 || !events[0].Online || events[1].Online || !events[2].Online {
			t.Fatalf("presence events %+v, want on, off, on", events)
		}
		if events[1].Session != events[0].Session || events[2].Session <= events[1].Session {
			t.Errorf("session numbers do not rise: %+v", events)
		}
	})
}

func TestStateOfADevice(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		state := func(want hub.State) {
			t.Helper()
			got, err := p.hub.Presence(t.Context(), d.ID)
			if err != nil || got.State != want {
				t.Errorf("state %q (%v), want %q", got.State, err, want)
			}
		}
		state(hub.Inactive)
		c := p.connect(d)
		state(hub.Online)
		c.goodbye()
		state(hub.Offline)
		if _, err := p.hub.DisableDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		state(hub.Disabled)
		if err := p.hub.DeleteDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.Presence(t.Context(), d.ID); !errors.Is(err, hub.ErrUnknownDevice) {
			t.Errorf("deleted device: %v", err)
		}
	})
}

func TestRestartSettlesPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, hub.Config{})
		d := p.register("lamp-1")
		p.connect(d)
		// The process ends here: nothing tells the store.
		again, err := hub.Open(t.Context(), hub.Config{Store: p.store})
		if err != nil {
			t.Fatal(err)
		}
		got, err := again.Presence(t.Context(), d.ID)
		if err != nil || got.State != hub.Offline || got.Last.Cause != hal.CauseServerStop {
			t.Errorf("presence %+v (%v), want offline by server-stop", got, err)
		}
		if err := errors.Join(again.Close(), p.hub.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestDisableAndDeleteTellTheDevice(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		cause        hal.Cause
		do           func(p *platform, d hub.Device) error
	}{
		{"disable", "thing/disable", hal.CauseDisabled, func(p *platform, d hub.Device) error {
			_, err := p.hub.DisableDevice(p.t.Context(), d.ID)
			return err
		}},
		{"delete", "thing/delete", hal.CauseDeleted, func(p *platform, d hub.Device) error {
			return p.hub.DeleteDevice(p.t.Context(), d.ID)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
				d := p.register("lamp-1")
				c := p.connect(d)
				if err := tt.do(p, d); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				got := c.take()
				if len(got) != 1 || got[0].Message.Topic != c.sys(tt.method) {
					t.Errorf("device heard %+v, want %s", got, tt.method)
				}
				if c.cause != tt.cause {
					t.Errorf("closed with %q, want %q", c.cause, tt.cause)
				}
				if p.hub.Online(d.ID) {
					t.Error("still online")
				}
			})
		})
	}
}

func TestWillIsIgnoredAndLogged(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		if _, err := p.login(p.register("lamp-1"), loginOptions{will: true}); err != nil {
			t.Fatal(err)
		}
		p.expectLog(hub.OpConnect, hub.CauseIgnored)
	})
}
