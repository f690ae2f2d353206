// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/http2"
)

// door is a Handler with a fake platform behind it, and a client without an SDK.
type door struct {
	*testing.T
	access  *haltest.FakeAccess
	handler *http2.Handler
	url     string
	web     *http.Client
}

func openDoor(t *testing.T, change func(*http2.Config)) *door {
	d := &door{T: t, access: new(haltest.FakeAccess)}
	cfg := http2.Config{Platform: noTokens{d.access}}
	if change != nil {
		change(&cfg)
	}
	handler, web := listen(t, cfg)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	d.handler, d.url, d.web = handler, web.URL, &http.Client{Transport: tr}
	return d
}

// line is what comes down.
type line struct {
	Handle, Topic, End string
	QoS                int
	Again              bool
	Payload            []byte
	Ping               int64
}

// stream is a connection.
type stream struct {
	d       *door
	session *haltest.FakeSession
	up      *io.PipeWriter
	resp    *http.Response
	lines   *bufio.Scanner
	cancel  context.CancelFunc
}

func (d *door) connect(headers ...string) *stream {
	d.Helper()
	s, resp := d.ask(headers...)
	if resp.StatusCode != http.StatusOK {
		d.Fatalf("connect: %s", resp.Status)
	}
	s.session = d.access.Next(d)
	return s
}

func (d *door) ask(headers ...string) (*stream, *http.Response) {
	d.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	body, up := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/h2/connect", body)
	if err != nil {
		d.Fatal(err)
	}
	headers = append([]string{"x-auth-name", "mqtt", "x-auth-param-client-id", "x|securemode=3|", "x-auth-param-user-name", "device&a1product"}, headers...)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := d.web.Do(r)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() {
		_ = up.Close()
		cancel()
		_ = resp.Body.Close()
	})
	return &stream{d: d, up: up, resp: resp, lines: bufio.NewScanner(resp.Body), cancel: cancel}, resp
}

// next reads a line.
func (s *stream) next() line {
	s.d.Helper()
	var l line
	if !s.lines.Scan() {
		s.d.Fatalf("stream ended: %v", s.lines.Err())
	}
	if err := json.Unmarshal(s.lines.Bytes(), &l); err != nil {
		s.d.Fatalf("%s: %v", s.lines.Bytes(), err)
	}
	return l
}

func (s *stream) say(text string) {
	s.d.Helper()
	if _, err := io.WriteString(s.up, text+"\n"); err != nil {
		s.d.Fatal(err)
	}
}

// send sends a message with QoS 1 down.
func (s *stream) send(id uint16, text string) <-chan error {
	done := make(chan error, 1)
	d := hal.Delivery{PacketID: id, Message: iot.Message{Topic: "/down", Payload: []byte(text), QoS: 1}}
	s.session.Request.Link.Send(s.d.Context(), d, func(err error) { done <- err })
	return done
}

func (s *stream) expect(text string, again bool) line {
	s.d.Helper()
	l := s.next()
	if string(l.Payload) != text || l.Again != again || l.Handle == "" || l.QoS != 1 || l.Topic != "/down" {
		s.d.Fatalf("got %+v, want %q, again %v", l, text, again)
	}
	return l
}

// expectEnd checks why the connection ends.
func (s *stream) expectEnd(cause hal.Cause) {
	s.d.Helper()
	if l := s.next(); l.End != string(cause) {
		s.d.Errorf("got %+v, want the end for %q", l, cause)
	}
	if s.lines.Scan() {
		s.d.Errorf("got %s after the end", s.lines.Bytes())
	}
	if got := s.session.Closed(s.d); got != cause {
		s.d.Errorf("session closed with %q, want %q", got, cause)
	}
}

func (s *stream) post(path, body string, headers ...string) (int, string) {
	s.d.Helper()
	r, err := http.NewRequestWithContext(s.d.Context(), http.MethodPost, s.d.url+path, strings.NewReader(body))
	if err != nil {
		s.d.Fatal(err)
	}
	r.Header.Set("x-channel-id", s.resp.Header.Get("x-channel-id"))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.d.web.Do(r)
	if err != nil {
		s.d.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.d.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestAnswers: done, again and later.
func TestAnswers(t *testing.T) {
	d := openDoor(t, func(cfg *http2.Config) { cfg.Redeliver = time.Hour })
	s := d.connect()
	done := s.send(1, "one")
	l := s.expect("one", false)
	select {
	case err := <-done:
		t.Errorf("acknowledged before it was answered: %v", err)
	default:
	}
	for range 3 {
		s.say(`{"again":["` + l.Handle + `","999"]}`)
		if l2 := s.expect("one", true); l2.Handle != l.Handle {
			t.Errorf("handle %s became %s", l.Handle, l2.Handle)
		}
	}
	s.say(`{"later":["` + l.Handle + `"],"done":["x","","-1"]}`)
	two := s.send(2, "two") // others are not held back
	s.say(`{"done":["` + s.expect("two", false).Handle + `"]}`)
	if err := <-two; err != nil {
		t.Error(err)
	}
	s.say(`{"done":["` + l.Handle + `","` + l.Handle + `"]}`)
	if err := <-done; err != nil {
		t.Error(err)
	}
	late := s.send(3, "three")
	s.expect("three", false)
	_ = s.up.Close()
	s.expectEnd(hal.CauseClient)
	if err := <-late; !errors.Is(err, hal.ErrGone) {
		t.Errorf("not answered: %v, want ErrGone", err)
	}
	if err := <-s.send(4, "four"); !errors.Is(err, hal.ErrGone) {
		t.Errorf("after the end: %v", err)
	}
}

// TestRedeliver: what is not answered comes again, and what was put off does not.
func TestRedeliver(t *testing.T) {
	d := openDoor(t, func(cfg *http2.Config) { cfg.Redeliver = 10 * time.Millisecond })
	s := d.connect()
	s.send(1, "one")
	for n := range 15 {
		l := s.expect("one", n > 0)
		if n == 0 {
			continue
		}
		s.say("") // a sign of life is no answer
		_ = l
	}
	s.expect("one", true)
	// After 16 times it is left for the next connection.
	s.send(2, "two")
	l := s.expect("two", false)
	s.say(`{"later":["` + l.Handle + `"]}`)
	if code, text := s.post("/h2/publish/x", "", "x-qos", "2"); code != http.StatusBadRequest {
		t.Errorf("QoS 2: %d %s", code, text)
	}
	s.session.Request.Link.Close(hal.CauseDeleted)
	for { // repetitions that were on their way
		l := s.next()
		if l.End != "" {
			break
		}
		if string(l.Payload) != "two" {
			t.Errorf("got %+v", l)
		}
	}
}

// TestProtocol: a line that is none ends the connection.
func TestProtocol(t *testing.T) {
	d := openDoor(t, nil)
	for _, bad := range []string{"hello", "[]", `{"done":"1"}`, `{"done":[1]}`, strings.Repeat("x", 70<<10)} {
		s := d.connect()
		go io.WriteString(s.up, bad+"\n")
		s.expectEnd(hal.CauseProtocol)
	}
	s := d.connect()
	_ = s.up.CloseWithError(errors.New("broken"))
	if cause := s.session.Closed(t); cause != hal.CauseReset {
		t.Errorf("stream reset: closed with %q", cause)
	}
}

// TestKeepAlive: silence ends a connection, requests and lines do not.
func TestKeepAlive(t *testing.T) {
	d := openDoor(t, nil)
	d.access.Decide = func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		return hal.Accepted{Session: s, KeepAlive: time.Second}, nil
	}
	s := d.connect("x-keep-alive", "45")
	if s.session.Request.KeepAlive != 45*time.Second {
		t.Errorf("keep-alive %v", s.session.Request.KeepAlive)
	}
	start := time.Now()
	for time.Since(start) < 1500*time.Millisecond {
		s.say("{}")
		if code, _ := s.post("/h2/subscribe", `{"filters":[{"topic":"/a","qos":1}]}`); code != http.StatusOK {
			t.Fatalf("subscribe: %d after %v", code, time.Since(start))
		}
		s.session.Changed(t)
	}
	s.expectEnd(hal.CauseKeepAlive)
}

// TestFull: what waits for a client is bounded, and answers make room.
func TestFull(t *testing.T) {
	d := openDoor(t, func(cfg *http2.Config) { cfg.MaxOutgoing = 10_000 })
	s := d.connect()
	big := strings.Repeat("x", 1000)
	var dones []<-chan error
	full := 0
	for n := range uint16(20) {
		done := s.send(n+1, big)
		select {
		case err := <-done:
			if !errors.Is(err, hal.ErrFull) {
				t.Errorf("%d: %v", n, err)
			}
			full++
		default:
			dones = append(dones, done)
		}
	}
	if full == 0 || len(dones) < 5 {
		t.Errorf("%d of 20 were refused", full)
	}
	for _, done := range dones {
		s.say(`{"done":["` + s.expect(big, false).Handle + `"]}`)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	again := s.send(99, big)
	s.say(`{"done":["` + s.expect(big, false).Handle + `"]}`)
	if err := <-again; err != nil {
		t.Errorf("no room after all was answered: %v", err)
	}
}

// TestDeviceName: a login without an SDK is that of MQTT.
func TestDeviceName(t *testing.T) {
	d := openDoor(t, nil)
	s := d.connect("x-auth-name", "devicename", "x-auth-param-client-id", "c1", "x-auth-param-user-name", "",
		"x-auth-param-product-key", "a1product", "x-auth-param-device-name", "device", "x-auth-param-timestamp", "17",
		"x-auth-param-signmethod", "hmacsha256", "x-auth-param-sign", "abc")
	r := s.session.Request
	p, ok := r.Credential.(auth.Password)
	if r.ClientID != "c1|securemode=2,signmethod=hmacsha256,timestamp=17,_ss=1|" || r.UserName != "device&a1product" || !ok || string(p.Bytes()) != "abc" {
		t.Errorf("asked as %q, %q, %v", r.ClientID, r.UserName, ok)
	}
}

// TestShutdown: connections hear the end, and nobody comes in after it.
func TestShutdown(t *testing.T) {
	d := openDoor(t, nil)
	s := d.connect()
	s.send(1, "last words")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- d.handler.Shutdown(ctx) }()
	s.expect("last words", false)
	s.expectEnd(hal.CauseServerStop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, resp := d.ask(); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the end: %s", resp.Status)
	}
}

// TestKickedWhileConnecting: the platform need not decide about who is gone.
func TestKickedWhileConnecting(t *testing.T) {
	d := openDoor(t, nil)
	d.access.Decide = func(ctx context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		s.Request.Link.Close(hal.CauseKicked)
		<-ctx.Done()
		return hal.Accepted{}, ctx.Err()
	}
	if _, resp := d.ask(); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("answered %s", resp.Status)
	}
	d.access.Decide = func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
		s.Request.Link.Send(context.Background(), hal.Delivery{Message: iot.Message{Topic: "/early"}}, nil)
		return hal.Accepted{Session: s, Resumed: true}, nil
	}
	s, resp := d.ask()
	if l := s.next(); l.Topic != "/early" || resp.Header.Get("x-session-present") != "1" {
		t.Errorf("got %+v", l)
	}
}

// A panic of the platform's costs one connection, wherever it comes up.
func TestPanics(t *testing.T) {
	for what, id := range map[string]uint16{"an answer": 1, "a message that left": 0} {
		t.Run(what, func(t *testing.T) {
			d := openDoor(t, nil)
			s := d.connect()
			m := iot.Message{Topic: "/down", QoS: iot.QoS(id)}
			s.session.Request.Link.Send(t.Context(), hal.Delivery{PacketID: id, Message: m}, func(err error) {
				if err == nil {
					panic("a bug")
				}
			})
			if id > 0 {
				s.say(`{"done":["` + s.next().Handle + `"]}`)
			}
			if cause := s.session.Closed(t); cause != hal.CauseReset {
				t.Errorf("session closed with %q", cause)
			}
		})
	}
}
