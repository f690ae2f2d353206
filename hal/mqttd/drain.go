// SPDX-License-Identifier: Apache-2.0

package mqttd

import (
	"time"

	"github.com/openalink/iot/hal"
)

// drain lets what is in flight finish and then ends the connection. The read
// loop is woken to do it.
func (c *conn) drain() {
	c.mu.Lock()
	open := c.open
	c.draining = true
	c.mu.Unlock()
	if !open || c.nc.SetReadDeadline(time.Unix(1, 0)) != nil {
		c.Close(hal.CauseServerStop)
	}
}
