// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/ota"
)

// Handlers answer what the platform asks. A nil handler answers with an error
// code where an answer is due. They run one at a time, in the order of arrival,
// on a goroutine of the Client, and may call the Client's methods. The context
// ends when the Client closes. Over HTTPS and CoAP, where nothing reaches a device
// but answers, they are not called; Config.Logger is told so.
//
// An error becomes the answer's code: that of an *alink.CodeError, else 500
// without a word of its text. Devices have codes of their own from 100000 to
// 110000.
type Handlers struct {
	// SetProperties takes new values, by identifier.
	SetProperties func(ctx context.Context, values map[string]json.RawMessage) error
	// GetProperties returns current values of the named properties, anything
	// encoding/json writes as an object.
	GetProperties func(ctx context.Context, names []string) (any, error)
	// Services are called by identifier. See the function Service for typed ones.
	Services map[string]ServiceFunc
	// Service takes the calls Services does not name. A Thing serves it itself.
	Service func(ctx context.Context, identifier string, args json.RawMessage) (any, error)
	// RRPC answers a synchronous call that is no Alink service call, with the
	// payload of the answer. topic is empty, or the custom topic of the call.
	RRPC func(ctx context.Context, topic string, payload []byte) ([]byte, error)
	// Raw takes bytes of the device's own protocol (thing/model/down_raw) and returns
	// the bytes of the answer, nil for none. An error sends none either.
	Raw func(ctx context.Context, payload []byte) ([]byte, error)
	// Message takes messages on custom topics and broadcasts. topic is complete.
	Message func(ctx context.Context, topic string, payload []byte)
	// Desired takes wishes of applications from the shadow. When it returns nil they
	// are reported as done and cleared; after an error they stay in the shadow for
	// applications to see. See Synced for a struct that follows.
	Desired func(ctx context.Context, wishes []Desired) error
	// Upgrade takes notices of firmware, without Config.Firmware or for modules it is
	// not of. See Client.ReportProgress and Client.ReportVersion for what follows.
	Upgrade func(ctx context.Context, n ota.Notice)
	// Enabled is called with false when the platform disabled the device, which
	// closes the connection, and with true when it enabled it again.
	Enabled func(ctx context.Context, enabled bool)
	// Deleted is called when the platform deleted the device.
	Deleted func(ctx context.Context)
	// Request takes every other request below /sys/{pk}/{dn}: path is what follows.
	// It returns the data of the answer.
	Request func(ctx context.Context, path string, params json.RawMessage) (any, error)
	// Connected is called after each login, Disconnected after each loss of the
	// connection, both on the goroutine that connects.
	Connected    func(ctx context.Context)
	Disconnected func(ctx context.Context)
}

// ServiceFunc is a service of the device: arguments in, output out, anything
// encoding/json writes as an object, or nil.
type ServiceFunc func(ctx context.Context, args json.RawMessage) (any, error)

// asked reports whether any handler waits for what the platform asks by itself.
func (h *Handlers) asked() bool {
	return h.SetProperties != nil || h.GetProperties != nil || len(h.Services) > 0 || h.Service != nil || h.RRPC != nil ||
		h.Raw != nil || h.Message != nil || h.Desired != nil || h.Upgrade != nil || h.Enabled != nil || h.Deleted != nil || h.Request != nil
}

// Service makes a ServiceFunc of a function with typed arguments and output.
// Arguments that do not fit In are answered with alink.CodeBadParams.
func Service[In, Out any](f func(ctx context.Context, in In) (Out, error)) ServiceFunc {
	return func(ctx context.Context, args json.RawMessage) (any, error) {
		var in In
		if err := json.Unmarshal(args, &in); err != nil {
			return nil, &alink.CodeError{Code: alink.CodeBadParams, Message: fmt.Sprintf("arguments: %v", err)}
		}
		return f(ctx, in)
	}
}
