// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/tsl"
)

// judge applies a thing model.
type judge struct {
	*tsl.Validator
	mode Validation
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
	return &judge{v, mode}, nil
}

// maxProperties is how many one post may have (wire facts section 22).
const maxProperties = 200

// post reads a property post in two walks: the first counts and judges, the
// second keeps what passed. A worker has one and uses it again and again.
type post struct {
	values  *values
	judge   *judge
	arrival int64
	seen    int
	bad     []*tsl.Reason // in order; nil entries never
	badAt   []int         // their positions
	at      int

	look, set func(name string, value []byte, ms int64) bool // bound once
}

// leastProperty is the shortest a property can be in JSON: "":1, and no comma.
const leastProperty = 4

// plain reports that a post of this size can break nothing, so that one walk is
// enough: no model judges it and no limit is near.
func (p *post) plain(params []byte) bool {
	most := len(params) / leastProperty
	return p.judge == nil && most <= maxProperties && most+len(p.values.all) <= maxValues
}

func (p *post) bind() { p.look, p.set = p.lookAt, p.setAt }

func (p *post) begin(d *device, arrival int64) {
	p.values, p.judge, p.arrival = &d.values, d.product.judge.Load(), arrival
	p.values.next, p.seen, p.at = 0, 0, 0
	p.bad, p.badAt = p.bad[:0], p.badAt[:0]
}

// lookAt judges one property.
func (p *post) lookAt(name string, value []byte, _ int64) bool {
	if p.judge != nil {
		if r := p.judge.Property(name, value); r != nil {
			p.bad, p.badAt = append(p.bad, r), append(p.badAt, p.seen)
		}
	}
	p.seen++
	return true
}

// setAt keeps one property unless it was judged bad.
func (p *post) setAt(name string, value []byte, ms int64) bool {
	at := p.at
	p.at++
	if len(p.badAt) > 0 && slices.Contains(p.badAt, at) {
		return true
	}
	if ms == 0 {
		ms = p.arrival
	}
	p.values.set(name, value, ms)
	return true
}

// judged decides about a post that was looked at: may the rest be kept, or what
// is the answer.
func (h *Hub) judged(r *alink.Request, p *post) (alink.Reply, bool) {
	switch {
	case p.seen > maxProperties:
		return alink.Reply{Code: alink.CodeTooManyProperties}, false
	case p.judge == nil && len(p.values.all)+p.seen > maxValues && p.values.unknown(r.Params) > maxValues-len(p.values.all):
		return alink.Reply{Code: alink.CodeTooManyProperties}, false
	case len(p.bad) == 0:
		return alink.Reply{}, true
	case p.judge.mode == Reject:
		return refused(p.bad), false
	}
	h.log(LogEntry{
		Time: r.Time, MessageID: r.MessageID, Device: r.Device, Via: r.Via, Kind: Upstream, Operation: OpHandle,
		Status: Failure, Cause: CauseModel, Topic: strings.Clone(r.Topic.Name), Detail: "dropped " + reasons(p.bad),
	})
	return alink.Reply{}, true
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

// template answers thing.dsltemplate.get with the thing model.
func (h *Hub) template(ctx context.Context, _ *alink.Request) alink.Reply {
	p := work(ctx).s.d.product
	p.mu.Lock()
	m := p.rec.Model
	p.mu.Unlock()
	if m == nil {
		return alink.Reply{Code: alink.CodeTSLUnavailable}
	}
	raw, err := alink.Marshal(m)
	if err != nil {
		return alink.ErrorReply(err)
	}
	return alink.OK(raw)
}
