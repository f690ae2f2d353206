// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
)

// Campaign is the rollout of a firmware to devices of a product.
type Campaign struct {
	ID      string `json:"id"` // chosen by the hub
	Name    string `json:"name,omitempty"`
	Product string `json:"product"`
	// Packages are one whole package and any number of differences, all of one
	// module and version. A device whose version a difference begins at gets that
	// first, and the whole one at the next attempt: with differences there is one
	// retry at least.
	Packages []string `json:"packages"`
	// OverMQTT offers the file over MQTT instead of HTTP (wire facts section 13.2).
	OverMQTT bool `json:"overMqtt,omitempty"`
	// Plan says how. Version and Module are those of the packages.
	Plan    ota.Plan `json:"plan"`
	Targets Targets  `json:"targets,omitzero"`
	// Ext goes to the devices as extData, an object.
	Ext     json.RawMessage `json:"ext,omitempty"`
	Created time.Time       `json:"created"`

	// What became of it, set by the hub.
	Status ota.Status `json:"status"`
	Why    string     `json:"why,omitempty"` // it is paused or aborted
	Stats  ota.Stats  `json:"stats"`
}

// Targets say which devices a campaign updates. The zero value is all of the
// product whose version the plan takes.
type Targets struct {
	// Devices is a list of names. It is not kept: the jobs are.
	Devices []string `json:"devices,omitempty"`
	// Tags must be on a device, those of the device or of the application.
	Tags map[string]string `json:"tags,omitempty"`
	// Select is asked for each device when the campaign is made. It is not kept, so
	// that a dynamic campaign adds by tags and version alone.
	Select func(Device) bool `json:"-"`
}

// campaignRecord is a Campaign as stored.
type campaignRecord struct {
	Campaign
	State json.RawMessage `json:"state"` // of the engine, without jobs
}

// rollout is a Campaign in memory. updates.mu guards it.
type rollout struct {
	rec      Campaign
	engine   *ota.Campaign
	packages []ota.Package
	saved    []byte // record as it was submitted last
	told     string // status as it was forwarded last
}

func (r *rollout) over() bool {
	s, _ := r.engine.Status()
	return s == ota.Completed || s == ota.Aborted && r.engine.Open() == 0
}

// public renders the campaign as it is now; updates.mu is held.
func (r *rollout) public() Campaign {
	c := r.rec
	c.Status, c.Why = r.engine.Status()
	c.Stats, c.Plan = r.engine.Stats(), r.engine.Plan()
	c.Packages = slices.Clone(c.Packages)
	return c
}

// record renders what is stored. Numbers that change with every device are left
// out until the campaign is over: they are counted when it is loaded.
func (r *rollout) record() []byte {
	state, err := r.engine.MarshalJSON()
	if err != nil {
		panic("hub: campaign does not encode: " + err.Error()) // only our own types
	}
	c := r.public()
	if !r.over() {
		c.Stats = ota.Stats{}
	}
	return encodeJSON(campaignRecord{Campaign: c, State: state})
}

func campaignKey(id string) []byte { return []byte(prefixCampaign + id) }

func jobKey(campaign, device string) []byte { return []byte(prefixJob + campaign + "/" + device) }

// CreateCampaign makes a campaign of c, which is not started: ControlCampaign
// does that. Errors wrap ErrUnknownProduct, ErrUnknownPackage, ErrUnknownDevice
// or ErrInvalid.
func (h *Hub) CreateCampaign(ctx context.Context, c Campaign) (Campaign, error) {
	r, err := h.newRollout(ctx, c)
	if err != nil {
		return Campaign{}, err
	}
	if err := h.addTargets(ctx, r, c.Targets); err != nil {
		return Campaign{}, err
	}
	h.ota.mu.Lock()
	defer h.ota.mu.Unlock()
	b := store.Batch{}
	b.Check(campaignKey(r.rec.ID), 0)
	r.saved = r.record()
	b.Put(campaignKey(r.rec.ID), r.saved)
	h.forwardStatus(&b, r, time.Now())
	if err := store.Commit(ctx, h.store, &b); err != nil {
		return Campaign{}, err
	}
	h.news.tell()
	h.ota.keep(r)
	return r.public(), nil
}

// newRollout checks a campaign and its packages.
func (h *Hub) newRollout(ctx context.Context, c Campaign) (*rollout, error) {
	if _, err := h.product(c.Product); err != nil {
		return nil, err
	}
	packages, err := h.campaignPackages(ctx, &c)
	if err != nil {
		return nil, err
	}
	if c.Ext != nil && !json.Valid(c.Ext) || c.Ext != nil && bytes.TrimSpace(c.Ext)[0] != '{' {
		return nil, fmt.Errorf("%w: ext is no JSON object", ErrInvalid)
	}
	if h.ota.links == nil && !c.OverMQTT {
		return nil, fmt.Errorf("%w: without Config.OTA.BaseURL files go over MQTT only", ErrInvalid)
	}
	c.Plan.Version, c.Plan.Module = packages[0].Version, packages[0].Module
	if len(packages) > 1 {
		c.Plan.Retries = max(c.Plan.Retries, 1)
	}
	engine, err := ota.New(c.Plan)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c.ID, c.Created = strings.ToLower(rand.Text()), time.Now().UTC()
	c.Targets.Devices, c.Targets.Select = nil, nil
	return &rollout{rec: c, engine: engine, packages: packages}, nil
}

// campaignPackages reads the packages of a campaign, the whole one first.
func (h *Hub) campaignPackages(ctx context.Context, c *Campaign) ([]ota.Package, error) {
	var list []ota.Package
	for _, id := range c.Packages {
		p, err := h.Package(ctx, id)
		if err != nil {
			return nil, err
		}
		if p.Product != c.Product || len(list) > 0 && (p.Version != list[0].Version || p.Module != list[0].Module) {
			return nil, fmt.Errorf("%w: package %s is of another product, module or version", ErrInvalid, id)
		}
		if c.OverMQTT && p.Size > ota.MaxMQTTFile {
			return nil, fmt.Errorf("%w: package %s is too large for MQTT, %d bytes", ErrInvalid, id, p.Size)
		}
		list = append(list, p)
	}
	whole := func(p ota.Package) bool { return p.From == "" }
	i := slices.IndexFunc(list, whole)
	if i < 0 || slices.ContainsFunc(list[i+1:], whole) {
		return nil, fmt.Errorf("%w: a campaign needs one whole package", ErrInvalid)
	}
	list[0], list[i] = list[i], list[0]
	return list, nil
}

// CampaignAction is what ControlCampaign does.
type CampaignAction string

// The actions. Each is refused with ErrInvalid where it makes no sense.
const (
	StartCampaign   CampaignAction = "start"
	PauseCampaign   CampaignAction = "pause"
	ResumeCampaign  CampaignAction = "resume"
	ApproveCampaign CampaignAction = "approve" // of the next stage
	AbortCampaign   CampaignAction = "abort"
	FinishCampaign  CampaignAction = "finish" // of a dynamic one: nobody is added any more
)

// ControlCampaign starts, pauses, resumes, approves, aborts or finishes a
// campaign, and returns it as it then is, durably. why is kept for people.
// Errors wrap ErrUnknownCampaign or ErrInvalid.
func (h *Hub) ControlCampaign(ctx context.Context, id string, action CampaignAction, why string) (Campaign, error) {
	u := h.ota
	u.mu.Lock()
	r := u.campaigns[id]
	if r == nil {
		u.mu.Unlock()
		if _, err := h.Campaign(ctx, id); err != nil {
			return Campaign{}, err
		}
		return Campaign{}, fmt.Errorf("%w: campaign %s is over", ErrInvalid, id)
	}
	cancelled, err := r.control(action, why, time.Now())
	if err != nil {
		u.mu.Unlock()
		return Campaign{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	result := u.save(ctx, r)
	c := r.public()
	u.mu.Unlock()
	if err := <-result; err != nil {
		return Campaign{}, err
	}
	u.stir()
	for _, name := range cancelled {
		u.freshen(iot.DeviceID{Product: c.Product, Name: name}, r)
	}
	return c, nil
}

func (r *rollout) control(action CampaignAction, why string, now time.Time) (cancelled []string, err error) {
	switch action {
	case StartCampaign:
		err = r.engine.Start(now)
	case PauseCampaign:
		err = r.engine.Pause(cmp.Or(why, "by hand"))
	case ResumeCampaign:
		err = r.engine.Resume(now)
	case ApproveCampaign:
		err = r.engine.Approve(now)
	case AbortCampaign:
		err = r.engine.Abort(now, cmp.Or(why, "by hand"), func(name string) { cancelled = append(cancelled, name) })
	case FinishCampaign:
		r.engine.Finish(now)
	default:
		err = fmt.Errorf("unknown action %.32q", action)
	}
	return cancelled, err
}

// Campaign returns a campaign. The error wraps ErrUnknownCampaign.
func (h *Hub) Campaign(ctx context.Context, id string) (Campaign, error) {
	h.ota.mu.Lock()
	if r := h.ota.campaigns[id]; r != nil {
		defer h.ota.mu.Unlock()
		return r.public(), nil
	}
	h.ota.mu.Unlock()
	e, err := h.store.Get(ctx, campaignKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return Campaign{}, fmt.Errorf("%w %.64q", ErrUnknownCampaign, id)
	}
	if err != nil {
		return Campaign{}, err
	}
	var rec campaignRecord
	err = decodeJSON(e.Value, &rec)
	return rec.Campaign, err
}

// Campaigns returns all campaigns, or those of a product, oldest first.
func (h *Hub) Campaigns(ctx context.Context, product string) ([]Campaign, error) {
	var list []Campaign
	for e, err := range h.store.Range(ctx, []byte(prefixCampaign), []byte("ota/c0")) {
		if err != nil {
			return nil, err
		}
		c, err := h.Campaign(ctx, string(e.Key[len(prefixCampaign):]))
		if err != nil {
			return nil, err
		}
		if product == "" || c.Product == product {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Campaign) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID)) })
	return list, nil
}
