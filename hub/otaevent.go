// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"iter"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
)

// streamOTA holds what happened to updates and configurations.
const streamOTA = "ota"

// UpdateKind is what an UpdateEvent is about.
type UpdateKind string

// The kinds.
const (
	UpdateVersion  UpdateKind = "version"  // a device reported another version
	UpdateJob      UpdateKind = "job"      // a device of a campaign changed its state
	UpdateCampaign UpdateKind = "campaign" // a campaign changed its status
	UpdateConfig   UpdateKind = "config"   // a configuration was set
)

// UpdateEvent is one thing that happened.
type UpdateEvent struct {
	Kind     UpdateKind `json:"kind"`
	Time     time.Time  `json:"time"`
	Product  string     `json:"product"`
	Device   string     `json:"device,omitempty"` // DeviceName
	Campaign string     `json:"campaign,omitempty"`
	Status   ota.Status `json:"status,omitempty"` // of the campaign
	Module   string     `json:"module,omitempty"`
	From     string     `json:"from,omitempty"`    // version before
	Version  string     `json:"version,omitempty"` // version to be, or that is
	State    string     `json:"state,omitempty"`   // of the job
	Percent  int        `json:"percent,omitempty"`
	Code     ota.Step   `json:"code,omitempty"`
	Config   string     `json:"config,omitempty"` // id of the configuration
	Detail   string     `json:"detail,omitempty"`
}

// note appends an event.
func (u *updates) note(b *store.Batch, now time.Time, e UpdateEvent) {
	e.Time = now.UTC().Truncate(time.Millisecond)
	key := e.Product
	if e.Device != "" {
		key = iot.DeviceID{Product: e.Product, Name: e.Device}.String()
	}
	b.Append(streamOTA, key, now, encodeJSON(e))
}

// UpdateEvents yields what happened to updates and configurations since a time,
// oldest first, as far as Limits.LogRetention keeps it. With follow it goes on
// with what happens, until ctx or the hub ends. A slow reader gets every event,
// later.
func (h *Hub) UpdateEvents(ctx context.Context, since time.Time, follow bool) iter.Seq2[UpdateEvent, error] {
	return func(yield func(UpdateEvent, error) bool) {
		next := uint64(0)
		for ctx.Err() == nil {
			news := h.otaNews.wait(follow)
			for rec, err := range h.store.Read(ctx, streamOTA, next) {
				var e UpdateEvent
				if err == nil {
					err = decodeJSON(rec.Value, &e)
				}
				if err != nil {
					yield(e, err)
					return
				}
				next = rec.Offset + 1
				if rec.Time.Before(since) {
					continue
				}
				if !yield(e, nil) {
					return
				}
			}
			if !follow {
				return
			}
			select {
			case <-news:
			case <-h.closing:
				return
			case <-ctx.Done():
			}
		}
	}
}
