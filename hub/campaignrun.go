// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/topic"
)

// A job changes on the worker of its device, which also writes it: so records
// are written in the order of the changes. Only what Tick decides happens
// elsewhere, and is carried to the worker at once (tell, freshen).

// rememberedCampaigns is how many campaigns that are over stay in memory, so that
// a late report of a device still counts.
const rememberedCampaigns = 16

// keep makes r known; mu is held.
func (u *updates) keep(r *rollout) {
	u.campaigns[r.rec.ID] = r
	u.byProduct[r.rec.Product] = append(u.byProduct[r.rec.Product], r)
	u.active.Store(int32(len(u.campaigns)))
}

// forgetSome drops the oldest campaigns that are over; mu is held.
func (u *updates) forgetSome() {
	var over []*rollout
	for _, r := range u.campaigns {
		if r.over() {
			over = append(over, r)
		}
	}
	if len(over) <= rememberedCampaigns {
		return
	}
	slices.SortFunc(over, func(a, b *rollout) int { return a.rec.Created.Compare(b.rec.Created) })
	for _, r := range over[:len(over)-rememberedCampaigns] {
		delete(u.campaigns, r.rec.ID)
		list := u.byProduct[r.rec.Product]
		u.byProduct[r.rec.Product] = slices.DeleteFunc(list, func(o *rollout) bool { return o == r })
	}
	u.active.Store(int32(len(u.campaigns)))
}

// loadCampaigns reads those that are not over.
func (u *updates) loadCampaigns(ctx context.Context) error {
	var all []*rollout
	for e, err := range u.h.store.Range(ctx, []byte(prefixCampaign), []byte("ota/c0")) {
		if err != nil {
			return err
		}
		var rec campaignRecord
		if err := decodeJSON(e.Value, &rec); err != nil {
			return fmt.Errorf("hub: campaign record %q: %w", e.Key, err)
		}
		if rec.Status == ota.Completed || rec.Status == ota.Aborted && rec.Stats.Total > 0 {
			continue // over: only then are numbers stored
		}
		engine, err := ota.Restore(rec.State)
		if err != nil {
			return fmt.Errorf("hub: campaign record %q: %w", e.Key, err)
		}
		all = append(all, &rollout{rec: rec.Campaign, engine: engine, saved: e.Value, told: jobStatus(rec.Status)})
	}
	slices.SortFunc(all, func(a, b *rollout) int { return a.rec.Created.Compare(b.rec.Created) })
	for _, r := range all {
		if err := u.loadJobs(ctx, r); err != nil {
			return err
		}
		u.keep(r)
	}
	return nil
}

func (u *updates) loadJobs(ctx context.Context, r *rollout) error {
	for e, err := range u.h.store.Range(ctx, jobKey(r.rec.ID, ""), []byte(prefixJob+r.rec.ID+"0")) {
		var j ota.Job
		if err == nil {
			j, err = decodeJob(r.rec.ID, e)
		}
		if err == nil {
			err = r.engine.RestoreJob(j)
		}
		if err != nil {
			return fmt.Errorf("hub: campaign %s: %w", r.rec.ID, err)
		}
	}
	r.engine.Settle(time.Now())
	var err error
	if r.packages, err = u.h.campaignPackages(ctx, &r.rec); err != nil {
		return fmt.Errorf("hub: campaign %s: %w", r.rec.ID, err)
	}
	return nil
}

// save submits the record of a campaign if it changed; mu is held, so that
// records are written in order. The channel gets the outcome.
func (u *updates) save(ctx context.Context, r *rollout) <-chan error {
	result := make(chan error, 1)
	now := r.record()
	if string(now) == string(r.saved) {
		result <- nil
		return result
	}
	var b store.Batch
	b.Put(campaignKey(r.rec.ID), now)
	u.note(&b, time.Now(), UpdateEvent{Kind: UpdateCampaign, Product: r.rec.Product, Campaign: r.rec.ID, Status: r.public().Status, Detail: r.public().Why})
	u.h.forwardStatus(&b, r, time.Now())
	r.saved = now
	if err := u.h.store.Submit(context.WithoutCancel(ctx), &b, func(err error) {
		result <- err
		u.h.otaNews.tell()
		u.h.news.tell()
	}); err != nil {
		result <- err
	}
	return result
}

// tick lets time pass for all campaigns and carries out what they decide. It
// returns when it is due again.
func (u *updates) tick(now time.Time) (next time.Time) {
	if u.active.Load() == 0 {
		return time.Time{}
	}
	type work struct {
		r             *rollout
		told, changed []string
	}
	var all []work
	var saves []<-chan error
	u.mu.Lock()
	for _, r := range u.campaigns {
		w := work{r: r}
		at := r.engine.Tick(now, func(s string) { w.told = append(w.told, s) }, func(s string) { w.changed = append(w.changed, s) })
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
		saves = append(saves, u.save(u.h.ctx, r))
		all = append(all, w)
	}
	u.forgetSome()
	u.mu.Unlock()
	for _, s := range saves {
		if err := <-s; err != nil {
			u.h.logger.Error("campaign is not stored", "error", err)
		}
	}
	for _, w := range all {
		u.tellAll(w.r, w.told)
		for _, name := range w.changed {
			u.freshen(iot.DeviceID{Product: w.r.rec.Product, Name: name}, w.r)
		}
	}
	return next
}

// tellChunk is how many devices are told before their commits are waited for.
const tellChunk = 512

// tellAll tells devices. Those that are not connected wait until they are, and
// cost nothing but that.
func (u *updates) tellAll(r *rollout, names []string) {
	again := false
	for chunk := range slices.Chunk(names, tellChunk) {
		var wait sync.WaitGroup
		for _, name := range chunk {
			id := iot.DeviceID{Product: r.rec.Product, Name: name}
			if !u.h.Online(id) {
				again = u.away(r, id) || again
				continue
			}
			d, err := u.h.acquire(u.h.ctx, id)
			if err != nil {
				u.drop(r, name, err)
				continue
			}
			wait.Add(1)
			d.post(func(b *batch) {
				b.then(func(error) {
					u.h.release(d)
					wait.Done()
				})
				d.mu.Lock()
				defer d.mu.Unlock()
				u.tell(b, d, r)
			})
		}
		wait.Wait()
	}
	if len(names) > 0 || again {
		u.stir() // away devices made room for others
	}
}

// away puts a device that is not connected aside. It reports whether the device
// came meanwhile.
func (u *updates) away(r *rollout, id iot.DeviceID) bool {
	u.mu.Lock()
	r.engine.Away(time.Now(), id.Name)
	u.mu.Unlock()
	if !u.h.Online(id) {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return r.engine.Back(id.Name)
}

// drop takes a device out that the registry does not know any more.
func (u *updates) drop(r *rollout, name string, why error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r.engine.Cancel(time.Now(), name, why.Error())
}

// deleted takes a device out that was deleted: nobody would report for it. Its
// worker writes no more, so the record is written here.
func (u *updates) deleted(id iot.DeviceID) {
	if u.active.Load() == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	var b store.Batch
	for _, r := range u.byProduct[id.Product] {
		if r.engine.Cancel(time.Now(), id.Name, "device deleted") {
			b.Put(jobKey(r.rec.ID, id.Name), r.engine.AppendJob([]byte{recordFormat}, id.Name))
		}
	}
	if b.IsEmpty() {
		return
	}
	if err := u.h.store.Submit(u.h.ctx, &b, func(error) { u.stir() }); err != nil {
		u.h.logger.Error("job of a deleted device is not stored", "device", id.String(), "error", err)
	}
}

// tell queues the notice of an update for a connected device. The worker calls
// it with the device's lock held.
func (u *updates) tell(b *batch, d *device, r *rollout) {
	u.mu.Lock()
	defer u.mu.Unlock()
	j, ok := r.engine.Job(d.id.Name)
	if !ok || !j.State.Open() || d.gone {
		return
	}
	if d.sess == nil {
		r.engine.Away(b.now, d.id.Name)
		return
	}
	if why := u.rival(b, d, r); why != "" {
		r.engine.Cancel(b.now, d.id.Name, why)
	} else {
		u.queueNotice(b, d, r, j)
	}
	u.keepJob(b, d, r)
}

// rival settles who updates a device when several campaigns would; mu is held.
// The result is why r must not.
func (u *updates) rival(b *batch, d *device, r *rollout) string {
	newer := false
	for _, other := range u.byProduct[d.id.Product] {
		if other == r {
			newer = true
			continue
		}
		j, ok := other.engine.Job(d.id.Name)
		if !ok || j.State.Done() || other.engine.Plan().Module != r.engine.Plan().Module || newer && !j.State.Open() {
			continue
		}
		if newer || !r.engine.Plan().Overwrite {
			return "campaign " + other.rec.ID + " has the device"
		}
		other.engine.Cancel(b.now, d.id.Name, "taken over by campaign "+r.rec.ID)
		u.keepJob(b, d, other)
	}
	return ""
}

// keepJob writes a job with the batch of its device; mu is held.
func (u *updates) keepJob(b *batch, d *device, r *rollout) {
	j, ok := r.engine.Job(d.id.Name)
	if !ok {
		return
	}
	b.st.Put(jobKey(r.rec.ID, d.id.Name), r.engine.AppendJob([]byte{recordFormat}, d.id.Name))
	u.note(&b.st, b.now, UpdateEvent{
		Kind: UpdateJob, Product: d.id.Product, Device: d.id.Name, Campaign: r.rec.ID, Module: r.engine.Plan().Module,
		State: j.State.String(), Percent: j.Percent, Code: j.Code, From: j.From, Version: r.engine.Plan().Version, Detail: j.Detail,
	})
	b.then(func(error) {
		u.h.otaNews.tell()
		u.stir()
	})
}

func noticeSlot(module string) string { return "ota/" + module }

// queueNotice has a device told, with a fresh link; mu is held.
func (u *updates) queueNotice(b *batch, d *device, r *rollout, j ota.Job) {
	n := u.notice(d, r, j)
	payload, err := ota.AppendUpgrade(nil, wireID(u.h.ids.next(b.now)), &n)
	if err != nil {
		u.h.logger.Error("notice is not made", "campaign", r.rec.ID, "error", err)
		return
	}
	u.h.latest(b, d, noticeSlot(n.Module), topic.OTA("upgrade", d.id), "", payload, j.Told.Add(r.engine.Plan().Timeout))
}

// wireID is a message id as a number that old devices can read.
func wireID(id int64) uint32 { return uint32(id) & (1<<31 - 1) }

// notice describes what a device is to fetch: a difference at the first attempt
// if there is one for its version, else the whole.
func (u *updates) notice(d *device, r *rollout, j ota.Job) ota.Notice {
	p := r.packages[0]
	version := d.rec.Versions[p.Module]
	for _, delta := range r.packages[1:] {
		if j.Attempts <= 1 && delta.From == version {
			p = delta
		}
	}
	n := ota.Notice{
		Version: p.Version, Module: p.Module, Size: p.Size, MD5: p.MD5, SHA256: p.SHA256,
		Signature: p.Signature, Diff: p.From != "", From: p.From, Ext: r.rec.Ext,
	}
	if u.cfg.SHA256 {
		n.SignMethod = ota.SignSHA256
	}
	if r.rec.OverMQTT {
		n.Stream, n.File = p.Stream, 1
	} else {
		n.URL = u.links.Sign(p.ID, d.id, time.Now())
	}
	return n
}

// freshen writes a job that changed without a message of its device, and takes
// back the notice of one that ended.
func (u *updates) freshen(id iot.DeviceID, r *rollout) {
	u.mu.Lock()
	status, _ := r.engine.Status()
	j, _ := r.engine.Job(id.Name)
	u.mu.Unlock()
	// With the campaign aborted those who did not begin are cancelled, whatever
	// their records say. Devices not in memory find out when they connect.
	skip := status == ota.Aborted && j.State == ota.Cancelled
	d := u.h.peek(id)
	if d == nil {
		if skip {
			return
		}
		var err error
		if d, err = u.h.acquire(u.h.ctx, id); err != nil {
			return // deleted; the engine goes on without a record
		}
	}
	d.post(func(b *batch) {
		b.then(func(error) { u.h.release(d) })
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.gone {
			return
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.keepJob(b, d, r)
		j, _ := r.engine.Job(id.Name)
		if j.State != ota.Succeeded { // that was told with the message that said so
			b.forwardUpgrade(d, r, j)
		}
		if !j.State.Open() && !u.busy(d, r.engine.Plan().Module) {
			d.queue.dropSlot(b, d, noticeSlot(r.engine.Plan().Module))
		}
	})
}

// busy reports whether a device is being updated; mu is held.
func (u *updates) busy(d *device, module string) bool {
	return slices.ContainsFunc(u.byProduct[d.id.Product], func(r *rollout) bool {
		j, ok := r.engine.Job(d.id.Name)
		return ok && j.State.Open() && r.engine.Plan().Module == module
	})
}
