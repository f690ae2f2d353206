// SPDX-License-Identifier: Apache-2.0

package management

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/define"
	"github.com/openalink/iot/rules/queue"
	"github.com/openalink/iot/rules/scene"
	"github.com/openalink/iot/rules/sql"
	"github.com/openalink/iot/shadow"
)

// Error is the body of every answer that is no success.
type Error struct {
	Status    int    `json:"-"`         // HTTP status
	Code      string `json:"code"`      // stable word, or the number a device answered
	Message   string `json:"message"`   // for people
	RequestID string `json:"requestId"` // also in the X-Request-Id header
}

// Error says code and message.
func (e *Error) Error() string { return "management: " + e.Code + ": " + e.Message }

func badRequest(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Code: "InvalidParameter", Message: fmt.Sprintf(format, args...)}
}

// known maps the hub's errors to statuses and codes. The first match counts.
var known = []struct {
	err    error
	status int
	code   string
}{
	{hub.ErrUnknownProduct, http.StatusNotFound, "UnknownProduct"},
	{hub.ErrUnknownDevice, http.StatusNotFound, "UnknownDevice"},
	{hub.ErrUnknownApplication, http.StatusNotFound, "UnknownApplication"},
	{hub.ErrUnknownPackage, http.StatusNotFound, "UnknownPackage"},
	{hub.ErrUnknownCampaign, http.StatusNotFound, "UnknownCampaign"},
	{hub.ErrUnknownConfig, http.StatusNotFound, "UnknownConfig"},
	{ota.ErrDigest, http.StatusBadRequest, "DigestMismatch"},
	{ota.ErrSignature, http.StatusForbidden, "SignatureMismatch"},
	{rules.ErrUnknownRule, http.StatusNotFound, "UnknownRule"},
	{rules.ErrTooMany, http.StatusConflict, "LimitReached"},
	{rules.ErrInvalid, http.StatusBadRequest, "InvalidParameter"},
	{define.ErrInvalid, http.StatusBadRequest, "InvalidParameter"},
	{scene.ErrUnknownScene, http.StatusNotFound, "UnknownScene"},
	{scene.ErrTooMany, http.StatusConflict, "LimitReached"},
	{scene.ErrInUse, http.StatusConflict, "InUse"},
	{scene.ErrInvalid, http.StatusBadRequest, "InvalidParameter"},
	{queue.ErrUnknownGroup, http.StatusNotFound, "UnknownGroup"},
	{queue.ErrExists, http.StatusConflict, "Exists"},
	{queue.ErrTooMany, http.StatusConflict, "LimitReached"},
	{queue.ErrInvalid, http.StatusBadRequest, "InvalidParameter"},
	{hub.ErrUnknownDownlink, http.StatusNotFound, "UnknownMessage"},
	{hub.ErrExists, http.StatusConflict, "Exists"},
	{hub.ErrConflict, http.StatusPreconditionFailed, "Changed"},
	{hub.ErrTooLarge, http.StatusRequestEntityTooLarge, "TooLarge"},
	{hub.ErrInvalid, http.StatusBadRequest, "InvalidParameter"},
	{hub.ErrThrottled, http.StatusTooManyRequests, "Throttled"},
	{hub.ErrTooMany, http.StatusConflict, "LimitReached"},
	{hub.ErrQueueFull, http.StatusConflict, "QueueFull"},
	{hub.ErrDisabled, http.StatusConflict, "DeviceDisabled"},
	{hub.ErrNotActivated, http.StatusConflict, "DeviceNotActivated"},
	{hub.ErrNotSubscribed, http.StatusConflict, "NotSubscribed"},
	{hub.ErrOffline, http.StatusConflict, "DeviceOffline"},
	{hub.ErrTimeout, http.StatusGatewayTimeout, "Timeout"},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "Timeout"},
	{hub.ErrClosed, http.StatusServiceUnavailable, "Closing"},
}

// asError finds status and code for an error.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		c := *e
		return &c
	}
	if e, ok := errors.AsType[*alink.CodeError](err); ok {
		return &Error{Status: http.StatusBadGateway, Code: fmt.Sprint(int(e.Code)), Message: "the device answered: " + e.Message}
	}
	if e, ok := errors.AsType[*shadow.Error](err); ok {
		status := http.StatusBadRequest
		if e.Code == shadow.VersionConflict {
			status = http.StatusConflict
		}
		return &Error{Status: status, Code: fmt.Sprint(int(e.Code)), Message: "shadow: " + e.Message}
	}
	if e, ok := errors.AsType[*sql.Error](err); ok {
		return &Error{Status: http.StatusBadRequest, Code: "InvalidStatement", Message: e.Error()}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: "TooLarge", Message: "request body is too large"}
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return &Error{Status: k.status, Code: k.code, Message: strings.TrimPrefix(err.Error(), "hub: ")}
		}
	}
	return &Error{Status: http.StatusInternalServerError, Code: "Internal", Message: "the hub could not do it"}
}

func (a *api) fail(w http.ResponseWriter, err error) {
	e := asError(err)
	e.RequestID = rand.Text()
	if e.Status == http.StatusInternalServerError {
		a.logger.Error("management request failed", "requestId", e.RequestID, "error", err)
	}
	w.Header().Set("X-Request-Id", e.RequestID)
	a.write(w, e.Status, e)
}

func (a *api) write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		a.logger.Debug("answer not written", "error", err)
	}
}
