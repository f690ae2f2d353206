// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// UnmarshalJSON reads a list of parameters or, for the service "get", of names.
func (in *Inputs) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &in.Names) == nil && len(in.Names) > 0 {
		return nil
	}
	in.Names = nil
	return json.Unmarshal(b, &in.Params)
}

// MarshalJSON writes the form that was read.
func (in Inputs) MarshalJSON() ([]byte, error) {
	switch {
	case in.Names != nil:
		return json.Marshal(in.Names)
	case in.Params == nil:
		return []byte("[]"), nil
	}
	return json.Marshal(in.Params)
}

// UnmarshalJSON reads a number or its text.
func (n *Number) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(n))
	}
	*n = Number(b)
	return nil
}

// MarshalJSON writes text, as the documents of the cloud have it.
func (n Number) MarshalJSON() ([]byte, error) { return json.Marshal(string(n)) }

// dataTypeJSON is a DataType on the wire.
type dataTypeJSON struct {
	Type  Type            `json:"type"`
	Specs json.RawMessage `json:"specs,omitempty"`
}

type numericSpecs struct {
	Min      Number `json:"min,omitempty"`
	Max      Number `json:"max,omitempty"`
	Step     Number `json:"step,omitempty"`
	Unit     string `json:"unit,omitempty"`
	UnitName string `json:"unitName,omitempty"`
}

type textSpecs struct {
	Length Number `json:"length,omitempty"`
}

type arraySpecs struct {
	Size Number    `json:"size,omitempty"`
	Item *DataType `json:"item,omitempty"`
}

// UnmarshalJSON reads {"type", "specs"}; numbers in specs may be in quotes.
func (t *DataType) UnmarshalJSON(b []byte) error {
	var in dataTypeJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*t = DataType{Type: in.Type}
	if len(in.Specs) == 0 || string(in.Specs) == "null" {
		return nil
	}
	switch in.Type {
	case Int, Float, Double:
		var s numericSpecs
		if err := json.Unmarshal(in.Specs, &s); err != nil {
			return err
		}
		t.Min, t.Max, t.Step, t.Unit, t.UnitName = s.Min, s.Max, s.Step, s.Unit, s.UnitName
	case Bool, Enum:
		return t.readWords(in.Specs)
	case Text:
		var s textSpecs
		if err := json.Unmarshal(in.Specs, &s); err != nil {
			return err
		}
		return s.Length.read(&t.Length)
	case Array:
		var s arraySpecs
		if err := json.Unmarshal(in.Specs, &s); err != nil {
			return err
		}
		t.Item = s.Item
		return s.Size.read(&t.Size)
	case Struct:
		return json.Unmarshal(in.Specs, &t.Members)
	case Date: // has none
	}
	return nil
}

// read parses a whole number; the empty text leaves n.
func (n Number) read(into *int) error {
	if n == "" {
		return nil
	}
	v, err := strconv.Atoi(string(n))
	if err != nil {
		return fmt.Errorf("tsl: %q is not a whole number", string(n))
	}
	*into = v
	return nil
}

// readWords keeps the order of the document.
func (t *DataType) readWords(specs []byte) error {
	dec := json.NewDecoder(bytes.NewReader(specs))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		v, err := strconv.Atoi(name)
		if err != nil {
			return fmt.Errorf("tsl: %s value %q is not a whole number", t.Type, name)
		}
		var text string
		if err := dec.Decode(&text); err != nil {
			return err
		}
		t.Words = append(t.Words, Word{v, text})
	}
	return nil
}

// MarshalJSON writes the form UnmarshalJSON reads.
func (t DataType) MarshalJSON() ([]byte, error) {
	var specs any
	switch t.Type {
	case Int, Float, Double:
		specs = numericSpecs{t.Min, t.Max, t.Step, t.Unit, t.UnitName}
	case Bool, Enum:
		return t.appendWords(), nil
	case Text:
		specs = textSpecs{numberOf(t.Length)}
	case Array:
		specs = arraySpecs{numberOf(t.Size), t.Item}
	case Struct:
		specs = t.Members
	default:
		specs = struct{}{}
	}
	raw, err := json.Marshal(specs)
	if err != nil {
		return nil, err
	}
	return json.Marshal(dataTypeJSON{t.Type, raw})
}

func numberOf(n int) Number {
	if n == 0 {
		return ""
	}
	return Number(strconv.Itoa(n))
}

func (t *DataType) appendWords() []byte {
	b := fmt.Appendf(nil, `{"type":%q,"specs":{`, t.Type)
	for i, w := range t.Words {
		if i > 0 {
			b = append(b, ',')
		}
		text, _ := json.Marshal(w.Text) // a string always has JSON
		b = fmt.Appendf(b, `"%d":%s`, w.Value, text)
	}
	return append(b, '}', '}')
}
