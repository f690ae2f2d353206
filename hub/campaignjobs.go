// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
)

// maxBatchJobs is how many jobs share a commit when they are many.
const maxBatchJobs = 2000

// addTargets adds the devices of a new campaign that nobody else knows yet.
func (h *Hub) addTargets(ctx context.Context, r *rollout, t Targets) error {
	var b store.Batch
	add := func(dev Device) error {
		if !r.engine.Add(time.Now(), dev.ID.Name, dev.Versions[r.engine.Plan().Module]) {
			return nil
		}
		b.Put(jobKey(r.rec.ID, dev.ID.Name), r.engine.AppendJob([]byte{recordFormat}, dev.ID.Name))
		if len(b.Writes) < maxBatchJobs {
			return nil
		}
		defer b.Reset()
		return store.Commit(ctx, h.store, &b)
	}
	devices := h.Devices(ctx, r.rec.Product, "")
	if t.Devices != nil {
		devices = h.listed(ctx, r.rec.Product, t.Devices)
	}
	for dev, err := range devices {
		if err != nil {
			return err
		}
		if !t.take(dev) {
			continue
		}
		if err := add(dev); err != nil {
			return err
		}
	}
	if b.IsEmpty() {
		return nil
	}
	return store.Commit(ctx, h.store, &b)
}

func (h *Hub) listed(ctx context.Context, product string, names []string) iter.Seq2[Device, error] {
	return func(yield func(Device, error) bool) {
		for _, name := range names {
			if dev, err := h.Device(ctx, iot.DeviceID{Product: product, Name: name}); !yield(dev, err) {
				return
			}
		}
	}
}

func (t *Targets) take(dev Device) bool {
	return t.tagged(dev.Tags) && (t.Select == nil || t.Select(dev))
}

func (t *Targets) tagged(tags map[string]string) bool {
	for k, v := range t.Tags {
		if tags[k] != v {
			return false
		}
	}
	return true
}

// CampaignJobs yields the devices of a campaign by name, from after the name
// given on, as they are durable. The error wraps ErrUnknownCampaign.
func (h *Hub) CampaignJobs(ctx context.Context, id, after string) iter.Seq2[ota.Job, error] {
	return func(yield func(ota.Job, error) bool) {
		c, err := h.Campaign(ctx, id)
		if err != nil {
			yield(ota.Job{}, err)
			return
		}
		from := jobKey(id, after)
		if after != "" {
			from = append(from, 0)
		}
		for e, err := range h.store.Range(ctx, from, []byte(prefixJob+id+"0")) {
			var j ota.Job
			if err == nil {
				j, err = decodeJob(id, e)
			}
			if c.Status == ota.Aborted && (j.State == ota.Pending || j.State == ota.Notified) {
				j.State = ota.Cancelled // with the campaign
			}
			if !yield(j, err) || err != nil {
				return
			}
		}
	}
}

func decodeJob(campaign string, e store.Entry) (ota.Job, error) {
	name := string(e.Key[len(prefixJob)+len(campaign)+1:])
	if len(e.Value) == 0 || e.Value[0] != recordFormat {
		return ota.Job{}, fmt.Errorf("hub: job of %.40q: %w", name, store.ErrFormat)
	}
	return ota.ParseJob(name, e.Value[1:])
}

// ExplainUpdate says in words where a device is in a campaign and what it waits
// for. Errors wrap ErrUnknownCampaign or ErrUnknownDevice.
func (h *Hub) ExplainUpdate(ctx context.Context, campaign string, device string) (string, error) {
	c, err := h.Campaign(ctx, campaign)
	if err != nil {
		return "", err
	}
	dev, err := h.Device(ctx, iot.DeviceID{Product: c.Product, Name: device})
	if err != nil {
		return "", err
	}
	h.ota.mu.Lock()
	defer h.ota.mu.Unlock()
	r := h.ota.campaigns[campaign]
	if r == nil {
		return fmt.Sprintf("the campaign is %s; its jobs say what became of the device", c.Status), nil
	}
	_, in := r.engine.Job(device)
	version := dev.Versions[r.engine.Plan().Module]
	switch {
	case in:
	case version == r.engine.Plan().Version:
		return "has version " + version + " already", nil
	case version != "" && !r.engine.Matches(version):
		return "version " + version + " is not one the campaign updates", nil
	case !r.rec.Targets.tagged(dev.Tags):
		return "lacks the tags the campaign asks for", nil
	}
	return r.engine.Explain(time.Now(), device), nil
}

// CancelUpdate takes a device out of a campaign that is not done with it. Errors
// wrap ErrUnknownCampaign, ErrUnknownDevice or ErrInvalid.
func (h *Hub) CancelUpdate(ctx context.Context, campaign, device, why string) error {
	c, err := h.Campaign(ctx, campaign)
	if err != nil {
		return err
	}
	d, err := h.acquire(ctx, iot.DeviceID{Product: c.Product, Name: device})
	if err != nil {
		return err
	}
	defer h.release(d)
	return h.do(ctx, d, func(b *batch) error {
		u := h.ota
		u.mu.Lock()
		defer u.mu.Unlock()
		r := u.campaigns[campaign]
		if r == nil || !r.engine.Cancel(b.now, device, cmp.Or(why, "by hand")) {
			return fmt.Errorf("%w: campaign %s has nothing to cancel for %s", ErrInvalid, campaign, device)
		}
		u.keepJob(b, d, r)
		if module := r.engine.Plan().Module; !u.busy(d, module) {
			d.queue.dropSlot(b, d, noticeSlot(module))
		}
		return nil
	})
}
