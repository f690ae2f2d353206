// SPDX-License-Identifier: Apache-2.0

package management

import (
	"net/http"

	"github.com/openalink/iot/rules/queue"
	"github.com/openalink/iot/rules/queue/stream"
)

// A group is about the products it subscribes to; to consume is to read them.
const (
	groupPath   = "/api/v1/groups/{id}"
	groupStream = "POST " + groupPath + "/stream"
)

// groupProducts lists the products of a group, none when there is no such group.
func (a *api) groupProducts(id string) (products []string) {
	if a.queues == nil {
		return nil
	}
	for _, g := range a.queues.Groups() {
		if g.ID != id {
			continue
		}
		for _, s := range g.Subscriptions {
			products = append(products, s.Product)
		}
	}
	return products
}

// groupRoutes are served when Config.Queues is set.
func (a *api) groupRoutes() []route {
	return []route{
		{pattern: "GET /api/v1/groups", serve: a.listGroups},
		{pattern: "POST /api/v1/groups", serve: a.createGroup},
		{pattern: "GET " + groupPath, serve: a.getGroup},
		{pattern: "DELETE " + groupPath, serve: a.deleteGroup},
		{pattern: "GET " + groupPath + "/dead-letters", serve: a.groupDeadLetters},
		{pattern: groupStream, stream: a.streamGroup, large: true},
	}
}

func (a *api) groups() (*queue.Queues, error) {
	if a.queues == nil {
		return nil, notServed("consumer groups")
	}
	return a.queues, nil
}

// groupOut is a group and where it is.
type groupOut struct {
	queue.Group
	Stats queue.Stats `json:"stats"`
}

func (a *api) listGroups(*http.Request) (any, error) {
	q, err := a.groups()
	if err != nil {
		return nil, err
	}
	return page[queue.Group]{Items: q.Groups()}, nil
}

func (a *api) createGroup(r *http.Request) (any, error) {
	q, err := a.groups()
	if err != nil {
		return nil, err
	}
	var g queue.Group
	if err := decode(r, &g); err != nil {
		return nil, err
	}
	return g, q.Create(r.Context(), g)
}

func (a *api) getGroup(r *http.Request) (any, error) {
	q, err := a.groups()
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	stats, err := q.Stats(r.Context(), id)
	if err != nil {
		return nil, err
	}
	for _, g := range q.Groups() {
		if g.ID == id {
			return groupOut{g, stats}, nil
		}
	}
	return nil, queue.ErrUnknownGroup
}

func (a *api) deleteGroup(r *http.Request) (any, error) {
	q, err := a.groups()
	if err != nil {
		return nil, err
	}
	return struct{}{}, q.Delete(r.Context(), r.PathValue("id"))
}

func (a *api) groupDeadLetters(r *http.Request) (any, error) {
	q, err := a.groups()
	if err != nil {
		return nil, err
	}
	return part(r, q.DeadLetters(r.Context(), r.PathValue("id")))
}

func (a *api) streamGroup(w http.ResponseWriter, r *http.Request) error {
	q, err := a.groups()
	if err != nil {
		return err
	}
	return stream.Serve(w, r, q, r.PathValue("id"))
}
