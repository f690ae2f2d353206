// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"time"
)

// Trim removes what the logs hold longer than Limits.LogRetention: messages, log
// entries, presence events, states of downlinks, versions of shadows and events
// of updates. It may take a while and does
// not hold up devices. Call it now and then, say once an hour.
func (h *Hub) Trim(ctx context.Context) error {
	before := time.Now().Add(-h.limits.LogRetention)
	var errs []error
	for _, stream := range []string{streamMessages, streamLogs, streamPresence, streamDownlinks, streamShadows, streamOTA} {
		errs = append(errs, h.store.Trim(ctx, stream, before))
	}
	return errors.Join(errs...)
}
