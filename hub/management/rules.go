// SPDX-License-Identifier: Apache-2.0

package management

import (
	"encoding/base64"
	"encoding/json"
	"iter"
	"net/http"
	"strconv"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/define"
	"github.com/openalink/iot/rules/sql"
)

// ruleRoutes are served when Config.Rules is set.
func (a *api) ruleRoutes() []route {
	return []route{
		{pattern: "GET /api/v1/rules", serve: a.listRules},
		{pattern: "GET /api/v1/rules/{id}", serve: a.getRule},
		{pattern: "PUT /api/v1/rules/{id}", serve: a.putRule},
		{pattern: "DELETE /api/v1/rules/{id}", serve: a.deleteRule},
		{pattern: "POST /api/v1/rules/{id}/explain", serve: a.explainRule},
		{pattern: "GET /api/v1/rules/{id}/dead-letters", serve: a.deadLetters},
		{pattern: "POST /api/v1/rules/{id}/replay", serve: a.replay},
	}
}

// notServed answers what this server was not given.
func notServed(what string) error {
	return &Error{Status: http.StatusNotFound, Code: "NotServed", Message: "this server has no " + what}
}

func (a *api) ruleSet() (*define.Set, error) {
	if a.rules == nil {
		return nil, notServed("rules")
	}
	return a.rules, nil
}

// ruleOut is a rule with its counters.
type ruleOut struct {
	define.Entry
	Stats *rules.Stats `json:"stats,omitempty"`
}

func (a *api) listRules(*http.Request) (any, error) {
	set, err := a.ruleSet()
	if err != nil {
		return nil, err
	}
	return page[define.Entry]{Items: set.Entries()}, nil
}

func (a *api) getRule(r *http.Request) (any, error) {
	set, err := a.ruleSet()
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	for _, e := range set.Entries() {
		if e.ID != id {
			continue
		}
		out := ruleOut{Entry: e}
		if s, err := set.Runner().Stats(id); err == nil { // one that does not run has none
			out.Stats = &s
		}
		return out, nil
	}
	return nil, rules.ErrUnknownRule
}

func (a *api) putRule(r *http.Request) (any, error) {
	set, err := a.ruleSet()
	if err != nil {
		return nil, err
	}
	var d define.Definition
	if err := decode(r, &d); err != nil {
		return nil, err
	}
	if id := r.PathValue("id"); d.ID == "" {
		d.ID = id
	} else if d.ID != id {
		return nil, badRequest("id %.64q is not the one in the path", d.ID)
	}
	if err := set.Put(r.Context(), d); err != nil {
		return nil, err
	}
	return a.getRule(r)
}

func (a *api) deleteRule(r *http.Request) (any, error) {
	set, err := a.ruleSet()
	if err != nil {
		return nil, err
	}
	return struct{}{}, set.Remove(r.Context(), r.PathValue("id"))
}

// explainIn is a message as rules see it: its topic, and its payload as JSON or in
// base64.
type explainIn struct {
	Topic         string          `json:"topic"`
	ProductKey    string          `json:"productKey"`
	DeviceName    string          `json:"deviceName"`
	Payload       json.RawMessage `json:"payload"`
	PayloadBase64 string          `json:"payloadBase64"`
}

func (a *api) explainRule(r *http.Request) (any, error) {
	set, err := a.ruleSet()
	if err != nil {
		return nil, err
	}
	var in explainIn
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	m, err := in.message(time.Now())
	if err != nil {
		return nil, err
	}
	return set.Runner().Explain(r.PathValue("id"), m)
}

func (in *explainIn) message(at time.Time) (m *sql.Message, err error) {
	payload := []byte(in.Payload)
	if in.PayloadBase64 != "" {
		if payload, err = base64.StdEncoding.DecodeString(in.PayloadBase64); err != nil {
			return nil, badRequest("payloadBase64: %v", err)
		}
	}
	return &sql.Message{
		Topic: in.Topic, Device: iot.DeviceID{Product: in.ProductKey, Name: in.DeviceName}, Time: at, Payload: payload,
	}, nil
}

func (a *api) deadLetters(r *http.Request) (any, error) {
	set, err := a.ruleSet()
	if err != nil {
		return nil, err
	}
	return part(r, set.Runner().DeadLetters(r.Context(), r.PathValue("id")))
}

// part takes the first items of a list that is short as a rule.
func part[T any](r *http.Request, list iter.Seq2[T, error]) (page[T], error) {
	limit, err := limitOf(r)
	if err != nil {
		return page[T]{}, err
	}
	out := page[T]{Items: []T{}}
	for item, err := range list {
		if err != nil {
			return page[T]{}, err
		}
		if out.Items = append(out.Items, item); len(out.Items) == limit {
			break
		}
	}
	return out, nil
}

func (a *api) replay(r *http.Request) (any, error) {
	set, err := a.ruleSet()
	if err != nil {
		return nil, err
	}
	n, err := set.Runner().Replay(r.Context(), r.PathValue("id"))
	out := map[string]string{"sent": strconv.Itoa(n)}
	if err != nil && n == 0 {
		return nil, &Error{Status: http.StatusBadGateway, Code: "SinkFailed", Message: err.Error()}
	}
	if err != nil {
		out["error"] = err.Error()
	}
	return out, nil
}
