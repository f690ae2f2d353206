// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"fmt"
	"math"
	"strconv"
)

// Validator judges what a device says against a model. It is made by Compile,
// never changes and is safe for concurrent use.
type Validator struct {
	properties map[string]*check
	events     map[string]map[string]*check
	inputs     map[string]map[string]*check
	outputs    map[string]map[string]*check
}

// check is a type ready to judge values.
type check struct {
	kind     Type
	min, max float64
	step     float64
	hasStep  bool
	values   []int // of an enum
	length   int
	size     int
	item     *check
	members  map[string]*check
}

// Compile makes the validator of a model. A model that Check complains about is
// refused with its *ModelError.
func Compile(m *Model) (*Validator, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	v := &Validator{
		properties: make(map[string]*check, len(m.Properties)), events: make(map[string]map[string]*check, len(m.Events)),
		inputs: make(map[string]map[string]*check, len(m.Services)), outputs: make(map[string]map[string]*check, len(m.Services)),
	}
	for i := range m.Properties {
		v.properties[m.Properties[i].Identifier] = compile(&m.Properties[i].Data)
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

func compileParams(list []Param) map[string]*check {
	out := make(map[string]*check, len(list))
	for i := range list {
		out[list[i].Identifier] = compile(&list[i].Data)
	}
	return out
}

func compile(t *DataType) *check {
	c := &check{kind: t.Type, min: math.Inf(-1), max: math.Inf(1), length: MaxText, size: t.Size}
	switch t.Type {
	case Int, Float, Double:
		c.bounds(t)
	case Bool:
		c.values = []int{0, 1}
	case Enum:
		for _, w := range t.Words {
			c.values = append(c.values, w.Value)
		}
	case Text:
		if t.Length > 0 {
			c.length = t.Length
		}
	case Array:
		c.item = compile(t.Item)
	case Struct:
		c.members = compileParams(t.Members)
	case Date:
	}
	return c
}

// bounds reads numbers Check has looked at. Integers are 32 bits wide where the
// model does not say less, as on the devices.
func (c *check) bounds(t *DataType) {
	if c.kind == Int {
		c.min, c.max = math.MinInt32, math.MaxInt32
	}
	for _, b := range []struct {
		text Number
		into *float64
	}{{t.Min, &c.min}, {t.Max, &c.max}, {t.Step, &c.step}} {
		if b.text != "" {
			*b.into, _ = strconv.ParseFloat(string(b.text), 64)
		}
	}
	c.hasStep = t.Step != ""
}

// Reason is why a value is not accepted.
type Reason struct {
	Pointer string // of the value inside what was judged, as a JSON pointer
	Rule    string // the rule it breaks, a stable word
	Message string
}

// String says where and what.
func (r *Reason) String() string {
	return fmt.Sprintf("%s: %s (%s)", r.Pointer, r.Message, r.Rule)
}
