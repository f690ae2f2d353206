// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

// subscribe asks the session for grants. It waits until they are durable, so
// what is ready is flushed first.
func (c *conn) subscribe(body []byte) hal.Cause {
	id, wanted, err := mqttwire.ParseSubscribe(body)
	if err != nil {
		return hal.CauseProtocol
	}
	grants := make([]hal.Grant, len(wanted))
	for i := range grants {
		grants[i] = hal.Refused
	}
	if sub, ok := c.sess.(hal.Subscriber); ok {
		filters := make([]hal.Filter, len(wanted))
		for i, f := range wanted {
			filters[i] = hal.Filter{Topic: f.Topic, QoS: iot.QoS(f.QoS)}
		}
		c.pause()
		copy(grants, sub.Subscribe((*lifetime)(c), filters))
		c.begin()
	}
	c.reply(func(b []byte) []byte { return mqttwire.AppendSuback(b, id, grants...) })
	return ""
}

func (c *conn) unsubscribe(body []byte) hal.Cause {
	id, filters, err := mqttwire.ParseUnsubscribe(body)
	if err != nil {
		return hal.CauseProtocol
	}
	if sub, ok := c.sess.(hal.Subscriber); ok {
		c.pause()
		sub.Unsubscribe((*lifetime)(c), filters)
		c.begin()
	}
	c.reply(func(b []byte) []byte { return mqttwire.AppendUnsuback(b, id) })
	return ""
}

// pause flushes and leaves flushing to others until begin.
func (c *conn) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parsing = false
	c.flush()
}
