// SPDX-License-Identifier: Apache-2.0

package jt808_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/jt808"
	"github.com/openalink/iot/hub"
)

const (
	// soon is how long to wait for parts that never come.
	soon = 20 * time.Millisecond
	// patient is how long to wait for those that do: four times it, in all, must do on
	// a busy machine.
	patient = time.Second
)

// batch is the body of a batch in three parts.
func batch(t *testing.T) []byte {
	t.Helper()
	all := make([]jt808.Location, 90)
	for i := range all {
		all[i] = jt808.Location{Latitude: 30, Longitude: 120, Altitude: uint16(i), Time: time.Now().Truncate(time.Second).Add(time.Duration(i-90) * time.Second)}
	}
	body, err := jt808.AppendBatch(nil, all, true)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// Parts that were lost are asked for, and the message arrives as if none was.
func TestPartsAskedAgain(t *testing.T) {
	for _, v := range []jt808.Version{jt808.V2013, jt808.V2019} {
		p, ids, s := serve(t, &jt808.Handler{PartsWait: patient}, "1")
		lost := map[uint16]bool{}
		term := &jt808.Terminal{Phone: "1", Version: v, Lose: func(f *jt808.Frame) bool {
			first := f.Index > 1 && !lost[f.Index] // the second and third, once each
			lost[f.Index] = true
			return first
		}}
		if err := term.Dial(t.Context(), s.Addrs()[0].String()); err != nil {
			t.Fatal(err)
		}
		defer term.Close()
		if err := term.Do(t.Context(), jt808.BatchID, batch(t)); err != nil {
			t.Error(err)
		}
		waitFor(t, func() bool { return p.Values(ids["1"].Device)["Altitude"] == "89" })
		if !lost[2] || !lost[3] {
			t.Errorf("lost %v", lost)
		}
	}
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Parts that never come are asked for three times. Then the message is dropped, and
// both the terminal and the log hear of it; the connection goes on.
func TestPartsNeverCome(t *testing.T) {
	var log lines
	h := &jt808.Handler{PartsWait: soon, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	_, _, s := serve(t, h, "1")
	var lost atomic.Int32
	term := &jt808.Terminal{Phone: "1", Lose: func(f *jt808.Frame) bool {
		if f.Index == 2 {
			lost.Add(1)
			return true
		}
		return false
	}}
	if err := term.Dial(t.Context(), s.Addrs()[0].String()); err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	err := term.Do(t.Context(), jt808.BatchID, batch(t))
	if err == nil || !strings.Contains(err.Error(), "with 1") || lost.Load() != 4 {
		t.Errorf("%v after %d attempts", err, lost.Load())
	}
	if text := log.String(); !strings.Contains(text, "missing=[2]") || !strings.Contains(text, "0x0704") {
		t.Errorf("log: %s", text)
	}
	if err := term.Do(t.Context(), jt808.Heartbeat, nil); err != nil {
		t.Error(err)
	}
}

// rawTerminal speaks frame by frame.
type rawTerminal struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func newRaw(t *testing.T, nc net.Conn) *rawTerminal {
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	return &rawTerminal{t, nc, bufio.NewReader(nc)}
}

func dialRaw(t *testing.T, s *bridge.Server) *rawTerminal {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	return newRaw(t, nc)
}

func (r *rawTerminal) send(id jt808.ID, serial uint16, body []byte) {
	r.t.Helper()
	b, err := (&jt808.Frame{ID: id, Version: jt808.V2019, Revision: 1, Phone: "1", Serial: serial, Body: body}).Append(nil)
	if err == nil {
		_, err = r.nc.Write(b)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rawTerminal) next() jt808.Frame {
	r.t.Helper()
	for {
		b, err := r.r.ReadBytes(0x7e)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(b) == 1 {
			continue
		}
		f, err := jt808.Decode(b[:len(b)-1])
		if err != nil {
			r.t.Fatal(err)
		}
		return f
	}
}

// A terminal of 2019 asks for parts of a message of the platform.
func TestPlatformSendsPartsAgain(t *testing.T) {
	p, ids, s := serve(t, &jt808.Handler{}, "1")
	r := dialRaw(t, s)
	body, err := jt808.Authenticate{Code: "1"}.Append(nil, jt808.V2019)
	if err != nil {
		t.Fatal(err)
	}
	r.send(jt808.AuthenticateID, 0, body)
	r.next()
	done := make(chan error, 1)
	go func() {
		_, err := p.InvokeService(context.Background(), ids["1"].Device, "text", map[string]string{"Text": strings.Repeat("x", 3000)}, hub.CallOptions{})
		done <- err
	}()
	first, second, third := r.next(), r.next(), r.next()
	if first.Total != 3 || third.Index != 3 {
		t.Fatalf("%+v", third)
	}
	again, _ := jt808.Resend{First: first.Serial, Parts: []uint16{2, 9}}.Append(nil, jt808.V2019)
	r.send(jt808.PartsAgainUp, 1, again)
	if diff := cmp.Diff(second, r.next()); diff != "" {
		t.Error(diff)
	}
	nothing, _ := jt808.Resend{First: first.Serial + 77, Parts: []uint16{1}}.Append(nil, jt808.V2019)
	r.send(jt808.PartsAgainUp, 2, nothing)
	if a, err := jt808.ParseAnswer(r.next().Body); err != nil || a.Result != jt808.Failed {
		t.Errorf("for a message nobody knows: %+v %v", a, err)
	}
	r.send(jt808.PartsAgainUp, 3, []byte{1})
	if a, err := jt808.ParseAnswer(r.next().Body); err != nil || a.Result != jt808.Wrong {
		t.Errorf("for no question: %+v %v", a, err)
	}
	r.send(jt808.TerminalAnswer, 4, jt808.Answer{Serial: third.Serial, ID: jt808.TextDown}.Append(nil))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The simulator asks for parts too.
func TestTerminalAsksForParts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan jt808.Text, 1)
	term := &jt808.Terminal{Phone: "1", Version: jt808.V2019, PartsWait: patient, Text: func(x jt808.Text) { heard <- x }}
	dialled := make(chan error, 1)
	go func() { dialled <- term.Dial(context.Background(), l.Addr().String()) }()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	r := newRaw(t, nc) // a platform, this time
	reply, _ := jt808.RegisterAnswer{Serial: r.next().Serial, Code: "c"}.Append(nil)
	r.send(jt808.RegisterReply, 0, reply)
	f := r.next()
	r.send(jt808.PlatformAnswer, 1, jt808.Answer{Serial: f.Serial, ID: f.ID}.Append(nil))
	if err := <-dialled; err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	body, err := jt808.Text{Text: strings.Repeat("x", 2500)}.Append(nil, jt808.V2019)
	if err != nil {
		t.Fatal(err)
	}
	parts := (&jt808.Frame{ID: jt808.TextDown, Version: jt808.V2019, Phone: "1", Serial: 10, Body: body}).Split()
	write := func(i int) {
		b, err := parts[i].Append(nil)
		if err == nil {
			_, err = nc.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	write(2)
	f = r.next()
	q, err := jt808.ParseResend(jt808.V2019, f.Body)
	if diff := cmp.Diff(jt808.Resend{First: 10, Parts: []uint16{2}}, q); diff != "" || err != nil || f.ID != jt808.PartsAgainUp {
		t.Errorf("%s %v %+v", diff, err, f)
	}
	write(1)
	if x := <-heard; len(x.Text) != 2500 {
		t.Errorf("%d bytes", len(x.Text))
	}
}

// What waits for parts is bounded in bytes, and what began first goes.
func TestPartsBound(t *testing.T) {
	var d jt808.Decoder
	var all []*jt808.Parts
	feed := func(serial uint16, n int) (whole *jt808.Frame) {
		f := &jt808.Frame{ID: 0x0801, Phone: "1", Serial: serial, Body: make([]byte, 255*jt808.MaxBody)}
		for _, part := range f.Split()[:n] {
			b, err := part.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			for len(b) > 1 {
				m, taken, _ := d.Decode(b)
				switch m := m.(type) {
				case *jt808.Parts:
					all = append(all, m)
				case *jt808.Frame:
					whole = m
				}
				b = b[taken:]
			}
		}
		return whole
	}
	for i := range 3 {
		feed(uint16(1000*i), 254)
	}
	var missing []string
	for _, p := range all {
		m, _ := p.Missing()
		missing = append(missing, fmt.Sprint(m, p.Whole(), p.Frame().Serial))
	}
	if diff := cmp.Diff([]string{"[] false 0", "[255] false 1000", "[255] false 2000"}, missing); diff != "" || d.Bad != 1 {
		t.Errorf("%s, %d bad", diff, d.Bad)
	}
	// The last part comes late: the answer names it all the same.
	whole := feed(1000, 255)
	if whole == nil || whole.Serial != 1254 || len(whole.Body) != 255*jt808.MaxBody || !all[1].Whole() {
		t.Errorf("%+v", whole)
	}
}

// Before a terminal authenticated, nothing of it is kept.
func TestPartsOfStrangers(t *testing.T) {
	_, _, s := serve(t, &jt808.Handler{}, "1")
	r := dialRaw(t, s)
	parts := (&jt808.Frame{ID: jt808.BatchID, Version: jt808.V2019, Phone: "1", Serial: 10, Body: batch(t)}).Split()
	for i := range parts {
		b, err := parts[i].Append(nil)
		if err == nil {
			_, err = r.nc.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		a, err := jt808.ParseAnswer(r.next().Body)
		if diff := cmp.Diff(jt808.Answer{Serial: 12, ID: jt808.BatchID, Result: jt808.Failed}, a); diff != "" || err != nil {
			t.Errorf("part %d: %s %v", i, diff, err)
		}
	}
}
