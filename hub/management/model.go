// SPDX-License-Identifier: Apache-2.0

package management

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/tsl"
)

// model answers with the TSL document of a product.
func (a *api) model(r *http.Request) (any, error) {
	p, err := a.hub.Product(r.Context(), r.PathValue("pk"))
	if err != nil {
		return nil, err
	}
	if p.Model == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoModel", Message: "the product has no thing model"}
	}
	return p.Model, nil
}

// evolution is what a new model means for those who know the old one.
type evolution struct {
	Effect  tsl.Effect  `json:"effect"`
	Changes tsl.Changes `json:"changes"`
	Applied bool        `json:"applied"`
}

// setModel replaces the TSL document of a product (or an array of documents: the
// product's own and its function blocks), or with dry=true only tells what
// that would mean. With accept, "compatible" or "update device", a change that is
// more than that is not applied.
func (a *api) setModel(r *http.Request) (any, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m, err := tsl.ParseAll(raw)
	if err != nil {
		return nil, modelError(err)
	}
	most := tsl.Breaking
	switch accept := r.URL.Query().Get("accept"); accept {
	case "", tsl.Breaking.String():
	case tsl.Compatible.String():
		most = tsl.Compatible
	case tsl.UpdateDevice.String():
		most = tsl.UpdateDevice
	default:
		return nil, badRequest("accept is %q; compatible, update device and breaking are known", accept)
	}
	dry := r.URL.Query().Get("dry") == "true"
	var out evolution
	_, err = a.hub.UpdateProduct(r.Context(), r.PathValue("pk"), func(p *hub.Product) {
		out.Changes = tsl.Evolve(p.Model, m)
		if out.Changes == nil {
			out.Changes = tsl.Changes{}
		}
		out.Effect = out.Changes.Effect()
		if out.Applied = !dry && out.Effect <= most; out.Applied {
			p.Model = m
		}
	})
	return out, err
}

// deleteModel leaves a product without a thing model.
func (a *api) deleteModel(r *http.Request) (any, error) {
	_, err := a.hub.UpdateProduct(r.Context(), r.PathValue("pk"), func(p *hub.Product) { p.Model = nil })
	return struct{}{}, err
}

// modelError tells every problem of a document.
func modelError(err error) error {
	var problems *tsl.ModelError
	if !errors.As(err, &problems) {
		return badRequest("%v", err)
	}
	var lines []string
	for _, p := range problems.Problems {
		lines = append(lines, p.String())
	}
	return &Error{Status: http.StatusBadRequest, Code: "InvalidModel", Message: strings.Join(lines, "\n")}
}

// desired lists what is desired of a device.
func (a *api) desired(r *http.Request) (any, error) {
	return a.hub.Desired(r.Context(), deviceOf(r), identifiers(r)...)
}

// setDesired wishes values; versions, if any, must be the present ones.
func (a *api) setDesired(r *http.Request) (any, error) {
	var in struct {
		Desired  json.RawMessage  `json:"desired"`
		Versions map[string]int64 `json:"versions"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.Desired == nil {
		return nil, badRequest("desired is missing")
	}
	if _, err := a.hub.SetDesired(r.Context(), deviceOf(r), in.Desired, in.Versions); err != nil {
		return nil, err
	}
	return a.hub.Desired(r.Context(), deviceOf(r))
}

// clearDesired withdraws the wishes named, all without names.
func (a *api) clearDesired(r *http.Request) (any, error) {
	all, err := a.hub.Desired(r.Context(), deviceOf(r), identifiers(r)...)
	if err != nil {
		return nil, err
	}
	versions := make(map[string]int64, len(all))
	for name, p := range all {
		versions[name] = p.Version
	}
	return struct{}{}, a.hub.ClearDesired(r.Context(), deviceOf(r), versions)
}

// identifiers reads a list of names.
func identifiers(r *http.Request) []string {
	if list := r.URL.Query().Get("identifiers"); list != "" {
		return strings.Split(list, ",")
	}
	return nil
}

// history lists samples of a device, in the order they arrived.
func (a *api) history(r *http.Request) (any, error) {
	q, err := historyQuery(r)
	if err != nil {
		return nil, err
	}
	if every := r.URL.Query().Get("interval"); every != "" {
		d, err := time.ParseDuration(every)
		if err != nil {
			return nil, badRequest("interval %q: such as 60s, 15m or 24h", every)
		}
		list, err := a.hub.Downsample(r.Context(), q, d)
		return struct {
			Intervals []hub.Interval `json:"intervals"`
		}{list}, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	out := page[hub.Sample]{Items: []hub.Sample{}}
	last := ""
	for s, err := range a.hub.History(r.Context(), q) {
		if err != nil {
			return nil, err
		}
		if len(out.Items) == limit {
			out.Cursor = last
			break
		}
		out.Items, last = append(out.Items, s), s.Cursor
	}
	return out, nil
}

func historyQuery(r *http.Request) (hub.HistoryQuery, error) {
	v := r.URL.Query()
	q := hub.HistoryQuery{
		Device: deviceOf(r), Kind: hub.HistoryKind(v.Get("kind")), Identifiers: identifiers(r), After: v.Get("cursor"),
	}
	var err error
	if q.Since, err = timeOf(r, "from"); err == nil {
		q.Until, err = timeOf(r, "to")
	}
	return q, err
}

// jobs lists the jobs of a device.
func (a *api) jobs(r *http.Request) (any, error) {
	list, err := a.hub.Jobs(r.Context(), deviceOf(r))
	if list == nil {
		list = []hub.Job{}
	}
	return page[hub.Job]{Items: list}, err
}

// createJob gives a device a job.
func (a *api) createJob(r *http.Request) (any, error) {
	var in struct {
		Document json.RawMessage `json:"jobDocument"`
		File     *hub.JobFile    `json:"jobFile"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return a.hub.CreateJob(r.Context(), deviceOf(r), in.Document, in.File)
}

// cancelTask takes back a job of a device.
func (a *api) cancelTask(r *http.Request) (any, error) {
	return a.hub.CancelJob(r.Context(), deviceOf(r), r.PathValue("task"))
}

// logUpload says whether a device is to upload its log.
func (a *api) logUpload(r *http.Request) (any, error) {
	var in struct {
		Upload bool `json:"upload"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return struct{}{}, a.hub.SetLogUpload(r.Context(), deviceOf(r), in.Upload)
}
