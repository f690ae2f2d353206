// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
	"github.com/openalink/iot/tsl"
)

// mayAsk writes the values a device is to be asked to set and holds them against
// its thing model: a value the model does not allow, or a property that is read
// only, is ErrInvalid.
func (h *Hub) mayAsk(ctx context.Context, id iot.DeviceID, items any) (json.RawMessage, error) {
	raw, err := alink.Marshal(items)
	if err != nil {
		return nil, fmt.Errorf("%w: values: %w", ErrInvalid, err)
	}
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	return raw, d.mayAsk(raw)
}

func (d *device) mayAsk(raw []byte) error {
	j := d.product.judge.Load()
	if j == nil {
		return nil
	}
	var bad *tsl.Reason
	n := 0
	err := j.Post(raw, func(v tsl.Verdict) bool {
		n++
		bad = v.Reason
		if bad == nil && j.readOnly[v.Name] {
			bad = &tsl.Reason{Pointer: "/" + v.Name, Rule: "access", Message: "the property is read only"}
		}
		return bad == nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case bad != nil:
		return fmt.Errorf("%w: %v", ErrInvalid, bad)
	case n > maxProperties:
		return fmt.Errorf("%w: %d properties, at most %d", ErrInvalid, n, maxProperties)
	}
	return nil
}

// mayInvoke writes the arguments of a service and holds them against the thing
// model of the device.
func (h *Hub) mayInvoke(ctx context.Context, id iot.DeviceID, service string, args any) (json.RawMessage, error) {
	raw, err := alink.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("%w: arguments of %s: %w", ErrInvalid, service, err)
	}
	d, err := h.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.release(d)
	if j := d.product.judge.Load(); j != nil {
		if bad := j.Input(service, alink.LenientParams(raw)); bad != nil {
			return nil, fmt.Errorf("%w: service %s: %v", ErrInvalid, service, bad)
		}
	}
	return raw, nil
}

// judgeOutput makes an entry of a service's output that breaks the thing model. The
// application gets it all the same: it is what the device did.
func (h *Hub) judgeOutput(d *device, service string, mid int64, answer []byte) {
	j := d.product.judge.Load()
	if j == nil {
		return
	}
	var m alink.Message
	if alink.Parse(answer, &m) != nil || m.Code != alink.CodeOK {
		return
	}
	if bad := j.Output(service, alink.LenientParams(m.Data)); bad != nil {
		h.log(LogEntry{
			MessageID: mid, Device: d.id, Kind: Downstream, Operation: OpReply, Status: Failure, Cause: CauseModel,
			Topic: topic.Sys(d.id, "thing/service/"+service), Detail: "output " + bad.String(),
		})
	}
}
