// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"context"

	iot "github.com/openalink/iot"
)

// RawCodec translates between the bytes of a device that does not speak JSON and
// Alink messages (wire facts, section 16). It is safe for concurrent use and
// keeps none of the slices it is given.
type RawCodec interface {
	// Decode turns what the device sent into an Alink message.
	Decode(ctx context.Context, id iot.DeviceID, raw []byte) ([]byte, error)
	// Encode turns an Alink message, a request or a reply, into bytes for the
	// device.
	Encode(ctx context.Context, id iot.DeviceID, message []byte) ([]byte, error)
}
