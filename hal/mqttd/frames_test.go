// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/internal/mqttwire"
)

// rawWS is a WebSocket whose frames the test writes byte by byte.
type rawWS struct {
	net.Conn
	r *bufio.Reader
	a *haltest.FakeAccess
}

func openRawWS(t *testing.T) *rawWS {
	t.Helper()
	a := new(haltest.FakeAccess)
	s := newServer(t, a)
	web := httptest.NewServer(s.WebSocket())
	t.Cleanup(func() {
		_ = s.Close()
		web.Close()
	})
	var d net.Dialer
	nc, err := d.DialContext(context.Background(), "tcp", strings.TrimPrefix(web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	// As npm's mqtt, Paho and browsers ask, extensions included.
	_, _ = io.WriteString(nc, "GET /mqtt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqttv3.1, mqtt\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nOrigin: null\r\n\r\n")
	c := &rawWS{nc, bufio.NewReader(nc), a}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Protocol") == "" || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Fatalf("%+v, %v", resp, err)
	}
	return c
}

// frame makes a frame with a key that changes the bytes.
func frame(first byte, payload string) []byte {
	key := [4]byte{0xde, 0xad, 0xbe, 0xef}
	b := append([]byte{first, 0x80 | byte(len(payload))}, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

const (
	fin          = 0x80
	continuation = 0
	text         = 1
	binary       = 2
	closing      = 8
	ping         = 9
	pong         = 10
)

// TestFrameBytes: what a client may send, and that anything else ends the
// connection as what it is.
func TestFrameBytes(t *testing.T) {
	pingreq := string(mqttwire.AppendPingreq(nil))
	for _, c := range []struct {
		name   string
		frames []byte
		cause  hal.Cause // empty: the connection goes on
	}{
		{"in pieces", join(frame(binary, pingreq[:1]), frame(continuation, ""), frame(continuation|fin, pingreq[1:])), ""},
		{"a ping between the pieces", join(frame(binary, pingreq[:1]), frame(ping|fin, "x"), frame(continuation|fin, pingreq[1:])), ""},
		{"two in one", frame(binary|fin, pingreq+pingreq), ""},
		{"a pong nobody asked for", join(frame(pong|fin, "x"), frame(binary|fin, pingreq)), ""},
		{"an empty message", join(frame(binary|fin, ""), frame(binary|fin, pingreq)), ""},
		{"goodbye", frame(closing|fin, "\x03\xe8"), hal.CauseReset},
		{"goodbye without a word", frame(closing|fin, ""), hal.CauseReset},
		{"not masked", append([]byte{binary | fin, 2}, pingreq...), hal.CauseProtocol},
		{"reserved bit", frame(binary|fin|0x40, pingreq), hal.CauseProtocol},
		{"unknown kind", frame(3|fin, pingreq), hal.CauseProtocol},
		{"unknown control", frame(11|fin, ""), hal.CauseProtocol},
		{"ping in pieces", frame(ping, "x"), hal.CauseProtocol},
		{"long ping", append([]byte{ping | fin, 0x80 | 126, 0, 126, 0, 0, 0, 0}, make([]byte, 126)...), hal.CauseProtocol},
		{"continuation of nothing", frame(continuation|fin, pingreq), hal.CauseProtocol},
		{"new message within another", join(frame(binary, pingreq[:1]), frame(binary|fin, pingreq[1:])), hal.CauseProtocol},
		{"text", frame(text|fin, pingreq), hal.CauseProtocol},
		{"goodbye with a bad code", frame(closing|fin, "\x00\x01"), hal.CauseProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws := openRawWS(t)
			_, _ = ws.Write(frame(binary|fin, string(connectPacket())))
			s := ws.a.Next(t)
			_, _ = ws.Write(c.frames)
			if c.cause == "" {
				ws.wantPingresp(t)
				if n := s.Closes(); n > 0 {
					t.Errorf("closed with %q", s.Closed(t))
				}
				return
			}
			if cause := s.Closed(t); cause != c.cause {
				t.Errorf("closed with %q, want %q", cause, c.cause)
			}
			if _, err := io.Copy(io.Discard, ws.r); err != nil {
				t.Errorf("the connection stays open: %v", err)
			}
		})
	}
}

// What is written while the library refuses a frame says nothing about the cause.
func TestRefusedFrameWhileWriting(t *testing.T) {
	for range 100 {
		ws := openRawWS(t)
		_, _ = ws.Write(join(frame(binary|fin, string(connectPacket())), frame(continuation|fin, "x")))
		if cause := ws.a.Next(t).Closed(t); cause != hal.CauseProtocol {
			t.Fatalf("closed with %q, want %q", cause, hal.CauseProtocol)
		}
	}
}

// wantPingresp reads until the answer to a PINGREQ.
func (ws *rawWS) wantPingresp(t *testing.T) {
	t.Helper()
	for {
		var head [2]byte
		if _, err := io.ReadFull(ws.r, head[:]); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, head[1])
		if _, err := io.ReadFull(ws.r, payload); err != nil {
			t.Fatal(err)
		}
		if head[0] == binary|fin && strings.Contains(string(payload), string(mqttwire.AppendPingresp(nil))) {
			return
		}
	}
}

func join(frames ...[]byte) (b []byte) {
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}
