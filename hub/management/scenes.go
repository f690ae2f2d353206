// SPDX-License-Identifier: Apache-2.0

package management

import (
	"net/http"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/scene"
)

// sceneRoutes are served when Config.Scenes is set.
func (a *api) sceneRoutes() []route {
	return []route{
		{pattern: "GET /api/v1/scenes", serve: a.listScenes},
		{pattern: "GET /api/v1/scenes/{id}", serve: a.getScene},
		{pattern: "PUT /api/v1/scenes/{id}", serve: a.putScene},
		{pattern: "DELETE /api/v1/scenes/{id}", serve: a.deleteScene},
		{pattern: "POST /api/v1/scenes/{id}/run", serve: a.runScene},
		{pattern: "POST /api/v1/scenes/{id}/explain", serve: a.explainScene},
		{pattern: "GET /api/v1/alarms", serve: a.alarms},
	}
}

func (a *api) sceneSet() (*scene.Set, error) {
	if a.scenes == nil {
		return nil, notServed("scenes")
	}
	return a.scenes, nil
}

func (a *api) listScenes(*http.Request) (any, error) {
	set, err := a.sceneSet()
	if err != nil {
		return nil, err
	}
	return page[scene.Entry]{Items: set.Entries()}, nil
}

func (a *api) getScene(r *http.Request) (any, error) {
	set, err := a.sceneSet()
	if err != nil {
		return nil, err
	}
	return set.Entry(r.PathValue("id"))
}

func (a *api) putScene(r *http.Request) (any, error) {
	set, err := a.sceneSet()
	if err != nil {
		return nil, err
	}
	var s scene.Scene
	if err := decode(r, &s); err != nil {
		return nil, err
	}
	if id := r.PathValue("id"); s.ID == "" {
		s.ID = id
	} else if s.ID != id {
		return nil, badRequest("id %.64q is not the one in the path", s.ID)
	}
	if err := set.Put(r.Context(), s); err != nil {
		return nil, err
	}
	return set.Entry(s.ID)
}

func (a *api) deleteScene(r *http.Request) (any, error) {
	set, err := a.sceneSet()
	if err != nil {
		return nil, err
	}
	return struct{}{}, set.Remove(r.Context(), r.PathValue("id"))
}

// runScene answers with the outcome, also when actions failed: others were done.
func (a *api) runScene(r *http.Request) (any, error) {
	set, err := a.sceneSet()
	if err != nil {
		return nil, err
	}
	var in struct {
		ProductKey string `json:"productKey"`
		DeviceName string `json:"deviceName"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	o, err := set.Run(r.Context(), r.PathValue("id"), iot.DeviceID{Product: in.ProductKey, Name: in.DeviceName})
	if o.Scene == "" {
		return nil, err
	}
	return o, nil
}

func (a *api) explainScene(r *http.Request) (any, error) {
	set, err := a.sceneSet()
	if err != nil {
		return nil, err
	}
	var in struct {
		explainIn
		Time time.Time `json:"time"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	t := scene.Trigger{Time: in.Time}
	if in.Topic != "" {
		if t.Message, err = in.message(in.Time); err != nil {
			return nil, err
		}
	}
	return set.Explain(r.Context(), r.PathValue("id"), t)
}

func (a *api) alarms(r *http.Request) (any, error) {
	set, err := a.sceneSet()
	if err != nil {
		return nil, err
	}
	from, err := timeOf(r, "from")
	if err != nil {
		return nil, err
	}
	return part(r, set.Alarms(r.Context(), r.URL.Query().Get("scene"), from))
}
