// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/tsl"
)

// CodeUnknownMethod answers a request below /sys/{pk}/{dn} that no handler of
// Hub.Mux takes.
const CodeUnknownMethod = alink.CodeBadParams

// handlers puts the hub's own methods on the Mux. The embedder's stand beside
// them: see Hub.Mux.
func (h *Hub) handlers() error {
	for pattern, f := range map[string]alink.HandlerFunc{
		"thing/event/property/post":         h.propertyPost,
		"thing/event/property/history/post": h.historyPost,
		"thing/event/property/batch/post":   h.batchPost,
		"thing/event/property/pack/post":    h.packPost,
		"thing/event/+/post":                h.eventPost,
		"thing/deviceinfo/update":           h.tagsUpdate,
		"thing/deviceinfo/delete":           h.tagsDelete,
		"thing/deviceinfo/get":              h.tagsGet,
		"thing/dsltemplate/get":             h.template,
		"thing/dynamicTsl/get":              h.dynamicTemplate,
		"thing/property/desired/get":        h.desiredGet,
		"thing/property/desired/delete":     h.desiredDelete,
		"thing/config/log/get":              h.logConfigGet,
		"thing/job/get":                     h.jobGet,
		"thing/job/update":                  h.jobUpdate,
		"thing/reset":                       h.keep,
		"thing/awss/enrollee/match":         h.keep,
		"thing/awss/enrollee/found":         h.keep,
		"_thing/diag/post":                  h.keep,
		"_thing/service/post":               h.keep,
		"thing/ota/firmware/get":            h.firmwareGet,
		"thing/config/get":                  h.configGet,
		"thing/status/update":               h.keepSilently,
		"thing/log/post":                    h.keep,
		"#":                                 h.unknownMethod,
	} {
		if err := h.mux.Handle(pattern, f); err != nil {
			return err
		}
	}
	return h.gatewayHandlers()
}

// unknownMethod answers what nobody serves.
func (h *Hub) unknownMethod(context.Context, *alink.Request) alink.Reply {
	return alink.Reply{Code: CodeUnknownMethod, Message: "unknown method"}
}

// keep accepts a request whose only effect is its place in the message log.
func (h *Hub) keep(context.Context, *alink.Request) alink.Reply { return alink.OK(nil) }

// keepSilently is keep for requests without an answer.
func (h *Hub) keepSilently(context.Context, *alink.Request) alink.Reply {
	return alink.Reply{Code: alink.CodeOK, None: true}
}

func badParams(what string) alink.Reply {
	return alink.Reply{Code: alink.CodeBadParams, Message: what}
}

// propertyPost takes the values of thing.event.property.post.
func (h *Hub) propertyPost(ctx context.Context, r *alink.Request) alink.Reply {
	w := work(ctx)
	d := w.s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := h.loadValues(ctx, d); err != nil {
		h.logger.Error("values do not load", "device", d.key, "error", err)
		return alink.ErrorReply(err)
	}
	post := &w.sh.props
	post.begin(d, r.Time.UnixMilli())
	if post.plain(r.Params) {
		if err := alink.EachProperty(r.Params, post.set); err != nil {
			return badParams("params must be an object of properties")
		}
	} else {
		defer post.end()
		if err := post.read(r.Params); err != nil {
			return badParams("params must be an object of properties")
		}
		if reply, ok := h.decide(w, r, post); !ok {
			return reply
		}
		post.keep()
		if len(post.bad) > 0 {
			w.record(d, r, post.appendParams(nil))
		}
	}
	w.changed(d)
	return alink.OK(nil)
}

// eventPost takes thing.event.{id}.post. Without a model any object passes; one
// that breaks the model is refused (wire facts section 11).
func (h *Hub) eventPost(ctx context.Context, r *alink.Request) alink.Reply {
	params := alink.LenientParams(r.Params)
	if len(params) == 0 || params[0] != '{' {
		return badParams("params must be an object")
	}
	w := work(ctx)
	if j := w.s.d.product.judge.Load(); j != nil {
		output, _ := alink.EventParams(params)
		if reason := j.Event(eventOf(r.Topic.Path), output); reason != nil {
			return w.refuse([]*tsl.Reason{reason})
		}
	}
	return alink.OK(nil)
}

// attribute is an element of thing.deviceinfo.* (wire facts section 11).
type attribute struct {
	Key    string `json:"attrKey"`
	Value  string `json:"attrValue,omitempty"`
	Domain string `json:"domain,omitempty"`
}

// maxAttributes is how many attributes one request may name.
const maxAttributes = 200

func attributes(r *alink.Request) ([]attribute, bool) {
	var list []attribute
	if json.Unmarshal(alink.LenientParams(r.Params), &list) != nil || len(list) > maxAttributes {
		return nil, false
	}
	for _, a := range list {
		if !validTagKey(a.Key) {
			return nil, false
		}
	}
	return list, true
}

// tagsUpdate sets tags of thing.deviceinfo.update. Those with domain SYSTEM come
// from SDKs: they are kept apart and do not count.
func (h *Hub) tagsUpdate(ctx context.Context, r *alink.Request) alink.Reply {
	list, ok := attributes(r)
	if !ok {
		return badParams("params must be a list of at most 200 attrKey and attrValue")
	}
	own, system := map[string]string{}, map[string]string{}
	for _, a := range list {
		if a.Domain == "SYSTEM" {
			system[a.Key] = a.Value
		} else {
			own[a.Key] = a.Value
		}
	}
	return h.changeTags(ctx, own, system)
}

// tagsDelete removes tags of thing.deviceinfo.delete.
func (h *Hub) tagsDelete(ctx context.Context, r *alink.Request) alink.Reply {
	list, ok := attributes(r)
	if !ok {
		return badParams("params must be a list of at most 200 attrKey")
	}
	gone := map[string]string{}
	for _, a := range list {
		gone[a.Key] = ""
	}
	return h.changeTags(ctx, gone, gone)
}

// changeTags merges tags into the record of the handler's device.
func (h *Hub) changeTags(ctx context.Context, own, system map[string]string) alink.Reply {
	w := work(ctx)
	d := w.s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	tags, sys := mergeTags(d.rec.Tags, own), mergeTags(d.rec.System, system)
	if h.checkTags(tags) != nil || len(sys) > maxAttributes {
		return badParams("too many tags")
	}
	d.rec.Tags, d.rec.System = tags, sys
	w.b.st.Put(deviceKey(prefixDevice, d.id), encodeJSON(d.rec))
	w.b.touch(d)
	return alink.OK(nil)
}

// tagsGet answers thing.deviceinfo.get with the tags, all or those named.
func (h *Hub) tagsGet(ctx context.Context, r *alink.Request) alink.Reply {
	var names []string
	_ = json.Unmarshal(alink.LenientParams(r.Params), &names) // anything else asks for all
	d := work(ctx).s.d
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []attribute{}
	for k, v := range d.rec.Tags {
		if len(names) == 0 || contains(names, k) {
			list = append(list, attribute{Key: k, Value: v})
		}
	}
	return alink.OK(jsonText(list))
}

// jsonText writes v as compact JSON without HTML escapes, for devices that scan
// text.
func jsonText(v any) []byte {
	b, err := alink.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return b
}
