// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
)

const maxLevel = 20

// list is a skip list: keys in order, found, added and removed in O(log n).
type list struct {
	head *node
	path [maxLevel]*node // scratch of put and remove
}

type node struct {
	key, value []byte
	revision   uint64
	next       []*node // one for each level the node is on
}

func newList() *list { return &list{head: &node{next: make([]*node, maxLevel)}} }

func (n *node) size() int64 { return int64(len(n.key) + len(n.value) + overhead) }

// seek returns the first node whose key is at least key, or nil.
func (l *list) seek(key []byte) *node {
	n := l.head
	for level := maxLevel - 1; level >= 0; level-- {
		n = n.before(key, level)
	}
	return n.next[0]
}

// get returns the node of key, or nil.
func (l *list) get(key []byte) *node {
	if n := l.seek(key); n != nil && bytes.Equal(n.key, key) {
		return n
	}
	return nil
}

// put returns the node of key and whether it was there.
func (l *list) put(key []byte) (n *node, old bool) {
	if n = l.find(key); n != nil {
		return n, true
	}
	n = &node{key: bytes.Clone(key), next: make([]*node, randomLevel())}
	for i := range n.next {
		n.next[i], l.path[i].next[i] = l.path[i].next[i], n
	}
	return n, false
}

// remove takes the node of key out and returns it, or nil.
func (l *list) remove(key []byte) *node {
	n := l.find(key)
	if n == nil {
		return nil
	}
	for i := range n.next {
		l.path[i].next[i] = n.next[i]
	}
	return n
}

// find is get, and leaves in path the last node before key of every level.
func (l *list) find(key []byte) *node {
	n := l.head
	for level := maxLevel - 1; level >= 0; level-- {
		n = n.before(key, level)
		l.path[level] = n
	}
	if n = n.next[0]; n != nil && bytes.Equal(n.key, key) {
		return n
	}
	return nil
}

// before goes along one level to the last node whose key is less than key.
func (n *node) before(key []byte, level int) *node {
	for next := n.next[level]; next != nil && bytes.Compare(next.key, key) < 0; next = n.next[level] {
		n = next
	}
	return n
}

// randomLevel returns 1 with probability 3/4, 2 with 3/16 and so on.
func randomLevel() int {
	return min(bits.TrailingZeros64(rand.Uint64())/2+1, maxLevel)
}
