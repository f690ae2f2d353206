// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

// maxHeld bounds what waits for one client's subscription.
const maxHeld = 256

// hold keeps deliveries back while a subscription the broker asked about is being
// made: a broker drops what nobody subscribed to yet, and says that it took it.
type hold struct {
	until time.Time
	held  []heldDelivery
	armed bool // somebody will send what is held
}

type heldDelivery struct {
	v    *visit
	m    iot.Message
	done func(error)
}

// subscribing begins to hold; c.turn is held.
func (c *client) subscribing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold.until = time.Now().Add(c.s.cfg.Settle)
}

// holdBack takes a delivery that has to wait. The platform's topic and payload are
// copied.
func (v *visit) holdBack(m iot.Message, done func(error)) (held bool, err error) {
	c := v.c
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := time.Until(c.hold.until)
	if wait <= 0 && !c.hold.armed {
		return false, nil
	}
	if len(c.hold.held) >= maxHeld {
		return false, hal.ErrFull
	}
	m.Topic, m.Payload = clone(m.Topic), append([]byte(nil), m.Payload...)
	c.hold.held = append(c.hold.held, heldDelivery{v, m, done})
	if !c.hold.armed {
		c.hold.armed = true
		time.AfterFunc(wait, c.release)
	}
	return true, nil
}

// release sends what was held. It goes on holding while it does, for the order.
func (c *client) release() {
	for {
		c.mu.Lock()
		if wait := time.Until(c.hold.until); wait > 0 && !c.ended {
			time.AfterFunc(wait, c.release)
			c.mu.Unlock()
			return
		}
		if len(c.hold.held) == 0 {
			c.hold.held, c.hold.armed = nil, false
			c.mu.Unlock()
			return
		}
		h := c.hold.held[0]
		over := h.v.cause != ""
		c.hold.held = c.hold.held[1:]
		c.mu.Unlock()
		h.send(over)
	}
}

// send publishes what was held, unless the session is over.
func (h *heldDelivery) send(over bool) {
	defer h.v.c.recovered("deliver")
	err := hal.ErrGone
	if !over {
		err = h.v.publish(h.m, h.done)
	}
	if err != nil {
		h.v.tell(h.done, err)
	}
}
