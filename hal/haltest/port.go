// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/openalink/iot/hal"
)

// Port is what somebody brought to a board, for TestDevice. Only Transport is
// required.
type Port struct {
	// Transport opens a door to a for the transport under test, and returns the
	// transport of a device that goes there. What is to be closed is left to
	// t.Cleanup.
	Transport func(t *testing.T, a hal.Access) hal.Transport
	// Speaks is set for a transport that brings nothing to the device but answers to
	// its messages (HTTPS, CoAP). Each message asks for a session then, and
	// subscribing fails with an error that wraps errors.ErrUnsupported.
	Speaks bool

	Net   hal.Net
	Clock hal.Clock
	// Slot is what TestSlot takes.
	Slot func(t *testing.T) (restart func(t *testing.T) hal.Slot)
	// Firmware is what TestFirmwareSlot takes.
	Firmware func(t *testing.T) Board
}

// TestDevice is what a port must do before the SDK of package device runs on it. A
// fake platform in the same process stands at the other end.
func TestDevice(t *testing.T, p Port) {
	t.Run("Transport", func(t *testing.T) {
		for _, c := range transportCases {
			if p.Speaks && c.downlink {
				continue
			}
			t.Run(c.name, func(t *testing.T) { c.test(newPortFixture(t, p)) })
		}
		if p.Speaks {
			t.Run("NoSubscriptions", func(t *testing.T) { portNoSubscriptions(newPortFixture(t, p)) })
		}
	})
	if p.Net != nil {
		t.Run("Net", func(t *testing.T) { testNet(t, p.Net) })
	}
	if p.Clock != nil {
		t.Run("Clock", func(t *testing.T) { testClock(t, p.Clock) })
	}
	if p.Slot != nil {
		t.Run("Slot", func(t *testing.T) { TestSlot(t, p.Slot) })
	}
	if p.Firmware != nil {
		t.Run("Firmware", func(t *testing.T) { TestFirmwareSlot(t, p.Firmware) })
	}
}

// testNet: bytes come back from the loopback, and what cannot be reached says so.
func testNet(t *testing.T, n hal.Net) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if nc, err := l.Accept(); err == nil {
			_, _ = io.Copy(nc, nc)
			_ = nc.Close()
		}
	}()
	nc, err := n.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	echo := make([]byte, 4)
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write([]byte("ping")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(nc, echo); err != nil || string(echo) != "ping" {
		t.Errorf("echo %q, %v", echo, err)
	}
	_ = nc.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := nc.Read(echo); err == nil {
		t.Error("a deadline that is over does not end Read")
	} else if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		t.Errorf("a deadline that is over: %v, want a timeout", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if nc, err := n.DialContext(ctx, "tcp", l.Addr().String()); err == nil {
		_ = nc.Close()
		t.Error("connects although the context ended")
	}
	_ = l.Close()
	if nc, err := n.DialContext(t.Context(), "tcp", l.Addr().String()); err == nil {
		_ = nc.Close()
		t.Error("connects where nobody listens")
	}
}

// testClock: the time is about right, and passes.
func testClock(t *testing.T, c hal.Clock) {
	first := c.Now()
	if off := time.Since(first).Abs(); off > time.Minute {
		t.Errorf("clock is off by %v", off)
	}
	last := first
	for end := time.Now().Add(patience); !last.After(first); {
		now := c.Now()
		if now.Before(last) {
			t.Fatalf("clock goes back from %v to %v", last, now)
		}
		last = now
		if time.Now().After(end) {
			t.Fatal("clock stands still")
		}
	}
}
