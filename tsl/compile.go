// SPDX-License-Identifier: Apache-2.0

package tsl

import "math"

// Validator judges what a device says against a model. It is made by Compile,
// never changes and is safe for concurrent use.
type Validator struct {
	properties *members
	events     map[string]*members
	inputs     map[string]*members
	outputs    map[string]*members
}

// members are the named values of an object, in the order of the model.
type members struct {
	list  []member
	index map[string]int // nil when the list is short
	value bool           // one is called "value"
}

type member struct {
	name  string
	check check
}

// kind is a Type as a number.
type kind uint8

const (
	kindInt kind = iota
	kindNumber
	kindWord
	kindText
	kindDate
	kindArray
	kindStruct
)

// check is a type ready to judge values.
type check struct {
	kind     kind
	hasStep  bool
	min, max float64
	step     float64
	from     float64   // where steps are counted from
	values   []float64 // of a bool or enum
	most     int       // bytes of a text, elements of an array
	item     *check
	members  *members
}

// Compile makes the validator of a model. A model that Check complains about is
// refused with its *ModelError.
func Compile(m *Model) (*Validator, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	v := &Validator{
		properties: newMembers(len(m.Properties)), events: make(map[string]*members, len(m.Events)),
		inputs: make(map[string]*members, len(m.Services)), outputs: make(map[string]*members, len(m.Services)),
	}
	for i := range m.Properties {
		v.properties.add(m.Properties[i].Identifier, &m.Properties[i].Data)
	}
	for i := range m.Events {
		v.events[m.Events[i].Identifier] = compileParams(m.Events[i].Output)
	}
	for i := range m.Services {
		v.inputs[m.Services[i].Identifier] = compileParams(m.Services[i].Input.Params)
		v.outputs[m.Services[i].Identifier] = compileParams(m.Services[i].Output)
	}
	return v, nil
}

// fewMembers is up to how many names looking at each is as fast as a map.
const fewMembers = 8

func newMembers(n int) *members {
	m := &members{list: make([]member, 0, n)}
	if n > fewMembers {
		m.index = make(map[string]int, n)
	}
	return m
}

func (m *members) add(name string, t *DataType) {
	if m.index != nil {
		m.index[name] = len(m.list)
	}
	m.list = append(m.list, member{name: name})
	m.list[len(m.list)-1].check.compile(t)
	m.value = m.value || name == "value"
}

// find returns the place of a name, -1 for none. next is where it is looked for
// first: devices name things in the order of the model.
func (m *members) find(name string, next int) int {
	if next < len(m.list) && m.list[next].name == name {
		return next
	}
	if m.index != nil {
		if i, ok := m.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range m.list {
		if m.list[i].name == name {
			return i
		}
	}
	return -1
}

func compileParams(list []Param) *members {
	m := newMembers(len(list))
	for i := range list {
		m.add(list[i].Identifier, &list[i].Data)
	}
	return m
}

func (c *check) compile(t *DataType) {
	c.min, c.max = -math.MaxFloat64, math.MaxFloat64
	switch t.Type {
	case Int:
		c.kind = kindInt
		// 32 bits wide where the model does not say less, as on the devices.
		c.bounds(t, math.MinInt32, math.MaxInt32)
	case Float, Double:
		c.kind = kindNumber
		c.bounds(t, -math.MaxFloat64, math.MaxFloat64)
	case Bool:
		c.kind, c.values = kindWord, []float64{0, 1}
	case Enum:
		c.kind = kindWord
		for _, w := range t.Words {
			c.values = append(c.values, float64(w.Value))
		}
	case Text:
		c.kind, c.most = kindText, t.Length
		if t.Length == 0 {
			c.most = MaxText
		}
	case Date:
		c.kind = kindDate
	case Array:
		c.kind, c.most, c.item = kindArray, t.Size, new(check)
		c.item.compile(t.Item)
	case Struct:
		c.kind, c.members = kindStruct, compileParams(t.Members)
	}
}

// bounds reads numbers Check has looked at.
func (c *check) bounds(t *DataType, lo, hi float64) {
	c.min, c.max = lo, hi
	if t.Min != "" {
		c.min, _ = number([]byte(t.Min))
		c.from = c.min
	}
	if t.Max != "" {
		c.max, _ = number([]byte(t.Max))
	}
	if t.Step != "" {
		c.step, _ = number([]byte(t.Step))
		c.hasStep = true
	}
}
