// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/store"
)

const (
	streamLogs = "logs"
	logQueue   = 8192 // entries waiting to be stored; more are dropped and counted
	logBatch   = 512
)

// storeSink is the default LogSink: a bounded queue before the store.
type storeSink struct {
	st      store.Engine
	mu      sync.Mutex
	waiting []LogEntry
	taken   int64 // entries ever taken, and of those stored or given up
	settled int64
	busy    bool // a goroutine is draining waiting
	closed  bool
	changed sync.Cond // settled or busy
	dropped atomic.Int64
}

func newStoreSink(st store.Engine) *storeSink {
	s := &storeSink{st: st}
	s.changed.L = &s.mu
	return s
}

// Log implements LogSink.
func (s *storeSink) Log(e LogEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.waiting) >= logQueue {
		s.dropped.Add(1)
		return
	}
	s.waiting = append(s.waiting, e)
	s.taken++
	if !s.busy {
		s.busy = true
		go s.drain()
	}
}

// drain stores what waits and ends when nothing is left, so that an idle hub
// keeps no goroutine for its log.
func (s *storeSink) drain() {
	var b store.Batch
	for {
		s.mu.Lock()
		n := min(len(s.waiting), logBatch)
		if n == 0 {
			s.busy = false
			s.waiting = nil
			s.changed.Broadcast()
			s.mu.Unlock()
			return
		}
		entries := s.waiting[:n:n]
		s.waiting = s.waiting[n:]
		s.mu.Unlock()
		b.Reset()
		for _, e := range entries {
			b.Append(streamLogs, logKey(e.Device), e.Time, appendEntry(make([]byte, 0, 256), &e))
		}
		if err := store.Commit(context.Background(), s.st, &b); err != nil {
			s.dropped.Add(int64(n))
		}
		s.mu.Lock()
		s.settled += int64(n)
		s.changed.Broadcast()
		s.mu.Unlock()
	}
}

// appendEntry is encodeJSON for an entry: rules at full speed make a hundred
// thousand a second.
func appendEntry(dst []byte, e *LogEntry) []byte {
	dst = append(dst, recordFormat)
	dst = append(e.Time.AppendFormat(append(dst, `{"time":"`...), time.RFC3339Nano), '"')
	if e.MessageID != 0 {
		dst = append(strconv.AppendInt(append(dst, `,"messageId":"`...), e.MessageID, 10), '"')
	}
	dst = appendQuoted(append(dst, `,"device":`...), e.Device.String())
	if !e.Via.IsZero() {
		dst = appendQuoted(append(dst, `,"via":`...), e.Via.String())
	}
	dst = appendQuoted(append(dst, `,"kind":`...), string(e.Kind))
	dst = appendQuoted(append(dst, `,"operation":`...), string(e.Operation))
	dst = appendQuoted(append(dst, `,"status":`...), string(e.Status))
	if e.Code != 0 {
		dst = strconv.AppendInt(append(dst, `,"code":`...), int64(e.Code), 10)
	}
	for _, m := range [...]struct{ key, text string }{{`,"cause":`, string(e.Cause)}, {`,"topic":`, e.Topic}, {`,"detail":`, e.Detail}} {
		if m.text != "" {
			dst = appendQuoted(append(dst, m.key...), m.text)
		}
	}
	return append(dst, '}')
}

// logKey is the key of an entry's record: logins that name nobody share one.
func logKey(id iot.DeviceID) string {
	if id.IsZero() {
		return "-"
	}
	return id.String()
}

// flush waits until everything logged before it is stored or dropped.
func (s *storeSink) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for target := s.taken; s.settled < target; {
		s.changed.Wait()
	}
}

// close waits for what was logged and ends the draining.
func (s *storeSink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for s.busy {
		s.changed.Wait()
	}
}

// recordFormat is the first byte of every value the hub stores.
const recordFormat = 1

// encodeJSON writes a cold record: the format byte, then JSON.
func encodeJSON(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // only types of this package get here
		panic("hub: record does not encode: " + err.Error())
	}
	return append([]byte{recordFormat}, body...)
}

func decodeJSON(value []byte, v any) error {
	if len(value) == 0 || value[0] != recordFormat {
		return store.ErrFormat
	}
	return json.Unmarshal(value[1:], v)
}

// log hands an entry to the sink and to live traces.
func (h *Hub) log(e LogEntry) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond) // as the streams keep it
	h.sink.Log(e)
	h.traces.publish(e)
}
