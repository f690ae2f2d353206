// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/openalink/iot/rules/queue"
)

const (
	pingEvery  = 30 * time.Second
	writeLimit = 30 * time.Second // a client that reads nothing for so long is gone
	maxLine    = 64 << 10         // of a client's line
	maxDelay   = 24 * time.Hour
)

// ErrLine is what a line that cannot be understood ends a stream with.
var ErrLine = errors.New("stream: a line is not understood")

// Serve joins a group for the client and serves it until either end leaves. An
// error before the first line leaves the response to the caller; once lines have
// been written it is nil.
func Serve(w http.ResponseWriter, r *http.Request, queues *queue.Queues, group string) error {
	prefetch := 0
	if text := r.URL.Query().Get("prefetch"); text != "" {
		var err error
		if prefetch, err = strconv.Atoi(text); err != nil || prefetch < 1 || prefetch > 10_000 {
			return fmt.Errorf("%w: prefetch %.16q: 1 to 10000", queue.ErrInvalid, text)
		}
	}
	c, err := queues.Join(r.Context(), group, queue.JoinOptions{Prefetch: prefetch})
	if err != nil {
		return err
	}
	s := &server{consumer: c, control: http.NewResponseController(w), w: w, out: map[string]*queue.Message{}}
	defer c.Close()
	_ = s.control.EnableFullDuplex() // HTTP/2 always is
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if err := s.control.Flush(); err != nil {
		return nil //nolint:nilerr // the client is gone already
	}
	s.run(r)
	return nil
}

// server is one stream.
type server struct {
	consumer *queue.Consumer
	control  *http.ResponseController

	mu   sync.Mutex
	w    http.ResponseWriter
	last int
	out  map[string]*queue.Message // by handle: those not answered
}

// run sends until the context ends, and reads beside.
func (s *server) run(r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		defer cancel()
		s.read(r)
	})
	s.send(ctx)
	cancel()
	_ = s.control.SetReadDeadline(time.Now()) // ends the reader
	_ = r.Body.Close()
	wait.Wait()
}

func (s *server) send(ctx context.Context) {
	for ctx.Err() == nil {
		until, cancel := context.WithTimeout(ctx, pingEvery)
		m, err := s.consumer.Next(until)
		cancel()
		switch {
		case err == nil:
			err = s.write(s.keep(m))
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			err = s.write(down{Ping: time.Now().UnixMilli()})
		}
		if err != nil {
			return
		}
	}
}

func (s *server) keep(m *queue.Message) down {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	handle := strconv.Itoa(s.last)
	s.out[handle] = m
	return lineOf(handle, m)
}

func (s *server) write(line down) error {
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.control.SetWriteDeadline(time.Now().Add(writeLimit))
	if _, err := s.w.Write(append(b, '\n')); err != nil {
		return err
	}
	return s.control.Flush()
}

// read takes answers until the client ends its body or sends what is no answer.
func (s *server) read(r *http.Request) {
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var in up
		if err := json.Unmarshal(lines.Bytes(), &in); err != nil {
			return
		}
		if stale := s.answer(in); len(stale) > 0 && s.write(down{Stale: stale}) != nil {
			return
		}
	}
}

// answer returns the handles that are not the client's.
func (s *server) answer(in up) (stale []string) {
	delay := min(max(time.Duration(in.Delay)*time.Millisecond, 0), maxDelay)
	for _, a := range []struct {
		handles []string
		keep    bool
		do      func(*queue.Message) error
	}{
		{in.Done, false, (*queue.Message).Done},
		{in.Again, false, func(m *queue.Message) error { return m.Again(delay) }},
		{in.Later, true, (*queue.Message).Later},
	} {
		for _, handle := range a.handles {
			m := s.find(handle, a.keep)
			if m == nil || a.do(m) != nil {
				stale = append(stale, handle)
			}
		}
	}
	return stale
}

func (s *server) find(handle string, keep bool) *queue.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.out[handle]
	if !keep {
		delete(s.out, handle)
	}
	return m
}
