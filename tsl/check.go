// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Check holds a model to the rules and limits of wire facts section 17 and
// returns everything it breaks as a *ModelError, nil for a good one.
func (m *Model) Check() error {
	c := &checker{}
	c.count(m)
	seen := map[string]bool{}
	for i := range m.Properties {
		p := &m.Properties[i]
		at := fmt.Sprintf("/properties/%d", i)
		c.feature(at, p.Identifier, seen)
		if p.Access != ReadOnly && p.Access != ReadWrite && p.Access != WriteOnly {
			c.say(at+"/accessMode", "access", "access mode %q: r, rw and w are known", p.Access)
		}
		c.data(at+"/dataType", &p.Data, 0)
	}
	seen = map[string]bool{}
	for i := range m.Events {
		c.event(fmt.Sprintf("/events/%d", i), &m.Events[i], seen)
	}
	seen = map[string]bool{}
	for i := range m.Services {
		c.service(fmt.Sprintf("/services/%d", i), &m.Services[i], seen)
	}
	if len(c.problems) > 0 {
		return &ModelError{c.problems}
	}
	return nil
}

type checker struct{ problems []Problem }

func (c *checker) say(at, rule, format string, args ...any) {
	c.problems = append(c.problems, Problem{at, rule, fmt.Sprintf(format, args...)})
}

// count holds the number of features of each function block to its limit.
func (c *checker) count(m *Model) {
	count := map[string]int{}
	add := func(identifier string) {
		block, _ := splitBlock(identifier)
		count[block]++
	}
	for i := range m.Properties {
		add(m.Properties[i].Identifier)
	}
	for i := range m.Events {
		add(m.Events[i].Identifier)
	}
	for i := range m.Services {
		add(m.Services[i].Identifier)
	}
	for _, block := range slices.Sorted(maps.Keys(count)) {
		if n := count[block]; n > MaxFeatures {
			c.say("", "features", "%d properties, events and services, at most %d", n, MaxFeatures)
		}
	}
	if len(count) > MaxBlocks {
		c.say("", "blocks", "%d function blocks, at most %d", len(count), MaxBlocks)
	}
}

// feature wants an identifier, alone or behind that of a function block.
func (c *checker) feature(at, id string, seen map[string]bool) {
	if block, own := splitBlock(id); block != "" {
		c.identifier(at, block, map[string]bool{})
		if c.identifier(at, own, map[string]bool{}); seen[id] {
			c.say(at+"/identifier", "unique", "identifier %q is there twice", id)
		}
		seen[id] = true
		return
	}
	c.identifier(at, id, seen)
}

// identifier wants 1 to 50 letters, digits and '_', once.
func (c *checker) identifier(at, id string, seen map[string]bool) {
	at += "/identifier"
	switch {
	case id == "" || len(id) > MaxIdentifier:
		c.say(at, "identifier", "identifier %.60q has %d characters, 1 to %d are allowed", id, len(id), MaxIdentifier)
	case !plain(id):
		c.say(at, "identifier", "identifier %q: letters, digits and '_' are allowed", id)
	case seen[id]:
		c.say(at, "unique", "identifier %q is there twice", id)
	}
	seen[id] = true
}

func plain(id string) bool {
	for i := range len(id) {
		c := id[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

func (c *checker) event(at string, e *Event, seen map[string]bool) {
	c.feature(at, e.Identifier, seen)
	if e.Type != Info && e.Type != Alert && e.Type != Fault {
		c.say(at+"/type", "level", "event type %q: info, alert and error are known", e.Type)
	}
	most := MaxOutputs
	if e.Identifier == "post" { // its outputs are all properties
		most = MaxFeatures
	}
	c.params(at+"/outputData", e.Output, most)
}

func (c *checker) service(at string, s *Service, seen map[string]bool) {
	c.feature(at, s.Identifier, seen)
	if s.Call != Sync && s.Call != Async {
		c.say(at+"/callType", "call", "call type %q: sync and async are known", s.Call)
	}
	most := MaxArguments
	if s.Identifier == "set" || s.Identifier == "get" { // theirs are properties
		most = MaxFeatures
	}
	c.params(at+"/inputData", s.Input.Params, most)
	c.params(at+"/outputData", s.Output, most)
}

func (c *checker) params(at string, list []Param, most int) {
	if len(list) > most {
		c.say(at, "arguments", "%d parameters, at most %d", len(list), most)
	}
	seen := map[string]bool{}
	for i := range list {
		here := fmt.Sprintf("%s/%d", at, i)
		c.identifier(here, list[i].Identifier, seen)
		c.data(here+"/dataType", &list[i].Data, 0)
	}
}

// data checks a type. depth counts structs and arrays around it: a struct holds
// no struct, and an array's items are simple or structs of simple members.
func (c *checker) data(at string, t *DataType, depth int) {
	specs := at + "/specs"
	switch t.Type {
	case Int, Float, Double:
		c.numeric(specs, t)
	case Bool:
		if len(t.Words) > 2 {
			c.say(specs, "words", "a bool has the values 0 and 1")
		}
	case Enum:
		c.enum(specs, t)
	case Text:
		if t.Length < 0 || t.Length > MaxText {
			c.say(specs+"/length", "length", "length %d, at most %d bytes", t.Length, MaxText)
		}
	case Date:
	case Array:
		c.array(specs, t, depth)
	case Struct:
		c.members(specs, t, depth)
	default:
		c.say(at+"/type", "type", "type %q is not known", t.Type)
	}
}

// numeric checks bounds and step of a number.
func (c *checker) numeric(at string, t *DataType) {
	bound := func(name string, n Number) (float64, bool) {
		if n == "" {
			return 0, false
		}
		v, ok := number([]byte(n))
		switch {
		case !ok:
			c.say(at+"/"+name, "number", "%s %q is not a number", name, string(n))
			return 0, false
		case t.Type == Int && v != math.Trunc(v):
			c.say(at+"/"+name, "number", "%s %q is not a whole number", name, string(n))
		}
		return v, true
	}
	lo, hasLo := bound("min", t.Min)
	hi, hasHi := bound("max", t.Max)
	if hasLo && hasHi && lo > hi {
		c.say(at, "range", "min %s is above max %s", t.Min, t.Max)
	}
	if step, ok := bound("step", t.Step); ok && step <= 0 {
		c.say(at+"/step", "step", "step %s is not above zero", t.Step)
	}
}

func (c *checker) enum(at string, t *DataType) {
	if n := len(t.Words); n == 0 || n > MaxWords {
		c.say(at, "words", "%d values, 1 to %d are allowed", n, MaxWords)
	}
	seen := map[int]bool{}
	for _, w := range t.Words {
		if seen[w.Value] {
			c.say(at, "unique", "value %d is there twice", w.Value)
		}
		seen[w.Value] = true
	}
}

func (c *checker) array(at string, t *DataType, depth int) {
	if t.Size < 1 || t.Size > MaxElements {
		c.say(at+"/size", "size", "size %d, 1 to %d are allowed", t.Size, MaxElements)
	}
	if depth > 0 && depth != inStruct {
		c.say(at, "nesting", "an array of arrays")
	}
	if t.Item == nil {
		c.say(at+"/item", "item", "the type of the elements is missing")
		return
	}
	switch t.Item.Type {
	case Int, Float, Double, Text, Struct:
		c.data(at+"/item", t.Item, depth+inArray)
	default:
		c.say(at+"/item/type", "item", "elements of type %q: int, float, double, text and struct are allowed", t.Item.Type)
	}
}

// What is around a type, added up.
const (
	inArray  = 1
	inStruct = 2
)

func (c *checker) members(at string, t *DataType, depth int) {
	if depth&inStruct != 0 {
		c.say(at, "nesting", "a struct inside a struct")
		return
	}
	if n := len(t.Members); n == 0 || n > MaxMembers {
		c.say(at, "members", "%d members, 1 to %d are allowed", n, MaxMembers)
	}
	seen := map[string]bool{}
	for i := range t.Members {
		here := fmt.Sprintf("%s/%d", at, i)
		c.identifier(here, t.Members[i].Identifier, seen)
		c.data(here+"/dataType", &t.Members[i].Data, depth+inStruct)
	}
}
