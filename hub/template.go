// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/tsl"
)

// model returns the thing model of a product, nil without one.
func (p *product) model() *tsl.Model {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rec.Model
}

// template answers thing.dsltemplate.get with the thing model.
func (h *Hub) template(ctx context.Context, _ *alink.Request) alink.Reply {
	m := work(ctx).s.d.product.model()
	if m == nil {
		return alink.Reply{Code: alink.CodeTSLUnavailable}
	}
	raw, err := alink.Marshal(m)
	if err != nil {
		return alink.ErrorReply(err)
	}
	return alink.OK(raw)
}

// dynamicTemplate answers thing.dynamicTsl.get: of every feature the nodes asked
// for ("identifier", "type", "name", "accessMode", "required", "desc", "specs"),
// in one array. addDefault adds the features every product has.
func (h *Hub) dynamicTemplate(ctx context.Context, r *alink.Request) alink.Reply {
	var in struct {
		Nodes      []string `json:"nodes"`
		AddDefault bool     `json:"addDefault"`
	}
	if json.Unmarshal(alink.LenientParams(r.Params), &in) != nil {
		return badParams("params must be nodes and addDefault")
	}
	m := work(ctx).s.d.product.model()
	if m == nil {
		return alink.Reply{Code: alink.CodeTSLUnavailable}
	}
	out := []map[string]any{}
	add := func(all map[string]any) {
		node := map[string]any{}
		for name, value := range all {
			if len(in.Nodes) == 0 || contains(in.Nodes, name) {
				node[name] = value
			}
		}
		out = append(out, node)
	}
	for i := range m.Properties {
		p := &m.Properties[i]
		add(map[string]any{
			"identifier": p.Identifier, "name": p.Name, "desc": p.Desc, "accessMode": p.Access, "required": p.Required,
			"type": p.Data.Type, "specs": specs(&p.Data),
		})
	}
	for i := range m.Events {
		if e := &m.Events[i]; in.AddDefault || e.Identifier != "post" {
			add(map[string]any{"identifier": e.Identifier, "name": e.Name, "desc": e.Desc, "required": e.Required, "type": e.Type})
		}
	}
	for i := range m.Services {
		if s := &m.Services[i]; in.AddDefault || s.Identifier != "set" && s.Identifier != "get" {
			add(map[string]any{"identifier": s.Identifier, "name": s.Name, "desc": s.Desc, "required": s.Required, "type": s.Call})
		}
	}
	return alink.OK(jsonText(out))
}

// specs are those of a type as its document has them.
func specs(t *tsl.DataType) json.RawMessage {
	var out struct {
		Specs json.RawMessage `json:"specs"`
	}
	raw, err := json.Marshal(t)
	if err != nil || json.Unmarshal(raw, &out) != nil || out.Specs == nil {
		return json.RawMessage("{}")
	}
	return out.Specs
}
