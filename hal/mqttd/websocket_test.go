// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/internal/mqttwire"
)

// openWS returns a client's WebSocket and the platform behind it.
func openWS(t *testing.T, path string, protocols ...string) (*websocket.Conn, *haltest.FakeAccess) {
	t.Helper()
	a := new(haltest.FakeAccess)
	s := newServer(t, a)
	web := httptest.NewServer(s.WebSocket())
	t.Cleanup(func() {
		_ = s.Close()
		web.Close()
	})
	d := websocket.Dialer{Subprotocols: protocols}
	ws, resp, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	return ws, a
}

func writeWS(t *testing.T, ws *websocket.Conn, kind int, b []byte) {
	t.Helper()
	if err := ws.WriteMessage(kind, b); err != nil {
		t.Fatal(err)
	}
}

func readWS(t *testing.T, ws *websocket.Conn, want []byte) {
	t.Helper()
	kind, got, err := ws.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage || string(got) != string(want) {
		t.Fatalf("got type %d % x %v, want % x", kind, got, err, want)
	}
}

func TestSubprotocols(t *testing.T) {
	for _, c := range []struct {
		offered []string
		want    string
	}{
		{[]string{"mqtt"}, "mqtt"},
		{[]string{"mqttv3.1"}, "mqttv3.1"},
		{[]string{"chat", "mqtt"}, "mqtt"},
		{nil, ""},
	} {
		for _, path := range []string{"/", "/mqtt", "/any/path?query"} {
			ws, _ := openWS(t, path, c.offered...)
			if got := ws.Subprotocol(); got != c.want {
				t.Errorf("offered %v, got %q, want %q", c.offered, got, c.want)
			}
			writeWS(t, ws, websocket.BinaryMessage, connectPacket())
			readWS(t, ws, mqttwire.AppendConnack(nil, mqttwire.Connack{}))
		}
	}
}

// TestFrames: packets split over messages and frames, and many in one.
func TestFrames(t *testing.T) {
	ws, a := openWS(t, "/mqtt", "mqtt")
	b := connectPacket()
	writeWS(t, ws, websocket.BinaryMessage, b[:5])
	writeWS(t, ws, websocket.BinaryMessage, nil)
	w, err := ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 10_000) // more than one frame
	rest := mqttwire.AppendPublish(b[5:], &mqttwire.Publish{Topic: "/a", Payload: large, QoS: 1, PacketID: 1})
	rest = mqttwire.AppendPublish(rest, &mqttwire.Publish{Topic: "/b", QoS: 1, PacketID: 2})
	for i := 0; i < len(rest); i += 999 {
		if _, err := w.Write(rest[i:min(i+999, len(rest))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	readWS(t, ws, mqttwire.AppendConnack(nil, mqttwire.Connack{}))
	s := a.Next(t)
	first, second := s.Received(t), s.Received(t)
	if len(first.Copy.Payload) != len(large) || second.Copy.Topic != "/b" {
		t.Errorf("got %d bytes and %q", len(first.Copy.Payload), second.Copy.Topic)
	}
	second.Done(nil, nil)
	first.Done(nil, nil)
	readWS(t, ws, mqttwire.AppendPuback(mqttwire.AppendPuback(nil, 1), 2))
}

func TestPingFrames(t *testing.T) {
	ws, _ := openWS(t, "/mqtt", "mqtt")
	ponged := make(chan string, 1)
	ws.SetPongHandler(func(s string) error { ponged <- s; return nil })
	writeWS(t, ws, websocket.BinaryMessage, connectPacket())
	writeWS(t, ws, websocket.PingMessage, []byte("hello"))
	writeWS(t, ws, websocket.BinaryMessage, mqttwire.AppendPingreq(nil))
	readWS(t, ws, mqttwire.AppendConnack(nil, mqttwire.Connack{}))
	readWS(t, ws, mqttwire.AppendPingresp(nil))
	select {
	case s := <-ponged:
		if s != "hello" {
			t.Errorf("pong says %q", s)
		}
	default:
		t.Error("no pong")
	}
}

func TestTextFrameEnds(t *testing.T) {
	ws, a := openWS(t, "/mqtt", "mqtt")
	writeWS(t, ws, websocket.BinaryMessage, connectPacket())
	readWS(t, ws, mqttwire.AppendConnack(nil, mqttwire.Connack{}))
	writeWS(t, ws, websocket.TextMessage, mqttwire.AppendPingreq(nil))
	if _, b, err := ws.ReadMessage(); err == nil {
		t.Errorf("got % x, want the end of the connection", b)
	}
	if cause := a.Next(t).Closed(t); cause != hal.CauseProtocol {
		t.Errorf("closed with %q", cause)
	}
}

func TestCloseFrame(t *testing.T) {
	ws, a := openWS(t, "/mqtt", "mqtt")
	writeWS(t, ws, websocket.BinaryMessage, connectPacket())
	readWS(t, ws, mqttwire.AppendConnack(nil, mqttwire.Connack{}))
	writeWS(t, ws, websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	if cause := a.Next(t).Closed(t); cause != hal.CauseReset {
		t.Errorf("closed with %q, want %q: there was no DISCONNECT", cause, hal.CauseReset)
	}
}

// TestSlowWebSocket: the write deadline holds although the WebSocket library
// sets its own.
func TestSlowWebSocket(t *testing.T) {
	a := new(haltest.FakeAccess)
	s, err := mqttd.New(mqttd.Config{Access: a, WriteTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.WebSocket())
	defer web.Close()
	defer s.Close()
	ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	defer ws.Close()
	writeWS(t, ws, websocket.BinaryMessage, connectPacket())
	session := a.Next(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		gone := make(chan error, 1)
		d := hal.Delivery{Message: iot.Message{Topic: "/down", Payload: make([]byte, 100<<10)}}
		for err := error(nil); !errors.Is(err, hal.ErrGone); err = <-gone {
			session.Request.Link.Send(t.Context(), d, func(err error) { gone <- err })
		}
	}()
	if cause := session.Closed(t); cause != hal.CauseSlow {
		t.Errorf("closed with %q, want %q", cause, hal.CauseSlow)
	}
	<-ended
}

func TestNoUpgrade(t *testing.T) {
	s := newServer(t, new(haltest.FakeAccess))
	get := func() int {
		w := httptest.NewRecorder()
		s.WebSocket().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/mqtt", nil))
		return w.Code
	}
	if code := get(); code != http.StatusBadRequest {
		t.Errorf("status %d, want 400", code)
	}
	_ = s.Close()
	if code := get(); code != http.StatusServiceUnavailable {
		t.Errorf("status %d after Close, want 503", code)
	}
}
