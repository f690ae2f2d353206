// SPDX-License-Identifier: Apache-2.0

package iot

import "strconv"

// QoS is the delivery guarantee of a message. The platform knows two of MQTT's
// three levels (MQTT 3.1.1 section 4.3; level 2 is not offered).
type QoS byte

// The delivery guarantees.
const (
	AtMostOnce  QoS = 0 // sent once, never acknowledged
	AtLeastOnce QoS = 1 // acknowledged, repeated until it is
)

// String returns "QoS0" or "QoS1".
func (q QoS) String() string { return "QoS" + strconv.Itoa(int(q)) }

// Property is a name and value that travels beside a payload, such as an MQTT 5
// user property. MQTT 3 listeners neither set nor send any.
type Property struct {
	Name, Value string
}

// Message is an application message: a topic, its payload and the delivery
// guarantee asked for.
//
// Whoever hands a Message over states how long Topic and Payload stay valid.
// Where a package says nothing, both belong to the receiver.
type Message struct {
	Topic      string
	Payload    []byte
	QoS        QoS
	Properties []Property // nil on transports that have none
}
