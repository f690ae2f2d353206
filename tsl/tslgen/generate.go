// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"go/format"
	"math"
	"strconv"
	"strings"
	"text/template"

	"github.com/openalink/iot/tsl"
)

//go:embed source.tmpl
var sourceText string

// view is what the template shows.
type view struct {
	Package, Source, Document string
	Enums                     []enum
	Structs                   []structure
	Properties                []property
	Events                    []event
	Services                  []service
	UsesTime                  bool
}

type enum struct {
	Name, Doc string
	Words     []word
}

type word struct {
	Name, Text string
	Value      int
}

type structure struct {
	Name, Doc string
	Fields    []field
}

type field struct {
	Name, Identifier, Type, Doc string
}

type property struct {
	field
	// Arg is the type methods take, Wire turns an argument v into Type.
	Arg, Wire, Back    string
	Writable, Readable bool
}

type event struct {
	Name, Identifier, Doc string
	Level                 string
}

type service struct {
	Name, Identifier, Doc string
}

// generator collects the types of a model.
type generator struct {
	view
	taken map[string]string // Go names of types, and what they are for
	err   error
}

// generate returns formatted Go.
func generate(m *tsl.Model, pkg, source string) ([]byte, error) {
	document, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	g := generator{view: view{Package: pkg, Source: source, Document: quoted(document)}, taken: make(map[string]string)}
	g.properties(m)
	g.events(m)
	g.services(m)
	if g.err != nil {
		return nil, g.err
	}
	t, err := template.New("source").Parse(sourceText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, &g.view); err != nil {
		return nil, err
	}
	out, err := format.Source(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("generated source: %w", err)
	}
	return out, nil
}

// quoted writes a document as a Go string, one member a line where it can.
func quoted(document []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, document, "", " ") != nil || bytes.ContainsRune(document, '`') {
		return strconv.Quote(string(document))
	}
	return "`" + b.String() + "`"
}

// claim notes the Go name of a type or feature.
func (g *generator) claim(name, what string) {
	if old, ok := g.taken[name]; ok && g.err == nil {
		g.err = fmt.Errorf("%s and %s are both called %s in Go", old, what, name)
	}
	g.taken[name] = what
}

func (g *generator) properties(m *tsl.Model) {
	for i := range m.Properties {
		p := &m.Properties[i]
		name := goName(p.Identifier)
		methods := []string{"Device." + name, "Device.Set" + name}
		if p.Access != tsl.ReadOnly {
			methods = append(methods, "Client.Set"+name, "Handler.Apply"+name)
		}
		for _, method := range methods {
			g.claim(method, "property "+p.Identifier)
		}
		out := property{
			field:    field{Name: name, Identifier: p.Identifier, Type: g.goType(name, &p.Data), Doc: about(p.Name, p.Desc, &p.Data)},
			Writable: p.Access != tsl.ReadOnly, Readable: p.Access != tsl.WriteOnly,
		}
		out.Arg, out.Wire, out.Back = out.Type, "v", "v"
		switch p.Data.Type { //nolint:exhaustive // the others are their own wire form
		case tsl.Bool:
			out.Arg, out.Wire, out.Back = "bool", "tsl.Bit(v)", "bool(v)"
		case tsl.Date:
			g.UsesTime = true
			out.Arg, out.Wire, out.Back = "time.Time", "tsl.Moment{Time: v}", "v.Time"
		}
		g.Properties = append(g.Properties, out)
	}
}

func (g *generator) events(m *tsl.Model) {
	for i := range m.Events {
		e := &m.Events[i]
		if e.Identifier == "post" {
			continue
		}
		name := goName(e.Identifier)
		g.claim("Device.Post"+name, "event "+e.Identifier)
		g.structure(name+"Event", "is what the event "+e.Identifier+" tells"+described(e.Name, e.Desc), e.Output)
		g.Events = append(g.Events, event{name, e.Identifier, described(e.Name, e.Desc), string(e.Type)})
	}
}

func (g *generator) services(m *tsl.Model) {
	for i := range m.Services {
		s := &m.Services[i]
		if s.Identifier == "set" || s.Identifier == "get" {
			continue
		}
		name := goName(s.Identifier)
		g.claim("Client."+name, "service "+s.Identifier)
		g.claim("Handler."+name, "service "+s.Identifier)
		g.structure(name+"Input", "are the arguments of the service "+s.Identifier, s.Input.Params)
		g.structure(name+"Output", "is what the service "+s.Identifier+" returns", s.Output)
		g.Services = append(g.Services, service{name, s.Identifier, described(s.Name, s.Desc)})
	}
}

// structure adds a struct type.
func (g *generator) structure(name, doc string, members []tsl.Param) {
	g.claim(name, "type "+name)
	s := structure{Name: name, Doc: doc}
	fields := make(map[string]bool)
	for i := range members {
		f := field{Name: goName(members[i].Identifier), Identifier: members[i].Identifier, Doc: about(members[i].Name, "", &members[i].Data)}
		if fields[f.Name] && g.err == nil {
			g.err = fmt.Errorf("two members of %s are called %s in Go", name, f.Name)
		}
		fields[f.Name] = true
		f.Type = g.goType(name+f.Name, &members[i].Data)
		s.Fields = append(s.Fields, f)
	}
	g.Structs = append(g.Structs, s)
}

// goType names the Go type of a value, making one called name where it needs its
// own.
func (g *generator) goType(name string, t *tsl.DataType) string {
	switch t.Type {
	case tsl.Int:
		if fits32(t) {
			return "int32"
		}
		return "int64"
	case tsl.Float, tsl.Double:
		return "float64"
	case tsl.Bool:
		return "tsl.Bit"
	case tsl.Date:
		return "tsl.Moment"
	case tsl.Text:
		return "string"
	case tsl.Enum:
		g.enum(name, t)
		return name
	case tsl.Array:
		return "[]" + g.goType(name+"Item", t.Item)
	case tsl.Struct:
		g.structure(name, "is the value of "+name, t.Members)
		return name
	}
	g.err = fmt.Errorf("type %q is not known", t.Type)
	return "any"
}

func fits32(t *tsl.DataType) bool {
	for _, n := range []tsl.Number{t.Min, t.Max} {
		if f, err := strconv.ParseFloat(string(n), 64); n != "" && (err != nil || math.Abs(f) > math.MaxInt32) {
			return false
		}
	}
	return true
}

func (g *generator) enum(name string, t *tsl.DataType) {
	g.claim(name, "type "+name)
	e := enum{Name: name, Doc: "is one of the values below"}
	used := make(map[string]bool)
	for _, w := range t.Words {
		short := wordName(w.Text)
		if short == "" || used[short] {
			short = strings.ReplaceAll(strconv.Itoa(w.Value), "-", "Minus")
		}
		used[short] = true
		g.claim(name+short, "value "+name+short)
		e.Words = append(e.Words, word{name + short, line(w.Text), w.Value})
	}
	g.Enums = append(g.Enums, e)
}

// described is name and description of a feature, behind a colon.
func described(name, desc string) string {
	switch text := line(desc); {
	case text != "":
		return ": " + text
	case line(name) != "":
		return ": " + line(name)
	}
	return ""
}

// about tells name, unit and bounds of a value.
func about(name, desc string, t *tsl.DataType) string {
	var parts []string
	if d := described(name, desc); d != "" {
		parts = append(parts, strings.TrimPrefix(d, ": "))
	}
	switch t.Type {
	case tsl.Int, tsl.Float, tsl.Double:
		if t.Min != "" || t.Max != "" {
			parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s to %s %s", open(t.Min), open(t.Max), t.Unit)))
		} else if t.Unit != "" {
			parts = append(parts, "in "+t.Unit)
		}
		if t.Step != "" {
			parts = append(parts, "in steps of "+string(t.Step))
		}
	case tsl.Text:
		if t.Length > 0 {
			parts = append(parts, fmt.Sprintf("at most %d bytes", t.Length))
		}
	case tsl.Array:
		parts = append(parts, fmt.Sprintf("at most %d elements", t.Size))
	case tsl.Bool, tsl.Enum, tsl.Date, tsl.Struct:
	}
	return strings.Join(parts, ", ")
}

func open(n tsl.Number) string {
	if n == "" {
		return "any"
	}
	return string(n)
}
