// SPDX-License-Identifier: Apache-2.0

package topic_test

import (
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/topic"
	"pgregory.net/rapid"
)

type pair struct {
	filter string
	value  int
}

// The trie agrees with matching every filter by itself, through any series of
// changes.
func TestTrieNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var trie topic.Trie[int]
		naive := map[pair]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				p := pair{filters.Draw(t, "filter"), rapid.IntRange(0, 3).Draw(t, "value")}
				if got := trie.Add(p.filter, p.value); got == naive[p] {
					t.Errorf("Add(%v) = %v", p, got)
				}
				naive[p] = true
			},
			"remove": func(t *rapid.T) {
				p := pair{filters.Draw(t, "filter"), rapid.IntRange(0, 3).Draw(t, "value")}
				if got := trie.Remove(p.filter, p.value); got != naive[p] {
					t.Errorf("Remove(%v) = %v", p, got)
				}
				delete(naive, p)
			},
			"": func(t *rapid.T) {
				if trie.Len() != len(naive) {
					t.Errorf("Len() = %d, want %d", trie.Len(), len(naive))
				}
				name := names.Draw(t, "name")
				var got, want []int
				trie.Match(name, func(v int) { got = append(got, v) })
				for p := range naive {
					if naiveMatch(p.filter, name) {
						want = append(want, p.value)
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("Match(%q) (-want +got):\n%s", name, diff)
				}
			},
		})
	})
}

// The trie keeps no part of a filter that lives in somebody's buffer.
func TestTrieCopies(t *testing.T) {
	buf := []byte("a/b/#")
	var trie topic.Trie[int]
	trie.Add(unsafe.String(&buf[0], len(buf)), 1)
	copy(buf, "x/y/z")
	n := 0
	trie.Match("a/b/c", func(int) { n++ })
	if n != 1 {
		t.Errorf("%d matches after the buffer changed, want 1", n)
	}
}

func TestTrieEmptyName(t *testing.T) {
	var trie topic.Trie[string]
	trie.Add("#", "all")
	trie.Match("", func(v string) { t.Errorf("an empty name matched %q", v) })
	if trie.Remove("a/b", "all") || trie.Remove("#", "other") || trie.Len() != 1 {
		t.Error("removing what is not there changed the trie")
	}
}
