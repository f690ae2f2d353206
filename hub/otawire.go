// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/topic"
)

// maxModules is how many modules of a device the hub keeps versions of.
const maxModules = 32

// ota serves /ota/device/... of the device d that the topic names, over the
// session s (wire facts section 13.1).
func (sh *shard) ota(b *batch, s *session, d *device, t *topic.Topic, m *iot.Message, r *result) error {
	var err error
	switch t.Path {
	case "device/inform":
		var in ota.Inform
		if in, err = ota.ParseInform(m.Payload); err == nil {
			sh.h.informed(b, d, in)
		}
	case "device/progress":
		var p ota.Progress
		if p, err = ota.ParseProgress(m.Payload); err == nil {
			sh.h.progressed(b, d, p)
		}
	case "device/request":
		var in ota.Inform
		if in, err = ota.ParseRequest(m.Payload); err == nil {
			sh.otaRequest(b, s, d, in)
		}
	}
	if err != nil {
		sh.h.log(LogEntry{
			MessageID: r.id, Device: d.id, Kind: Upstream, Operation: OpCheckPayload, Status: Failure,
			Cause: CauseNotJSON, Topic: cloneTopic(m.Topic), Detail: err.Error(),
		})
		return &hal.RejectedError{Err: err}
	}
	b.record(d, "", r.id, m, m.Payload)
	return nil
}

// otaRequest answers a device that asks, on the topic it asked on. What it asked
// never comes back to it, whatever it subscribed to (section 1 rows 18 and 19).
func (sh *shard) otaRequest(b *batch, s *session, d *device, in ota.Inform) {
	if ota.ValidVersion(in.Version) && ota.ValidModule(in.Module) {
		sh.h.informed(b, d, ota.Inform{Version: in.Version, Module: in.Module})
	}
	name := topic.OTA("request", d.id)
	if _, ok := s.subs.Load().wants(name, true); !ok {
		return
	}
	payload, err := ota.AppendUpgrade(nil, wireID(sh.h.ids.next(b.now)), sh.h.asked(b, d, in.Module))
	if err != nil {
		sh.h.logger.Error("answer is not made", "device", d.key, "error", err)
		return
	}
	b.answer([]byte(name), payload)
}

// firmwareGet answers thing/ota/firmware/get.
func (h *Hub) firmwareGet(ctx context.Context, r *alink.Request) alink.Reply {
	in, err := ota.ParseRequest(r.Payload)
	if err != nil {
		return badParams("params must be an object")
	}
	w := work(ctx)
	n := h.asked(w.b, w.s.d, in.Module)
	if n == nil {
		return alink.OK(nil)
	}
	data, err := n.AppendData(nil)
	if err != nil {
		return alink.ErrorReply(err)
	}
	return alink.OK(data)
}

// asked returns the notice for a device that asks, nil when it has none.
func (h *Hub) asked(b *batch, d *device, module string) *ota.Notice {
	if h.ota.active.Load() == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	u := h.ota
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.byProduct[d.id.Product] {
		if r.engine.Plan().Module != module {
			continue
		}
		before, ok := r.engine.Job(d.id.Name)
		if !ok || !r.engine.Ask(b.now, d.id.Name) {
			continue
		}
		if !before.State.Open() {
			if why := u.rival(b, d, r); why != "" {
				r.engine.Cancel(b.now, d.id.Name, why)
				u.keepJob(b, d, r)
				continue
			}
			u.keepJob(b, d, r)
		}
		j, _ := r.engine.Job(d.id.Name)
		n := u.notice(d, r, j)
		return &n
	}
	return nil
}

// informed takes the version a device reports.
func (h *Hub) informed(b *batch, d *device, in ota.Inform) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.rec.Versions[in.Module]
	if before != in.Version && (before != "" || len(d.rec.Versions) < maxModules) {
		versions := maps.Clone(d.rec.Versions) // the old map may be with a reader
		if versions == nil {
			versions = map[string]string{}
		}
		versions[strings.Clone(in.Module)] = strings.Clone(in.Version)
		d.rec.Versions = versions
		b.st.Put(deviceKey(prefixDevice, d.id), encodeJSON(d.rec))
		b.touch(d)
		h.ota.note(&b.st, b.now, UpdateEvent{
			Kind: UpdateVersion, Product: d.id.Product, Device: d.id.Name, Module: in.Module, From: before, Version: in.Version,
		})
		b.then(func(error) { h.otaNews.tell() })
	}
	if h.ota.active.Load() > 0 {
		h.ota.informed(b, d, in)
	}
}

// informed tells the campaigns; the device's lock is held.
func (u *updates) informed(b *batch, d *device, in ota.Inform) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.byProduct[d.id.Product] {
		plan := r.engine.Plan()
		if plan.Module != in.Module {
			continue
		}
		changed := r.engine.Report(b.now, d.id.Name, in.Version)
		if plan.Dynamic && in.Version != plan.Version && r.rec.Targets.tagged(d.rec.Tags) && r.engine.Add(b.now, d.id.Name, in.Version) {
			changed = true
		}
		if !changed {
			continue
		}
		u.keepJob(b, d, r)
		if j, ok := r.engine.Job(d.id.Name); ok {
			b.forwardUpgrade(d, r, j)
		}
		if !u.busy(d, in.Module) {
			d.queue.dropSlot(b, d, noticeSlot(in.Module))
		}
	}
}

// progressed takes the step a device reports. Steps of no update, as old devices
// send them while they fetch a configuration, change nothing.
func (h *Hub) progressed(b *batch, d *device, p ota.Progress) {
	u := h.ota
	if u.active.Load() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.byProduct[d.id.Product] {
		if r.engine.Plan().Module == p.Module && r.engine.Progress(b.now, d.id.Name, p.Step, p.Detail) {
			u.keepJob(b, d, r)
			if j, ok := r.engine.Job(d.id.Name); ok {
				b.forwardUpgrade(d, r, j)
			}
		}
	}
}

// greet tells a device that connects of the updates it has not ended and of a
// configuration that waits, with fresh links, and takes back what is no more. The device's lock is held.
func (h *Hub) greet(b *batch, d *device) {
	u := h.ota
	if u.active.Load() == 0 && len(d.queue.all) == 0 {
		return
	}
	h.freshenConfig(b, d)
	u.mu.Lock()
	defer u.mu.Unlock()
	back := false
	var told []string
	for _, r := range u.byProduct[d.id.Product] {
		back = r.engine.Back(d.id.Name) || back
		j, ok := r.engine.Job(d.id.Name)
		switch {
		case !ok || !j.State.Open():
			continue
		case j.State == ota.Installing:
			u.remindLater(d, r)
		default:
			u.queueNotice(b, d, r, j)
		}
		told = append(told, noticeSlot(r.engine.Plan().Module))
	}
	for _, slot := range d.queue.slots() {
		if strings.HasPrefix(slot, noticeSlot("")) && !slices.Contains(told, slot) {
			d.queue.dropSlot(b, d, slot)
		}
	}
	if back {
		b.then(func(error) { u.stir() })
	}
}

// installGrace is how long a device that comes back from installing has to say
// how it went, before it is told again.
const installGrace = 30 * time.Second

// remindLater tells a device again that had all of a firmware and did not say
// what became of it. Told at once, one that went back to its old firmware would
// begin anew before it reports why; mu is held.
func (u *updates) remindLater(d *device, r *rollout) {
	s := d.sess
	u.h.retain(d)
	u.h.after(installGrace, func() {
		d.post(func(b *batch) {
			b.then(func(error) { u.h.release(d) })
			d.mu.Lock()
			defer d.mu.Unlock()
			u.mu.Lock()
			defer u.mu.Unlock()
			if j, _ := r.engine.Job(d.id.Name); j.State.Open() && d.sess == s && !d.gone {
				u.queueNotice(b, d, r, j)
			}
		})
	})
}
