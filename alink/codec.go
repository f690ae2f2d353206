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

// Transformer is a RawCodec that also turns what devices publish on custom topics
// into JSON: those whose name ends with TransformSuffix.
type Transformer interface {
	// Transform turns the payload of a message on topic, without the suffix, into a
	// JSON value.
	Transform(ctx context.Context, id iot.DeviceID, topic string, raw []byte) ([]byte, error)
}

// TransformSuffix behind a custom topic asks the platform to transform the payload
// (wire facts, section 16). It is no part of the topic.
const TransformSuffix = "?_sn=default"
