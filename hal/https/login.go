// SPDX-License-Identifier: Apache-2.0

package https

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/single"
)

// login serves /auth.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	x := h.exchange()
	defer h.recycle(x)
	b := &x.body
	if !h.body(w, r, b, min(maxLogin, h.cfg.MaxBody)) {
		fail(w, CodeParam)
		return
	}
	p, ok := h.proof(b.Bytes(), time.Now())
	if !ok {
		fail(w, CodeParam)
		return
	}
	p.RemoteAddr = addr(r.RemoteAddr)
	g, err := h.cfg.Platform.IssueToken(r.Context(), &p, auth.UseRequests)
	if err != nil {
		fail(w, loginCode(err))
		return
	}
	granted(w, g.Token.Reveal())
}

// proof reads the body of a login; nothing of it is kept. Signed is everything but
// version, sign and signmethod. ok is false when something is missing, a sign
// method is unknown, the client id too long, or the timestamp stale.
func (h *Handler) proof(body []byte, now time.Time) (p hal.Proof, ok bool) {
	s, err := alink.ParseSigned(single.TrimNUL(body))
	if err != nil || s.Sign == "" {
		return p, false
	}
	p = hal.Proof{Method: s.Method, Sign: s.Sign}
	var client, timestamp string
	for _, param := range s.Params {
		switch strings.ToLower(param.Key) {
		case "version":
			continue
		case "clientid":
			client = param.Value
		case "productkey":
			p.Device.Product = param.Value
		case "devicename":
			p.Device.Name = param.Value
		case "timestamp":
			timestamp = param.Value
		}
		p.Params = append(p.Params, param)
	}
	if client == "" || utf8.RuneCountInString(client) > auth.MaxClientID || p.Device.Validate() != nil || !h.fresh(timestamp, now) {
		return p, false
	}
	return p, true
}

// fresh reports whether a timestamp in milliseconds is inside the window, if
// there are both.
func (h *Handler) fresh(text string, now time.Time) bool {
	if h.cfg.TimestampWindow < 0 || text == "" {
		return true
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	return err == nil && now.Sub(time.UnixMilli(ms)).Abs() <= h.cfg.TimestampWindow
}
