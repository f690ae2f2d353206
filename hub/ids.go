// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync/atomic"
	"time"
)

// ids makes platform message ids: positive, rising over restarts as long as the
// clock does not step back by more than the hub was down, 19 digits like those
// of the cloud. The upper bits are milliseconds, so an id tells when it was made
// and log reads can start there.
type ids struct{ last atomic.Int64 }

const idBits = 20

func (g *ids) next(now time.Time) int64 {
	floor := now.UnixMilli() << idBits
	for {
		last := g.last.Load()
		id := max(last+1, floor)
		if g.last.CompareAndSwap(last, id) {
			return id
		}
	}
}

func idTime(id int64) time.Time { return time.UnixMilli(id >> idBits) }
