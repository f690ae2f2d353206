// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shaper holds decoded JSON to the definitions of schema.json, which have the names
// of its methods. Each adds what is wrong under the keyword it breaks.
type shaper struct{ problems []Problem }

// visit is a definition: it looks at the value at a JSON pointer.
type visit func(at string, v any)

func (s *shaper) say(at, rule, format string, args ...any) {
	s.problems = append(s.problems, Problem{at, rule, fmt.Sprintf(format, args...)})
}

// kindOf names the type of a value as a schema does.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if f, err := v.Float64(); err == nil && f != math.Trunc(f) {
			return "number"
		}
		return "integer"
	case []any:
		return "array"
	}
	return "object"
}

// is wants one of some types.
func (s *shaper) is(at string, v any, kinds ...string) bool {
	kind := kindOf(v)
	if slices.Contains(kinds, kind) || kind == "integer" && slices.Contains(kinds, "number") {
		return true
	}
	s.say(at, "type", "expected %s, but got %s", strings.Join(kinds, " or "), kind)
	return false
}

// object looks at members, in the order of their names, and wants some of them. It
// does nothing for what is none.
func (s *shaper) object(at string, v any, required []string, members map[string]visit) {
	o, ok := v.(map[string]any)
	if !ok {
		return
	}
	for _, name := range required {
		if _, ok := o[name]; !ok {
			s.say(at, "required", "missing property %q", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if member, ok := o[name]; ok {
			members[name](at+"/"+name, member)
		}
	}
}

// list looks at the items of an array; null is an empty one.
func (s *shaper) list(item visit) visit {
	return func(at string, v any) {
		if s.is(at, v, "array", "null") {
			s.items(at, v, item)
		}
	}
}

func (s *shaper) items(at string, v any, item visit) {
	items, _ := v.([]any)
	for i, v := range items {
		item(at+"/"+strconv.Itoa(i), v)
	}
}

func (s *shaper) document(at string, v any) {
	if !s.is(at, v, "object") {
		return
	}
	s.object(at, v, nil, map[string]visit{
		"schema": s.text, "link": s.text, "functionBlockId": s.text, "functionBlockName": s.text, "profile": s.profile,
		"properties": s.list(s.property), "events": s.list(s.event), "services": s.list(s.service),
	})
}

func (s *shaper) profile(at string, v any) {
	if s.is(at, v, "object") {
		s.object(at, v, nil, map[string]visit{"productKey": s.text, "deviceName": s.text, "version": s.text})
	}
}

func (s *shaper) text(at string, v any)    { s.is(at, v, "string") }
func (s *shaper) boolean(at string, v any) { s.is(at, v, "boolean") }
func (s *shaper) number(at string, v any)  { s.is(at, v, "number", "string") }

func (s *shaper) whole(at string, v any) {
	if s.is(at, v, "integer", "string") {
		s.matches(at, v, "digits", func(t string) bool { return strings.Trim(t, digits) == "" })
	}
}

const digits = "0123456789"

// matches wants texts of a form.
func (s *shaper) matches(at string, v any, form string, good func(string) bool) {
	if t, ok := v.(string); ok && !good(t) {
		s.say(at, "pattern", "%.60q does not match: %s", t, form)
	}
}

// one wants one of some texts.
func (s *shaper) one(words ...string) visit {
	return func(at string, v any) {
		if t, ok := v.(string); !ok || !slices.Contains(words, t) {
			s.say(at, "enum", "must be one of %s", strings.Join(words, ", "))
		}
	}
}

// long wants a text of some characters.
func (s *shaper) long(at string, v any, most int) bool {
	if !s.is(at, v, "string") {
		return false
	}
	n := utf8.RuneCountInString(v.(string))
	if n < 1 {
		s.say(at, "minLength", "length must be >= 1, but got 0")
	} else if n > most {
		s.say(at, "maxLength", "length must be <= %d, but got %d", most, n)
	}
	return true
}

func (s *shaper) identifier(at string, v any) {
	if s.long(at, v, MaxIdentifier) {
		s.matches(at, v, "letters, digits and '_'", func(t string) bool { return t != "" && plain(t) })
	}
}

func (s *shaper) feature(at string, v any) {
	if s.long(at, v, 2*MaxIdentifier+1) {
		s.matches(at, v, "an identifier, or two with a colon between them", func(t string) bool {
			block, own, ok := strings.Cut(t, ":")
			return block != "" && plain(block) && (!ok || own != "" && plain(own))
		})
	}
}

func (s *shaper) property(at string, v any) {
	if s.is(at, v, "object") {
		s.object(at, v, []string{"identifier", "accessMode", "dataType"}, map[string]visit{
			"identifier": s.feature, "name": s.text, "desc": s.text,
			"accessMode": s.one("r", "rw", "w"), "required": s.boolean, "dataType": s.dataType,
		})
	}
}

func (s *shaper) param(at string, v any) {
	if s.is(at, v, "object") {
		s.object(at, v, []string{"identifier", "dataType"}, map[string]visit{"identifier": s.identifier, "name": s.text, "dataType": s.dataType})
	}
}

func (s *shaper) event(at string, v any) {
	if s.is(at, v, "object") {
		s.object(at, v, []string{"identifier", "type"}, map[string]visit{
			"identifier": s.feature, "name": s.text, "desc": s.text,
			"type": s.one("info", "alert", "error"), "required": s.boolean, "method": s.text, "outputData": s.list(s.param),
		})
	}
}

func (s *shaper) service(at string, v any) {
	if s.is(at, v, "object") {
		s.object(at, v, []string{"identifier", "callType"}, map[string]visit{
			"identifier": s.feature, "name": s.text, "desc": s.text,
			"callType": s.one("sync", "async"), "required": s.boolean, "method": s.text,
			"inputData": s.list(s.input), "outputData": s.list(s.param),
		})
	}
}

// input is a parameter, or the name of a property.
func (s *shaper) input(at string, v any) {
	if _, ok := v.(string); ok {
		s.feature(at, v)
		return
	}
	s.param(at, v)
}

func (s *shaper) dataType(at string, v any) {
	if !s.is(at, v, "object") {
		return
	}
	specs, required := map[string]visit{}, []string{"type"}
	switch v.(map[string]any)["type"] {
	case "int", "float", "double":
		specs["specs"] = s.numeric
	case "bool", "enum":
		specs["specs"] = s.words
	case "text":
		specs["specs"] = s.length
	case "date":
		specs["specs"] = func(at string, v any) { s.is(at, v, "object", "null") }
	case "array":
		specs["specs"], required = s.array, append(required, "specs")
	case "struct":
		specs["specs"], required = s.members, append(required, "specs")
	}
	specs["type"] = s.one("int", "float", "double", "bool", "enum", "text", "date", "array", "struct")
	s.object(at, v, required, specs)
}

func (s *shaper) numeric(at string, v any) {
	if s.is(at, v, "object", "null") {
		s.object(at, v, nil, map[string]visit{"min": s.number, "max": s.number, "step": s.number, "unit": s.text, "unitName": s.text})
	}
}

func (s *shaper) words(at string, v any) {
	if !s.is(at, v, "object", "null") {
		return
	}
	o, _ := v.(map[string]any)
	if len(o) > MaxWords {
		s.say(at, "maxProperties", "maximum %d properties allowed, but found %d", MaxWords, len(o))
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		s.matches(at+"/"+pointerToken(name), name, "a whole number of 1 to 10 digits", func(t string) bool {
			t = strings.TrimPrefix(t, "-")
			return t != "" && len(t) <= 10 && strings.Trim(t, digits) == ""
		})
		s.text(at+"/"+pointerToken(name), o[name])
	}
}

// pointerToken escapes a name for a JSON pointer.
func pointerToken(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (s *shaper) length(at string, v any) {
	if s.is(at, v, "object", "null") {
		s.object(at, v, nil, map[string]visit{"length": s.whole})
	}
}

func (s *shaper) array(at string, v any) {
	if s.is(at, v, "object") {
		s.object(at, v, []string{"size", "item"}, map[string]visit{"size": s.whole, "item": s.item})
	}
}

// item is the type of an array's elements.
func (s *shaper) item(at string, v any) {
	s.dataType(at, v)
	s.object(at, v, nil, map[string]visit{"type": s.one("int", "float", "double", "text", "struct")})
}

func (s *shaper) members(at string, v any) {
	if !s.is(at, v, "array") {
		return
	}
	switch n := len(v.([]any)); {
	case n < 1:
		s.say(at, "minItems", "minimum 1 items required, but found %d", n)
	case n > MaxMembers:
		s.say(at, "maxItems", "maximum %d items required, but found %d", MaxMembers, n)
	}
	s.items(at, v, s.param)
}
