// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"time"

	"github.com/openalink/iot/hal"
)

// maxParting is how long a client may be heard after its end, while what it said last
// waits at the broker because no consumer is connected.
const maxParting = time.Minute

// part ends a client whose connection the broker said has ended. What it said last
// comes over another connection than that news, and may come later: the session
// stays for Config.Linger, and until all that came is done.
func (c *client) part(cause hal.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	last := time.Now().Add(maxParting)
	c.parts = time.AfterFunc(c.s.cfg.Linger, func() {
		if time.Now().Before(last) && (!c.lane.empty() || c.s.deaf()) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if !c.ended {
				c.parts.Reset(c.s.cfg.Linger)
			}
			return
		}
		c.end(cause)
	})
}

// deaf reports whether Consume runs without a connection.
func (s *Server) deaf() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy && s.account == nil
}
