// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"time"

	iot "github.com/openalink/iot"
)

// Message is what statements look at. Topic is the name rules see: of custom topics
// the device's own, of others that of data forwarding (wire facts section 18.1).
type Message struct {
	ID      int64 // platform message id
	Topic   string
	Device  iot.DeviceID
	Time    time.Time // of arrival
	QoS     iot.QoS
	Payload []byte
	// Attributes are the tags of the device, for attribute(key); may be nil. It is
	// asked at most once a call of the function.
	Attributes func(key string) (value string, ok bool)
	// Properties are the user properties of the message, for user_property(key).
	Properties map[string]string
}
