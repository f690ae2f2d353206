// SPDX-License-Identifier: Apache-2.0

package management

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/topic"
)

// caller is who sent a request: the holder of an API key, who may do everything,
// or an application.
type caller struct {
	name string // what rates count against
	app  *hub.Application
}

// signWindow is how far the timestamp of a signed request may be off.
const signWindow = 5 * time.Minute

// maxNonces bounds the nonces remembered; a request beyond is answered with 429.
const maxNonces = 100_000

var errNoApplication = &Error{Status: http.StatusUnauthorized, Code: "Unauthorized", Message: "the signature does not fit, is too old, or was used before"}

// signed identifies the application that signed a request. The body is read for
// that, and put back.
func (a *api) signed(w http.ResponseWriter, r *http.Request, s auth.RequestSign) (caller, error) {
	app, err := a.hub.Application(s.AccessKey)
	if err != nil {
		app.Secret = a.decoy // the same work for an unknown AccessKey
	}
	var body []byte
	if r.Pattern != groupStream { // whose body goes on as long as the stream: the signature is over none
		var tooLarge error
		if body, tooLarge = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)); tooLarge != nil {
			return caller{}, &Error{Status: http.StatusRequestEntityTooLarge, Code: "TooLarge", Message: "a signed request has at most 1 MB"}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	now := time.Now()
	if bad := s.Verify(r, body, app.Secret); bad != nil || err != nil || now.Sub(time.UnixMilli(s.Timestamp)).Abs() > signWindow {
		return caller{}, errNoApplication
	}
	if err := a.nonces.use(s.AccessKey+" "+s.Nonce, now); err != nil {
		return caller{}, err
	}
	return caller{name: "application " + app.AccessKey, app: &app}, a.permit(&app, r, body)
}

// where tells where an operation names the products it is about. Operations that
// stand neither here nor have {pk} in their path need a right to everything, so
// that a new one is closed until somebody thought about it.
var where = map[string]func(r *http.Request, body []byte) []string{
	"GET /api/v1/devices":           inQuery,
	"GET /api/v1/messages":          inQuery,
	"GET /api/v1/logs":              inQuery,
	"POST /api/v1/devices":          inBody,
	"POST /api/v1/groups":           inBody,
	"POST /api/v1/batch/properties": inBody,
	"POST /api/v1/batch/services":   inBody,
	"POST /api/v1/batch/enable":     inBody,
	"POST /api/v1/batch/disable":    inBody,
	"POST /api/v1/pub":              inBody,
	"POST /api/v1/broadcast":        inBody,
	// Both the gateway's product and the sub-devices'.
	"POST /api/v1/devices/{pk}/{dn}/subdevices":        inPathAndBody,
	"POST /api/v1/devices/{pk}/{dn}/subdevices/remove": inPathAndBody,
}

// permit holds a request against the rights of an application.
func (a *api) permit(app *hub.Application, r *http.Request, body []byte) error {
	right := hub.Write
	if r.Method == http.MethodGet || r.Pattern == groupStream {
		right = hub.Read
	}
	if app.May("", right) {
		return nil
	}
	var products []string
	if find := where[r.Pattern]; find != nil {
		products = find(r, body)
	} else if strings.Contains(r.Pattern, groupPath) {
		products = a.groupProducts(r.PathValue("id"))
	} else if pk := r.PathValue("pk"); pk != "" {
		products = []string{pk}
	}
	for _, p := range products {
		if !app.May(p, right) {
			products = nil
		}
	}
	if len(products) == 0 {
		return &Error{Status: http.StatusForbidden, Code: "Forbidden", Message: "the application has no right to " + string(right) + " that"}
	}
	return nil
}

func inQuery(r *http.Request, _ []byte) []string { return r.URL.Query()["productKey"] }

func inPathAndBody(r *http.Request, body []byte) []string {
	return append(inBody(r, body), r.PathValue("pk"))
}

func inBody(_ *http.Request, body []byte) []string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return nil
	}
	return collect(nil, v)
}

// collect finds every member called productKey, and every full topic, at any
// depth and in any case, as the operations themselves read JSON: whoever smuggles
// one in is only refused the sooner.
func collect(products []string, v any) []string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			products = collect(products, e)
		}
	case map[string]any:
		for k, e := range v {
			text, isText := e.(string)
			switch {
			case strings.EqualFold(k, "productKey") && isText:
				products = append(products, text)
			case strings.EqualFold(k, "topic") && isText && strings.HasPrefix(text, "/"):
				t, err := topic.Parse(text)
				if err != nil {
					t.Device.Product = "" // nobody has a right to it
				}
				products = append(products, t.Device.Product)
			default:
				products = collect(products, e)
			}
		}
	}
	return products
}

// nonces remembers what signed requests used, for as long as they would pass.
type nonces struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

func (n *nonces) use(nonce string, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = make(map[string]time.Time)
	}
	if _, again := n.seen[nonce]; again {
		return errNoApplication
	}
	if len(n.seen) >= maxNonces {
		for k, t := range n.seen {
			if now.Sub(t) > 2*signWindow {
				delete(n.seen, k)
			}
		}
	}
	if len(n.seen) >= maxNonces {
		return &Error{Status: http.StatusTooManyRequests, Code: "Throttled", Message: "too many signed requests"}
	}
	n.seen[nonce] = now
	return nil
}
