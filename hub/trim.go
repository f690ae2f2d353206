// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"time"
)

// Trim removes what is kept longer than Limits.LogRetention (log entries, presence
// events, states of downlinks, versions of shadows, events of updates) or
// Limits.HistoryRetention (messages and service calls, which the history is read
// from). It may take a while and does not hold up devices. Call it now and then,
// say once an hour.
func (h *Hub) Trim(ctx context.Context) error {
	now := time.Now()
	var errs []error
	for _, stream := range []string{streamLogs, streamPresence, streamDownlinks, streamShadows, streamOTA} {
		errs = append(errs, h.store.Trim(ctx, stream, now.Add(-h.limits.LogRetention)))
	}
	errs = append(errs,
		h.store.Trim(ctx, streamMessages, now.Add(-max(h.limits.LogRetention, h.limits.HistoryRetention))),
		h.store.Trim(ctx, streamServices, now.Add(-h.limits.HistoryRetention)))
	return errors.Join(errs...)
}
