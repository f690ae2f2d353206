// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"context"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// acceptAll is a platform without any work.
type acceptAll struct{}

func (acceptAll) Connect(context.Context, *hal.ConnectRequest) (hal.Accepted, error) {
	return hal.Accepted{Session: acceptAll{}, KeepAlive: 90 * time.Minute}, nil
}

func (acceptAll) Receive(_ context.Context, _ iot.Message, done func([]iot.Message, error)) {
	done(nil, nil)
}

func (acceptAll) Authorize(topic.Operation, string) error { return nil }

func (acceptAll) Close(hal.Cause) {}
