// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"sync"

	"github.com/openalink/iot/topic"
)

// Set holds statements under keys and finds those a message passes. Statements of
// one FROM share a reading of the payload, and an index over their conditions
// leaves out most of those it does not pass. The zero Set is empty. It is safe for
// concurrent use.
type Set[K comparable] struct {
	mu      sync.RWMutex
	byKey   map[K]*bucket[K]
	buckets map[string]*bucket[K] // by filter
	trie    topic.Trie[*bucket[K]]
}

// bucket holds the statements of one filter. Its group is made when a message
// comes after a change.
type bucket[K comparable] struct {
	filter string

	mu      sync.Mutex
	members []member[K]
	group   *group[K]
}

type member[K comparable] struct {
	key       K
	statement *Statement
}

// Put adds a statement, or replaces that of the key.
func (s *Set[K]) Put(key K, st *Statement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(key)
	if s.byKey == nil {
		s.byKey, s.buckets = map[K]*bucket[K]{}, map[string]*bucket[K]{}
	}
	b := s.buckets[st.From()]
	if b == nil {
		b = &bucket[K]{filter: st.From()}
		s.buckets[b.filter] = b
		s.trie.Add(b.filter, b)
	}
	s.byKey[key] = b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members, b.group = append(b.members, member[K]{key, st}), nil
}

// Remove takes a statement out and reports whether there was one. A Match under
// way may still find it.
func (s *Set[K]) Remove(key K) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(key)
}

func (s *Set[K]) remove(key K) bool {
	b := s.byKey[key]
	if b == nil {
		return false
	}
	delete(s.byKey, key)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members = slices.DeleteFunc(slices.Clone(b.members), func(m member[K]) bool { return m.key == key })
	b.group = nil
	if len(b.members) == 0 {
		delete(s.buckets, b.filter)
		s.trie.Remove(b.filter, b)
	}
	return true
}

// Len returns how many statements the set holds.
func (s *Set[K]) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byKey)
}

// Wants reports whether some statement is about a topic.
func (s *Set[K]) Wants(name string) bool {
	var few [1]*bucket[K]
	return len(s.find(name, few[:0])) > 0
}

// Match calls f for each statement that m passes, in no particular order. row is
// the memory it works in; f may read it until it returns. f may change the set,
// which then counts for the next message.
func (s *Set[K]) Match(m *Message, row *Row, f func(K, *Row)) {
	var few [8]*bucket[K]
	first := true
	for _, b := range s.find(m.Topic, few[:0]) {
		g := b.compiled()
		row.join(m, g.tree, first)
		first = false
		g.match(row, f)
	}
	if !first {
		row.reset()
	}
}

// find lists the buckets whose filter matches.
func (s *Set[K]) find(name string, list []*bucket[K]) []*bucket[K] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.trie.Match(name, func(b *bucket[K]) { list = append(list, b) })
	return list
}

// join starts on the next tree for the same message.
func (r *Row) join(m *Message, t *tree, first bool) {
	r.frame.load(m, t)
	if first {
		r.json = validity{}
	} else if r.json.known && !r.json.valid {
		r.frame.forget()
	}
}

func (b *bucket[K]) compiled() *group[K] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.group == nil {
		b.group = newGroup(b.members)
	}
	return b.group
}
