// SPDX-License-Identifier: Apache-2.0

package management

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
)

// updateRoutes are the operations on firmware and configurations.
func (a *api) updateRoutes() []route {
	const (
		campaign = "/api/v1/campaigns/{id}"
		product  = "/api/v1/products/{pk}/config"
		device   = "/api/v1/devices/{pk}/{dn}/config"
	)
	list := []route{
		{pattern: "GET /api/v1/packages", serve: a.listPackages},
		{pattern: "POST /api/v1/packages", serve: a.uploadPackage, large: true},
		{pattern: "GET /api/v1/packages/{id}", serve: a.getPackage},
		{pattern: "DELETE /api/v1/packages/{id}", serve: a.deletePackage},
		{pattern: "GET /api/v1/campaigns", serve: a.listCampaigns},
		{pattern: "POST /api/v1/campaigns", serve: a.createCampaign},
		{pattern: "GET " + campaign, serve: a.getCampaign},
		{pattern: "POST " + campaign + "/control", serve: a.controlCampaign},
		{pattern: "GET " + campaign + "/jobs", serve: a.listJobs},
		{pattern: "GET " + campaign + "/jobs/{dn}", serve: a.explainJob},
		{pattern: "DELETE " + campaign + "/jobs/{dn}", serve: a.cancelJob},
		{pattern: "GET /api/v1/update-events", stream: a.updateEvents},
	}
	for _, scope := range []string{product, device} {
		list = append(
			list,
			route{pattern: "GET " + scope, serve: a.getConfig},
			route{pattern: "PUT " + scope, serve: a.setConfig},
			route{pattern: "GET " + scope + "/history", serve: a.configHistory},
			route{pattern: "POST " + scope + "/rollback", serve: a.rollbackConfig},
			route{pattern: "POST " + scope + "/push", serve: a.pushConfig},
		)
	}
	return list
}

func (a *api) listPackages(r *http.Request) (any, error) {
	out := page[ota.Package]{Items: []ota.Package{}}
	for p, err := range a.hub.Packages(r.Context(), r.URL.Query().Get("productKey")) {
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, p)
	}
	return out, nil
}

// uploadPackage takes the file as the body, and what is said about it in the
// query: files are too large for JSON.
func (a *api) uploadPackage(r *http.Request) (any, error) {
	q := r.URL.Query()
	p := ota.Package{
		Product: q.Get("productKey"), Module: q.Get("module"), Version: q.Get("version"), From: q.Get("from"), Name: q.Get("name"),
		MD5: q.Get("md5"), SHA256: q.Get("sha256"), Signature: q.Get("signature"),
	}
	if text := q.Get("size"); text != "" {
		var err error
		if p.Size, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, badRequest("size %q is no number", text)
		}
	}
	return a.hub.UploadPackage(r.Context(), p, r.Body)
}

func (a *api) getPackage(r *http.Request) (any, error) {
	return a.hub.Package(r.Context(), r.PathValue("id"))
}

func (a *api) deletePackage(r *http.Request) (any, error) {
	return struct{}{}, a.hub.DeletePackage(r.Context(), r.PathValue("id"))
}

// plan is an ota.Plan with times in seconds.
type plan struct {
	Version     string          `json:"version,omitempty"`
	Module      string          `json:"module,omitempty"`
	From        []string        `json:"from,omitempty"`
	Stages      []ota.Stage     `json:"stages,omitempty"`
	Rate        ota.Rate        `json:"rate,omitzero"`
	Concurrent  int             `json:"concurrent,omitempty"`
	Thresholds  []ota.Threshold `json:"thresholds,omitempty"`
	TimeoutSec  int64           `json:"timeoutSeconds,omitempty"`
	Retries     int             `json:"retries,omitempty"`
	RetryAfterS int64           `json:"retryAfterSeconds,omitempty"`
	Overwrite   bool            `json:"overwrite,omitempty"`
	Dynamic     bool            `json:"dynamic,omitempty"`
}

// maxSeconds keeps a time from being more than a Duration holds.
const maxSeconds = int64(10 * 365 * 24 * time.Hour / time.Second)

func (p *plan) plan() ota.Plan {
	return ota.Plan{
		From: p.From, Stages: p.Stages, Rate: p.Rate, Concurrent: p.Concurrent, Thresholds: p.Thresholds,
		Timeout: seconds(p.TimeoutSec), Retries: p.Retries, RetryAfter: seconds(p.RetryAfterS), Overwrite: p.Overwrite, Dynamic: p.Dynamic,
	}
}

func seconds(n int64) time.Duration {
	return time.Duration(max(min(n, maxSeconds), -maxSeconds)) * time.Second
}

// campaign is a hub.Campaign on the wire.
type campaign struct {
	ID       string            `json:"id,omitempty"`
	Name     string            `json:"name,omitempty"`
	Product  string            `json:"productKey"`
	Packages []string          `json:"packages"`
	OverMQTT bool              `json:"overMqtt,omitempty"`
	Plan     plan              `json:"plan"`
	Devices  []string          `json:"devices,omitempty"` // in requests
	Tags     map[string]string `json:"tags,omitempty"`
	Ext      json.RawMessage   `json:"ext,omitempty"`
	Created  time.Time         `json:"created,omitzero"`
	Status   ota.Status        `json:"status,omitempty"`
	Why      string            `json:"why,omitempty"`
	Stats    *ota.Stats        `json:"stats,omitempty"`
}

func campaignOut(c hub.Campaign, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return publicCampaign(c), nil
}

func publicCampaign(c hub.Campaign) campaign {
	p := c.Plan
	return campaign{
		ID: c.ID, Name: c.Name, Product: c.Product, Packages: c.Packages, OverMQTT: c.OverMQTT, Tags: c.Targets.Tags,
		Ext: c.Ext, Created: c.Created, Status: c.Status, Why: c.Why, Stats: &c.Stats,
		Plan: plan{
			Version: p.Version, Module: p.Module, From: p.From, Stages: p.Stages, Rate: p.Rate, Concurrent: p.Concurrent,
			Thresholds: p.Thresholds, TimeoutSec: int64(p.Timeout / time.Second), Retries: p.Retries,
			RetryAfterS: int64(p.RetryAfter / time.Second), Overwrite: p.Overwrite, Dynamic: p.Dynamic,
		},
	}
}

func (a *api) listCampaigns(r *http.Request) (any, error) {
	all, err := a.hub.Campaigns(r.Context(), r.URL.Query().Get("productKey"))
	if err != nil {
		return nil, err
	}
	out := page[campaign]{Items: []campaign{}}
	for _, c := range all {
		out.Items = append(out.Items, publicCampaign(c))
	}
	return out, nil
}

func (a *api) createCampaign(r *http.Request) (any, error) {
	var in campaign
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return campaignOut(a.hub.CreateCampaign(r.Context(), hub.Campaign{
		Name: in.Name, Product: in.Product, Packages: in.Packages, OverMQTT: in.OverMQTT, Plan: in.Plan.plan(),
		Targets: hub.Targets{Devices: in.Devices, Tags: in.Tags}, Ext: in.Ext,
	}))
}

func (a *api) getCampaign(r *http.Request) (any, error) {
	return campaignOut(a.hub.Campaign(r.Context(), r.PathValue("id")))
}

func (a *api) controlCampaign(r *http.Request) (any, error) {
	var in struct {
		Action hub.CampaignAction `json:"action"`
		Why    string             `json:"why"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return campaignOut(a.hub.ControlCampaign(r.Context(), r.PathValue("id"), in.Action, in.Why))
}

// listJobs lists the devices of a campaign by name. The cursor is the last name
// a page had.
func (a *api) listJobs(r *http.Request) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	state, filter := ota.ParseState(q.Get("state"))
	if !filter && q.Get("state") != "" {
		return nil, badRequest("state %q is none of a job", q.Get("state"))
	}
	out := page[ota.Job]{Items: []ota.Job{}}
	last := ""
	for j, err := range a.hub.CampaignJobs(r.Context(), r.PathValue("id"), q.Get("cursor")) {
		if err != nil {
			return nil, err
		}
		if filter && j.State != state {
			continue
		}
		if len(out.Items) == limit {
			out.Cursor = last
			break
		}
		out.Items, last = append(out.Items, j), j.Device
	}
	return out, nil
}

type explanation struct {
	Explanation string `json:"explanation"`
}

func (a *api) explainJob(r *http.Request) (any, error) {
	text, err := a.hub.ExplainUpdate(r.Context(), r.PathValue("id"), r.PathValue("dn"))
	return explanation{text}, err
}

func (a *api) cancelJob(r *http.Request) (any, error) {
	return struct{}{}, a.hub.CancelUpdate(r.Context(), r.PathValue("id"), r.PathValue("dn"), "by hand")
}

// updateEvents lists what happened as JSON lines, and with follow=true what
// happens, until the client goes.
func (a *api) updateEvents(w http.ResponseWriter, r *http.Request) error {
	since, err := timeOf(r, "from")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	_ = flush.Flush() // a writer that cannot flush delivers late, not wrong
	enc := json.NewEncoder(w)
	for e, err := range a.hub.UpdateEvents(r.Context(), since, r.URL.Query().Get("follow") == "true") {
		if err != nil || enc.Encode(e) != nil {
			return nil
		}
		_ = flush.Flush()
	}
	return nil
}

// config is a hub.RemoteConfig with its content.
type config struct {
	hub.RemoteConfig
	Content json.RawMessage `json:"content"` // null: turned off
}

func configOut(c hub.RemoteConfig, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return config{c, c.Content}, nil
}

func (a *api) getConfig(r *http.Request) (any, error) {
	return configOut(a.hub.Config(r.Context(), r.PathValue("pk"), r.PathValue("dn")))
}

// setConfig makes the content the configuration; null turns it off.
func (a *api) setConfig(r *http.Request) (any, error) {
	var in struct {
		Content   json.RawMessage `json:"content"`
		Note      string          `json:"note"`
		IfVersion int             `json:"ifVersion"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.Content == nil {
		return nil, badRequest("content is missing; null turns the configuration off")
	}
	c := hub.RemoteConfig{Product: r.PathValue("pk"), Device: r.PathValue("dn"), Content: in.Content, Note: in.Note}
	if string(in.Content) == "null" {
		c.Content = nil
	}
	return configOut(a.hub.SetConfig(r.Context(), c, in.IfVersion))
}

func (a *api) configHistory(r *http.Request) (any, error) {
	out := page[config]{Items: []config{}}
	for c, err := range a.hub.ConfigHistory(r.Context(), r.PathValue("pk"), r.PathValue("dn")) {
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, config{c, c.Content})
	}
	return out, nil
}

func (a *api) rollbackConfig(r *http.Request) (any, error) {
	var in struct {
		Version int `json:"version"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return configOut(a.hub.RollbackConfig(r.Context(), r.PathValue("pk"), r.PathValue("dn"), in.Version))
}

type pushed struct {
	Devices int `json:"devices"`
}

func (a *api) pushConfig(r *http.Request) (any, error) {
	n, err := a.hub.PushConfig(r.Context(), r.PathValue("pk"), r.PathValue("dn"))
	return pushed{n}, err
}
