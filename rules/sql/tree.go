// SPDX-License-Identifier: Apache-2.0

package sql

// tree holds the paths of one or many statements, so that a payload is read once
// for all. Node 0 is the payload.
type tree struct {
	nodes  []node
	leaves int
}

type node struct {
	step
	kids  []int32
	names map[string]int32 // of many kids
	leaf  bool
}

func newTree() *tree { return &tree{nodes: []node{{step: step{index: -1}}}} }

// manyKids is from how many members on a node looks names up in a map.
const manyKids = 8

// name builds the map of a node with many kids.
func (n *node) name(t *tree) {
	if len(n.kids) < manyKids {
		return
	}
	n.names = make(map[string]int32, len(n.kids))
	for _, k := range n.kids {
		if t.nodes[k].index < 0 {
			n.names[t.nodes[k].key] = k
		}
	}
}

// add returns the node of a path.
func (t *tree) add(steps []step) int32 {
	at := int32(0)
	for _, s := range steps {
		at = t.child(at, s)
	}
	if !t.nodes[at].leaf {
		t.nodes[at].leaf = true
		t.leaves++
	}
	return at
}

func (t *tree) child(at int32, s step) int32 {
	for _, k := range t.nodes[at].kids {
		if t.nodes[k].step == s {
			return k
		}
	}
	k := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{step: s})
	n := &t.nodes[at]
	n.kids = append(n.kids, k)
	n.name(t)
	return k
}

// member finds the kid for a member's name, -1 for none.
func (t *tree) member(n *node, key []byte) int32 {
	if n.names != nil {
		if k, ok := n.names[string(key)]; ok {
			return k
		}
		return -1
	}
	for _, k := range n.kids {
		if kid := &t.nodes[k]; len(kid.key) == len(key) && kid.key == string(key) && kid.index < 0 {
			return k
		}
	}
	return -1
}

// element finds the kid for an element, -1 for none.
func (t *tree) element(n *node, index int) int32 {
	for _, k := range n.kids {
		if t.nodes[k].index == index {
			return k
		}
	}
	return -1
}
