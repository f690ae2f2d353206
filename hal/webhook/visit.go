// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

var errTopic = errors.New("webhook: topic cannot be sent")

// visit is one session of a client, and the link to it: what is sent leaves by
// publishing on the broker.
type visit struct {
	c    *client
	sess hal.Session

	// Guarded by c.mu.
	cause  hal.Cause // why it ended
	kicked bool      // by the platform
}

// Send implements hal.Link. nil for QoS 1 means that the broker has the message,
// not that the client has. Packet id and DUP are the broker's own.
func (v *visit) Send(_ context.Context, d hal.Delivery, done func(error)) {
	if err := v.send(d.Message, done); err != nil {
		v.tell(done, err)
	}
}

// tell calls a done, which is the platform's.
func (v *visit) tell(done func(error), err error) {
	if done == nil {
		return
	}
	defer v.c.recovered("done")
	done(err)
}

func (v *visit) send(m iot.Message, done func(error)) error {
	if v.over() {
		return hal.ErrGone
	}
	if topic.CheckFilter(m.Topic) != nil || strings.ContainsAny(m.Topic, "+#") {
		return errTopic
	}
	if v.c.kind.dots && strings.ContainsAny(m.Topic, ".*") {
		return fmt.Errorf("%w: %s makes of a dot a slash", errTopic, v.c.kind.name)
	}
	if held, err := v.holdBack(m, done); held || err != nil {
		return err
	}
	return v.publish(m, done)
}

func (v *visit) over() bool {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	return v.cause != ""
}

// Close implements hal.Link: nothing of this client counts any more, and the
// broker is asked to disconnect it if it can be.
func (v *visit) Close(cause hal.Cause) {
	c := v.c
	c.mu.Lock()
	current := c.visit == v
	if v.cause == "" && !current { // while Connect runs: settle sees it
		v.cause = cause
	}
	first := current && !v.kicked
	v.kicked = true
	c.mu.Unlock()
	if !first {
		return
	}
	c.s.run(func() {
		c.end(cause)
		c.kick()
	})
}
