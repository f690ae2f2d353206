// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
)

// ErrUnknownFeature means the model has no event or service of that name.
var ErrUnknownFeature = errors.New("tsl: the model has no such feature")

// The functions below return JSON Schemas (2020-12) that accept what a Validator
// accepts, as far as a schema can say it. It cannot say: steps that are not
// counted from zero, the length of a text in bytes (a schema counts characters),
// that a member may come once, and numbers a float64 rounds.

// PostSchema is the schema of the params of a property post.
func (m *Model) PostSchema() ([]byte, error) {
	props := map[string]any{}
	for i := range m.Properties {
		t := schemaOf(&m.Properties[i].Data)
		props[m.Properties[i].Identifier] = object2020{"anyOf": []any{t, object2020{
			"type":                 "object",
			"properties":           object2020{"value": t, "time": object2020{"type": "number"}},
			"required":             []string{"value"},
			"additionalProperties": false,
		}}}
	}
	s := closed(props)
	s["maxProperties"] = MaxFeatures
	return document(s)
}

// EventSchema is the schema of the output of an event, bare. The error is
// ErrUnknownFeature.
func (m *Model) EventSchema(identifier string) ([]byte, error) {
	i := slices.IndexFunc(m.Events, func(e Event) bool { return e.Identifier == identifier })
	if i < 0 {
		return nil, fmt.Errorf("%w: event %.60q", ErrUnknownFeature, identifier)
	}
	return document(schemaOfParams(m.Events[i].Output))
}

// InputSchema is the schema of the arguments of a service. The error is
// ErrUnknownFeature.
func (m *Model) InputSchema(service string) ([]byte, error) {
	s, err := m.service(service)
	if err != nil {
		return nil, err
	}
	return document(schemaOfParams(s.Input.Params))
}

// OutputSchema is the schema of what a service returns. The error is
// ErrUnknownFeature.
func (m *Model) OutputSchema(service string) ([]byte, error) {
	s, err := m.service(service)
	if err != nil {
		return nil, err
	}
	return document(schemaOfParams(s.Output))
}

func (m *Model) service(identifier string) (*Service, error) {
	i := slices.IndexFunc(m.Services, func(s Service) bool { return s.Identifier == identifier })
	if i < 0 {
		return nil, fmt.Errorf("%w: service %.60q", ErrUnknownFeature, identifier)
	}
	return &m.Services[i], nil
}

// object2020 is an object of a schema.
type object2020 map[string]any

func document(s object2020) ([]byte, error) {
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	return json.Marshal(s)
}

func closed(props map[string]any) object2020 {
	return object2020{"type": "object", "properties": props, "additionalProperties": false}
}

func schemaOfParams(list []Param) object2020 {
	props := map[string]any{}
	for i := range list {
		props[list[i].Identifier] = schemaOf(&list[i].Data)
	}
	return closed(props)
}

func schemaOf(t *DataType) object2020 {
	switch t.Type {
	case Int:
		return numericSchema("integer", t, math.MinInt32, math.MaxInt32)
	case Float, Double:
		return numericSchema("number", t, -math.MaxFloat64, math.MaxFloat64)
	case Bool:
		return object2020{"enum": []int{0, 1}}
	case Enum:
		values := make([]int, len(t.Words))
		for i, w := range t.Words {
			values[i] = w.Value
		}
		return object2020{"enum": values}
	case Text:
		return object2020{"type": "string", "maxLength": textLimit(t)}
	case Date:
		return object2020{"type": "string", "pattern": "^-?[0-9]{1,18}$"}
	case Array:
		return object2020{"type": "array", "maxItems": t.Size, "items": schemaOf(t.Item)}
	case Struct:
		return schemaOfParams(t.Members)
	}
	return object2020{"not": object2020{}}
}

func numericSchema(kind string, t *DataType, lo, hi float64) object2020 {
	s := object2020{"type": kind, "minimum": lo, "maximum": hi}
	for key, bound := range map[string]Number{"minimum": t.Min, "maximum": t.Max} {
		if v, ok := number([]byte(bound)); ok {
			s[key] = v
		}
	}
	from, step := rational(t.Min), rational(t.Step)
	if from == nil {
		from = new(big.Rat)
	}
	if step != nil && new(big.Rat).Quo(from, step).IsInt() {
		s["multipleOf"], _ = number([]byte(t.Step))
	}
	return s
}
