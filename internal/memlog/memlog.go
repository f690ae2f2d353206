// SPDX-License-Identifier: Apache-2.0

// Package memlog is a message log in memory for tests of what reads one.
package memlog

import (
	"context"
	"iter"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sql"
)

// Log is a rules.Source. The zero Log is empty. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	entries []sql.Message
	news    chan struct{}
}

// Say appends a message of a device of product "a1Product01" and returns its id,
// which is its offset too.
func (l *Log) Say(device, topic, payload string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := int64(len(l.entries) + 1)
	l.entries = append(l.entries, sql.Message{
		ID: id, Topic: topic, Device: iot.DeviceID{Product: "a1Product01", Name: device}, Time: time.Now(), Payload: []byte(payload),
	})
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
	return id
}

// Len returns how many messages there are.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// at returns the entry at an offset, or what is closed when there may be one.
func (l *Log) at(offset uint64) (sql.Message, bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset <= uint64(len(l.entries)) {
		return l.entries[offset-1], true, nil
	}
	if l.news == nil {
		l.news = make(chan struct{})
	}
	return sql.Message{}, false, l.news
}

// Read implements rules.Source.
func (l *Log) Read(ctx context.Context, from uint64, wanted func(string) bool, follow bool) iter.Seq2[rules.Entry, error] {
	return func(yield func(rules.Entry, error) bool) {
		for i := max(from, 1); ctx.Err() == nil; {
			m, ok, news := l.at(i)
			switch {
			case !ok && !follow:
				return
			case !ok:
				select {
				case <-news:
				case <-ctx.Done():
				}
				continue
			}
			e := rules.Entry{Offset: i}
			if wanted(m.Topic) {
				e.Messages = []sql.Message{m}
			}
			if !yield(e, nil) {
				return
			}
			i++
		}
	}
}

// End implements rules.Source.
func (l *Log) End(context.Context) (uint64, error) { return uint64(l.Len()) + 1, nil }
