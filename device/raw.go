// SPDX-License-Identifier: Apache-2.0

package device

import (
	"bytes"
	"context"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

// The topics of devices that speak bytes of their own (wire facts section 16).
const (
	upRaw        = "thing/model/up_raw"
	upRawReply   = "thing/model/up_raw_reply"
	downRaw      = "thing/model/down_raw"
	downRawReply = "thing/model/down_raw_reply"
)

// rawCall is the id of the one raw message under way: its answer carries none.
const rawCall = "raw"

// PostRaw sends bytes of the device's own protocol, which the platform's script or
// codec understands, and returns the bytes of the answer. One call at a time;
// others fail with alink.ErrDuplicate. Other errors are those of Call.
func (c *Client) PostRaw(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	m := iot.Message{Topic: topic.Sys(c.Device(), upRaw), Payload: payload, QoS: iot.AtLeastOnce}
	answer, err := c.exchange(ctx, rawCall, m)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(answer.Payload), nil
}

// raw hands bytes of the platform to the handler and sends what it returns.
func (c *Client) raw(payload []byte) {
	f := c.cfg.Handlers.Raw
	if f == nil {
		c.cfg.Logger.Warn("raw message without a handler", "device", c.Device())
		return
	}
	out, err := f(c.ctx, payload)
	if err != nil {
		c.cfg.Logger.Warn("raw message not handled", "device", c.Device(), "error", err)
		return
	}
	if out != nil {
		c.publish(topic.Sys(c.Device(), downRawReply), out)
	}
}
