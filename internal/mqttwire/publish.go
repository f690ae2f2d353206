// SPDX-License-Identifier: Apache-2.0

package mqttwire

import (
	"bytes"
	"encoding/binary"
	"unsafe"
)

// Publish is the PUBLISH packet.
type Publish struct {
	Topic    string
	Payload  []byte
	PacketID uint16 // zero for QoS 0
	QoS      byte
	Dup      bool
	Retain   bool
}

var (
	errQoS       = malformed("QoS 3")
	errTopic     = malformed("empty topic name")
	errWildcards = malformed("wildcard in a topic name")
)

// ParsePublish decodes a PUBLISH. Topic and Payload alias p.Body: they change
// when it does. The topic is not empty and holds no wildcard and no NUL; a
// packet id is there exactly for QoS 1 and 2. The error wraps ErrMalformed.
func ParsePublish(p Packet) (Publish, error) {
	m := Publish{QoS: p.First >> 1 & 3, Dup: p.First&8 != 0, Retain: p.First&1 != 0}
	if m.QoS == 3 {
		return m, errQoS
	}
	topic, b, err := text(p.Body)
	if err != nil {
		return m, err
	}
	if len(topic) == 0 {
		return m, errTopic
	}
	if bytes.IndexByte(topic, '+') >= 0 || bytes.IndexByte(topic, '#') >= 0 {
		return m, errWildcards
	}
	if m.QoS > 0 {
		if m.PacketID, b, err = id(b); err != nil {
			return m, err
		}
	}
	m.Topic = unsafe.String(&topic[0], len(topic))
	m.Payload = b
	return m, nil
}

// Len returns how many bytes AppendPublish appends for m.
func (m *Publish) Len() int {
	n := m.size()
	switch {
	case n < 1<<7:
		return n + 2
	case n < 1<<14:
		return n + 3
	case n < 1<<21:
		return n + 4
	}
	return n + 5
}

func (m *Publish) size() int {
	n := 2 + len(m.Topic) + len(m.Payload)
	if m.QoS > 0 {
		n += 2
	}
	return n
}

// AppendPublish appends a PUBLISH.
func AppendPublish(dst []byte, m *Publish) []byte {
	first := byte(TypePublish)<<4 | m.QoS<<1
	if m.Dup {
		first |= 8
	}
	if m.Retain {
		first |= 1
	}
	dst = appendHeader(dst, first, m.size())
	dst = appendField(dst, m.Topic)
	if m.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, m.PacketID)
	}
	return append(dst, m.Payload...)
}
