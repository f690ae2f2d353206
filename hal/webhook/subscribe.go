// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"

	"github.com/openalink/iot/hal"
)

// maxFilters bounds what a client subscribes to again after a silence.
const maxFilters = 256

// subscribe tells the session what the client is about to subscribe to at the
// broker. The platform sends nothing a device did not subscribe to. c has the turn.
func (c *client) subscribe(ctx context.Context, sess hal.Session, f hal.Filter) error {
	sub, ok := sess.(hal.Subscriber)
	if !ok {
		return errRefused
	}
	c.subscribing()
	if grants := sub.Subscribe(ctx, []hal.Filter{f}); len(grants) != 1 || grants[0] == hal.Refused {
		return errRefused
	}
	for i := range c.filters {
		if c.filters[i].Topic == f.Topic {
			if c.filters[i] != f {
				c.filters[i] = f
				c.remember()
			}
			return nil
		}
	}
	if len(c.filters) < maxFilters {
		c.filters = append(c.filters, f)
		c.remember()
	}
	return nil
}
