// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"slices"
	"strings"
)

// Trie maps filters to values and finds the values of all filters that match a
// name. The zero Trie is empty and ready. It is not safe for concurrent use
// while it changes; concurrent Match calls are.
//
// Filters are taken as legal; CheckFilter tells. The trie copies what it keeps
// of them.
type Trie[V comparable] struct {
	root node[V]
	n    int
}

type node[V comparable] struct {
	next map[string]*node[V] // by literal level
	plus *node[V]            // level "+"
	here []V                 // values of filters that end here
	tail []V                 // values of filters that end here with "#"
}

// Add puts v under filter and reports whether it was not there yet.
func (t *Trie[V]) Add(filter string, v V) bool {
	list := t.root.list(filter)
	if slices.Contains(*list, v) {
		return false
	}
	*list = append(*list, v)
	t.n++
	return true
}

// Remove takes v from under filter and reports whether it was there.
func (t *Trie[V]) Remove(filter string, v V) bool {
	if !t.root.remove(filter, v) {
		return false
	}
	t.n--
	return true
}

// Len returns how many pairs of filter and value the trie holds.
func (t *Trie[V]) Len() int { return t.n }

// Match calls f for each pair of filter and value whose filter matches name, by
// the rules of the function Match and in no particular order. A value under
// several matching filters comes several times. f must not change the trie.
func (t *Trie[V]) Match(name string, f func(V)) {
	if name == "" {
		return
	}
	if name[0] != '$' {
		t.root.match(name, f)
		return
	}
	// The first level is matched by a literal only.
	level, rest, more := strings.Cut(name, "/")
	if child := t.root.next[level]; child != nil {
		child.descend(rest, more, f)
	}
}

// list finds the values of filter below n, making nodes on the way.
func (n *node[V]) list(filter string) *[]V {
	for more := true; more; {
		if filter == "#" {
			return &n.tail
		}
		var level string
		level, filter, more = strings.Cut(filter, "/")
		n = n.grow(level)
	}
	return &n.here
}

// grow returns the child of a level, making it if need be.
func (n *node[V]) grow(level string) *node[V] {
	if level == "+" {
		if n.plus == nil {
			n.plus = new(node[V])
		}
		return n.plus
	}
	child := n.next[level]
	if child == nil {
		if n.next == nil {
			n.next = make(map[string]*node[V])
		}
		child = new(node[V])
		n.next[strings.Clone(level)] = child
	}
	return child
}

// remove takes v from under filter, and nodes off the tree that hold nothing any
// more.
func (n *node[V]) remove(filter string, v V) bool {
	if filter == "#" {
		return drop(&n.tail, v)
	}
	level, rest, more := strings.Cut(filter, "/")
	child := n.next[level]
	if level == "+" {
		child = n.plus
	}
	if child == nil {
		return false
	}
	if more && !child.remove(rest, v) || !more && !drop(&child.here, v) {
		return false
	}
	if child.empty() {
		if level == "+" {
			n.plus = nil
		} else {
			delete(n.next, level)
		}
	}
	return true
}

func (n *node[V]) empty() bool {
	return len(n.next) == 0 && n.plus == nil && len(n.here) == 0 && len(n.tail) == 0
}

func drop[V comparable](list *[]V, v V) bool {
	i := slices.Index(*list, v)
	if i < 0 {
		return false
	}
	*list = slices.Delete(*list, i, i+1)
	return true
}

func (n *node[V]) match(name string, f func(V)) {
	each(n.tail, f)
	level, rest, more := strings.Cut(name, "/")
	if child := n.next[level]; child != nil {
		child.descend(rest, more, f)
	}
	if n.plus != nil {
		n.plus.descend(rest, more, f)
	}
}

// descend goes on with what follows the level that led to n.
func (n *node[V]) descend(rest string, more bool, f func(V)) {
	if more {
		n.match(rest, f)
		return
	}
	each(n.here, f)
	each(n.tail, f)
}

func each[V any](list []V, f func(V)) {
	for _, v := range list {
		f(v)
	}
}
