// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/sql"
)

// judgement is a Condition ready to be judged: a comparison, or a join.
type judgement struct {
	join     string // "all", "any" or empty
	parts    []*judgement
	device   iot.DeviceID
	property string
	test     *sql.Statement // over an object with the property
}

// maxNesting bounds conditions in conditions.
const maxNesting = 8

func (c *Condition) compile(left *int, depth int) (*judgement, error) {
	parts, join := c.All, "all"
	if len(parts) == 0 {
		parts, join = c.Any, "any"
	}
	switch {
	case depth > maxNesting:
		return nil, fmt.Errorf("%w: conditions are nested more than %d deep", ErrInvalid, maxNesting)
	case len(c.All) > 0 && len(c.Any) > 0:
		return nil, fmt.Errorf("%w: a condition has all or any, not both", ErrInvalid)
	case len(parts) == 0:
		return c.comparison(left)
	case c.Property != "" || c.Op != "" || len(c.Value) > 0 || !c.Device.IsZero():
		return nil, fmt.Errorf("%w: a condition with %s is no comparison", ErrInvalid, join)
	}
	j := &judgement{join: join}
	for i := range parts {
		p, err := parts[i].compile(left, depth+1)
		if err != nil {
			return nil, err
		}
		j.parts = append(j.parts, p)
	}
	return j, nil
}

func (c *Condition) comparison(left *int) (*judgement, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("%w: more than %d comparisons", ErrInvalid, MaxConditions)
	}
	if !c.Device.IsZero() {
		if err := checkDevice(c.Device); err != nil {
			return nil, err
		}
	}
	name, path, err := splitPath(c.Property)
	if err != nil {
		return nil, err
	}
	test, err := comparison(c.Op, c.Value)
	if err != nil {
		return nil, err
	}
	st, err := sql.Compile("SELECT * FROM '#' WHERE `"+name+"`"+path+test, sql.Options{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return &judgement{device: c.Device, property: name, test: st}, nil
}

// splitPath reads a property path: its identifier, and the rest as rule SQL.
func splitPath(text string) (name, rest string, err error) {
	for i, part := range strings.Split(text, ".") {
		key, index, indexed := strings.Cut(part, "[")
		if !identifier(key) || len(text) > 256 {
			return "", "", fmt.Errorf("%w: property %.64q: an identifier, or a path such as Position.x or List[0]", ErrInvalid, text)
		}
		if i == 0 {
			name = key
		} else {
			rest += ".`" + key + "`"
		}
		for indexed {
			var number string
			var ok bool
			number, index, ok = strings.Cut(index, "]")
			if n, err := strconv.ParseUint(number, 10, 16); err != nil || !ok || index != "" && index[0] != '[' {
				return "", "", fmt.Errorf("%w: property %.64q: an index is a number in brackets", ErrInvalid, text)
			} else if rest += "[" + strconv.FormatUint(n, 10) + "]"; index == "" {
				break
			}
			index = index[1:]
		}
	}
	return name, rest, nil
}

// comparison writes operator and value as rule SQL.
func comparison(op string, value json.RawMessage) (string, error) {
	if !slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, op) {
		return "", fmt.Errorf("%w: op %.16q: =, !=, <, <=, > or >=", ErrInvalid, op)
	}
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		return "", fmt.Errorf("%w: value %.64q: a number, text, true or false", ErrInvalid, value)
	}
	switch v := v.(type) {
	case bool:
		return " " + op + " " + strings.ToUpper(strconv.FormatBool(v)), nil
	case float64:
		return " " + op + " " + strconv.FormatFloat(v, 'f', -1, 64), nil
	case string:
		if strings.Contains(v, `\`) { // rule SQL would read one before a quote otherwise
			break
		}
		return " " + op + " '" + strings.ReplaceAll(v, "'", "''") + "'", nil
	}
	return "", fmt.Errorf("%w: value %.64q: a number, text without backslashes, true or false", ErrInvalid, value)
}

func (j *judgement) needsDevice() bool {
	if j == nil {
		return false
	}
	return j.join == "" && j.device.IsZero() || slices.ContainsFunc(j.parts, (*judgement).needsDevice)
}

// latest is where values come from.
type latest func(ctx context.Context, id iot.DeviceID, property string) ([]byte, error)

// holds judges the condition for a trigger's device. It asks for no more values
// than it needs.
func (j *judgement) holds(ctx context.Context, from latest, by iot.DeviceID) (bool, error) {
	if j.join == "" {
		m, err := j.message(ctx, from, by)
		var row sql.Row
		return err == nil && j.test.Eval(m, &row), err
	}
	for _, p := range j.parts {
		ok, err := p.holds(ctx, from, by)
		if err != nil || ok == (j.join == "any") {
			return ok, err
		}
	}
	return j.join == "all", nil
}

// message is the value as the test reads it.
func (j *judgement) message(ctx context.Context, from latest, by iot.DeviceID) (*sql.Message, error) {
	id := j.device
	if id.IsZero() {
		id = by
	}
	value, err := from(ctx, id, j.property)
	if err != nil {
		return nil, fmt.Errorf("scene: value of %s of %v: %w", j.property, id, err)
	}
	if len(value) == 0 {
		value = []byte("null")
	}
	return &sql.Message{Device: id, Topic: "v", Payload: slices.Concat([]byte(`{"`+j.property+`":`), value, []byte("}"))}, nil
}
