// SPDX-License-Identifier: Apache-2.0

package management

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/rules/define"
	"github.com/openalink/iot/rules/queue"
	"github.com/openalink/iot/rules/scene"
)

// Config says who may use the management API.
type Config struct {
	// Keys are the API keys that open it, sent as "Authorization: Bearer KEY". At
	// least one is required.
	Keys []auth.Secret
	// Rules, when set, are managed below /api/v1/rules.
	Rules *define.Set
	// Scenes, when set, are managed below /api/v1/scenes.
	Scenes *scene.Set
	// Queues, when set, are managed and consumed below /api/v1/groups.
	Queues *queue.Queues
	// Logger hears of answers that could not be written; nil discards.
	Logger *slog.Logger
}

// New returns the management API of h, to be mounted at the root of a server: its
// paths begin with /api/v1/. It fails without a key.
func New(h *hub.Hub, cfg Config) (http.Handler, error) {
	if len(cfg.Keys) == 0 {
		return nil, errors.New("management: no API key given")
	}
	for _, k := range cfg.Keys {
		if k.IsZero() {
			return nil, errors.New("management: an API key is empty")
		}
	}
	a := &api{hub: h, keys: cfg.Keys, logger: cfg.Logger, limits: newLimiter(h.Limits()), decoy: auth.NewSecret(rand.Text()), rules: cfg.Rules, scenes: cfg.Scenes, queues: cfg.Queues}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	for _, r := range a.routes() {
		mux.Handle(r.pattern, a.guard(r))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, &Error{Status: http.StatusNotFound, Code: "NotFound", Message: "no such path: " + r.URL.Path})
	})
	return mux, nil
}

type api struct {
	hub    *hub.Hub
	keys   []auth.Secret
	logger *slog.Logger
	limits *limiter
	nonces nonces
	decoy  auth.Secret   // verified against for unknown applications
	rules  *define.Set   // nil without
	scenes *scene.Set    // nil without
	queues *queue.Queues // nil without
}

// route is one operation of the API.
type route struct {
	pattern string
	class   class // which rate limit it counts against
	serve   func(r *http.Request) (any, error)
	stream  func(w http.ResponseWriter, r *http.Request) error // instead of serve
	large   bool                                               // the body has bounds of its own
}

func (a *api) routes() []route {
	const device = "/api/v1/devices/{pk}/{dn}"
	return slices.Concat(a.updateRoutes(), a.ruleRoutes(), a.sceneRoutes(), a.groupRoutes(), a.identityRoutes(), []route{
		{pattern: "GET /api/v1/openapi.json", stream: serveOpenAPI},
		{pattern: "GET /api/v1/products", serve: a.listProducts},
		{pattern: "POST /api/v1/products", serve: a.createProduct},
		{pattern: "GET /api/v1/products/{pk}", serve: a.getProduct},
		{pattern: "PATCH /api/v1/products/{pk}", serve: a.updateProduct},
		{pattern: "DELETE /api/v1/products/{pk}", serve: a.deleteProduct},
		{pattern: "GET /api/v1/products/{pk}/model", serve: a.model},
		{pattern: "PUT /api/v1/products/{pk}/model", serve: a.setModel},
		{pattern: "DELETE /api/v1/products/{pk}/model", serve: a.deleteModel},
		{pattern: "GET /api/v1/devices", serve: a.listDevices},
		{pattern: "POST /api/v1/devices", serve: a.createDevices},
		{pattern: "GET " + device, serve: a.getDevice},
		{pattern: "DELETE " + device, serve: a.deleteDevice},
		{pattern: "POST " + device + "/enable", serve: a.enable},
		{pattern: "POST " + device + "/disable", serve: a.disable},
		{pattern: "POST " + device + "/secret", serve: a.rotateSecret},
		{pattern: "POST " + device + "/tags", serve: a.setTags},
		{pattern: "GET " + device + "/properties", serve: a.properties},
		{pattern: "POST " + device + "/properties", serve: a.setProperties},
		{pattern: "POST " + device + "/services/{service}", serve: a.invokeService},
		{pattern: "POST " + device + "/rrpc", class: classRRPC, serve: a.rrpc},
		{pattern: "GET " + device + "/shadow", stream: a.shadow},
		{pattern: "PUT " + device + "/shadow", stream: a.replaceShadow},
		{pattern: "PATCH " + device + "/shadow", stream: a.patchShadow},
		{pattern: "GET " + device + "/shadow/history", serve: a.shadowHistory},
		{pattern: "GET " + device + "/desired", serve: a.desired},
		{pattern: "PATCH " + device + "/desired", serve: a.setDesired},
		{pattern: "DELETE " + device + "/desired", serve: a.clearDesired},
		{pattern: "GET " + device + "/history", serve: a.history},
		{pattern: "GET " + device + "/jobs", serve: a.jobs},
		{pattern: "POST " + device + "/jobs", serve: a.createJob},
		{pattern: "DELETE " + device + "/jobs/{task}", serve: a.cancelTask},
		{pattern: "POST " + device + "/log", serve: a.logUpload},
		{pattern: "GET " + device + "/presence", serve: a.presence},
		{pattern: "GET " + device + "/downlinks/{id}", serve: a.downlink},
		{pattern: "DELETE " + device + "/downlinks/{id}", serve: a.cancel},
		{pattern: "GET " + device + "/trace", stream: a.trace},
		{pattern: "POST /api/v1/batch/properties", serve: a.batchProperties},
		{pattern: "POST /api/v1/batch/services", serve: a.batchServices},
		{pattern: "POST /api/v1/batch/enable", serve: a.batchEnable},
		{pattern: "POST /api/v1/batch/disable", serve: a.batchDisable},
		{pattern: "POST /api/v1/pub", class: classPub, serve: a.pub},
		{pattern: "POST /api/v1/broadcast", class: classBroadcast, serve: a.broadcast},
		{pattern: "GET /api/v1/messages", serve: a.messages},
		{pattern: "GET /api/v1/logs", serve: a.logs},
	})
}

// maxBody is the largest request body: a thousand devices, or a message in base64.
const maxBody = 1 << 20

// guard checks key and rate before an operation and writes its outcome.
func (a *api) guard(op route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := a.authenticate(w, r)
		if err == nil {
			err = a.limits.take(op.class, who.name, r, time.Now())
		}
		if err != nil {
			a.fail(w, err)
			return
		}
		if !op.large {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		}
		if op.stream != nil {
			if err := op.stream(w, r); err != nil {
				a.fail(w, err)
			}
			return
		}
		out, err := op.serve(r)
		if err != nil {
			a.fail(w, err)
			return
		}
		a.write(w, http.StatusOK, out)
	})
}
