// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/tsl"
)

// judge applies a thing model.
type judge struct {
	*tsl.Validator
	mode     Validation
	readOnly map[string]bool // properties applications may not set
}

// newJudge makes the judge of a product; nil when there is nothing to apply.
func newJudge(m *tsl.Model, mode Validation) (*judge, error) {
	switch mode {
	case "":
		mode = Strict
	case Strict, Reject, Off:
	default:
		return nil, fmt.Errorf("%w: validation %.32q: strict, reject and off are known", ErrInvalid, mode)
	}
	if m == nil {
		return nil, nil
	}
	v, err := tsl.Compile(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if mode == Off {
		return nil, nil
	}
	j := &judge{v, mode, make(map[string]bool)}
	for i := range m.Properties {
		if p := &m.Properties[i]; p.Access == tsl.ReadOnly {
			j.readOnly[p.Identifier] = true
		}
	}
	return j, nil
}

// maxProperties is how many one post may have (wire facts section 22).
const maxProperties = 200

// post reads a property post: the properties are judged and counted before one of
// them is kept. A worker has one and uses it again and again.
type post struct {
	values  *values
	judge   *judge
	arrival int64
	seen    int
	good    []tsl.Verdict // in order; their bytes are the message's
	bad     []*tsl.Reason

	look, set func(name string, value []byte, ms int64) bool // bound once
	verdict   func(tsl.Verdict) bool
}

// leastProperty is the shortest a property can be in JSON: "":1, and no comma.
const leastProperty = 4

// plain reports that a post of this size can break nothing, so that one walk is
// enough: no model judges it and no limit is near.
func (p *post) plain(params []byte) bool {
	most := len(params) / leastProperty
	return p.judge == nil && most <= maxProperties && most+len(p.values.all) <= maxValues
}

func (p *post) bind() { p.look, p.set, p.verdict = p.lookAt, p.setAt, p.judged }

func (p *post) begin(d *device, arrival int64) {
	p.values, p.judge, p.arrival = &d.values, d.product.judge.Load(), arrival
	p.values.next, p.seen = 0, 0
	p.good, p.bad = p.good[:0], p.bad[:0]
}

// end drops what refers to the message.
func (p *post) end() {
	clear(p.good)
	clear(p.bad)
}

// read looks at every property and keeps none.
func (p *post) read(params []byte) error {
	if p.judge != nil {
		return p.judge.Post(alink.LenientParams(params), p.verdict)
	}
	return alink.EachProperty(params, p.look)
}

// lookAt counts a property nobody judges.
func (p *post) lookAt(name string, value []byte, ms int64) bool {
	return p.judged(tsl.Verdict{Name: name, Value: value, TimeMS: ms})
}

func (p *post) judged(v tsl.Verdict) bool {
	p.seen++
	if v.Reason != nil {
		p.bad = append(p.bad, v.Reason)
		return true
	}
	p.good = append(p.good, v)
	return p.seen <= maxProperties
}

// keep keeps what was read and found good.
func (p *post) keep() {
	for i := range p.good {
		p.setAt(p.good[i].Name, p.good[i].Value, p.good[i].TimeMS)
	}
}

// setAt keeps one property.
func (p *post) setAt(name string, value []byte, ms int64) bool {
	if ms == 0 {
		ms = p.arrival
	}
	p.values.set(name, value, ms)
	return true
}

// decide tells whether the good properties of a post that was read may be kept,
// or what the answer is.
func (h *Hub) decide(w *workContext, r *alink.Request, p *post) (alink.Reply, bool) {
	switch {
	case p.seen > maxProperties:
		return alink.Reply{Code: alink.CodeTooManyProperties}, false
	case p.judge == nil && len(p.values.all)+p.seen > maxValues && p.values.unknown(r.Params) > maxValues-len(p.values.all):
		return alink.Reply{Code: alink.CodeTooManyProperties}, false
	case len(p.bad) == 0:
		return alink.Reply{}, true
	case p.judge.mode == Reject:
		return w.refuse(p.bad), false
	}
	h.logDropped(r, p.bad)
	return alink.Reply{}, true
}

// logDropped makes the one entry of a message that lost members.
func (h *Hub) logDropped(r *alink.Request, bad []*tsl.Reason) {
	h.log(LogEntry{
		Time: r.Time, MessageID: r.MessageID, Device: r.Device, Via: r.Via, Kind: Upstream, Operation: OpHandle,
		Status: Failure, Cause: CauseModel, Topic: strings.Clone(r.Topic.Name), Detail: "dropped " + reasons(bad),
	})
}

// appendParams writes the good properties as params, each with its time.
func (p *post) appendParams(dst []byte) []byte {
	dst = append(dst, '{')
	for i := range p.good {
		if i > 0 {
			dst = append(dst, ',')
		}
		g := &p.good[i]
		name, err := alink.Marshal(g.Name)
		if err != nil {
			continue
		}
		ms := g.TimeMS
		if ms == 0 {
			ms = p.arrival
		}
		dst = append(append(dst, name...), `:{"value":`...)
		dst = append(append(dst, g.Value...), `,"time":`...)
		dst = append(strconv.AppendInt(dst, ms, 10), '}')
	}
	return append(dst, '}')
}

// refused answers 460 with the reasons by pointer.
func refused(bad []*tsl.Reason) alink.Reply {
	data := make(map[string]string, len(bad))
	for _, r := range bad {
		data[r.Pointer] = r.Message
	}
	raw, err := alink.Marshal(data)
	if err != nil {
		raw = nil
	}
	return alink.Reply{Code: alink.CodeBadParams, Message: "tsl check failed", Data: raw}
}

func reasons(bad []*tsl.Reason) string {
	const most = 10
	list := make([]string, 0, most)
	for i, r := range bad {
		if i == most {
			list = append(list, fmt.Sprintf("and %d more", len(bad)-most))
			break
		}
		list = append(list, r.String())
	}
	return strings.Join(list, "; ")
}

// unknown counts the properties of a post that v has no value of yet.
func (v *values) unknown(params []byte) int {
	n := 0
	_ = alink.EachProperty(params, func(name string, _ []byte, _ int64) bool {
		if v.find(name) < 0 {
			n++
		}
		return true
	})
	return n
}

// eventOf is the identifier in thing/event/{id}/post.
func eventOf(path string) string {
	return strings.TrimSuffix(strings.TrimPrefix(path, "thing/event/"), "/post")
}
