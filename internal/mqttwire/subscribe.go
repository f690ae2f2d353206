// SPDX-License-Identifier: Apache-2.0

package mqttwire

import "encoding/binary"

// Filter is a topic filter of a SUBSCRIBE and the highest QoS wanted on it.
type Filter struct {
	Topic string
	QoS   byte
}

var (
	errNoFilters = malformed("no topic filter")
	errFilter    = malformed("empty topic filter")
	errOptions   = malformed("reserved bits beside the QoS wanted")
)

// ParseSubscribe decodes the body of a SUBSCRIBE: its packet id and at least
// one filter, each a copy and not empty, with QoS 0 to 2. Whether wildcards
// stand where they may is left to the caller. The error wraps ErrMalformed.
func ParseSubscribe(body []byte) (uint16, []Filter, error) {
	n, b, err := id(body)
	if err != nil {
		return 0, nil, err
	}
	var filters []Filter
	for len(b) > 0 {
		var f []byte
		if f, b, err = filter(b); err != nil {
			return 0, nil, err
		}
		if len(b) == 0 {
			return 0, nil, errShort
		}
		if b[0] > 2 { // MQTT-3-8.3-4
			return 0, nil, errOptions
		}
		filters = append(filters, Filter{Topic: string(f), QoS: b[0]})
		b = b[1:]
	}
	if filters == nil { // MQTT-3.8.3-3
		return 0, nil, errNoFilters
	}
	return n, filters, nil
}

// ParseUnsubscribe decodes the body of an UNSUBSCRIBE: its packet id and at
// least one filter, each a copy and not empty. The error wraps ErrMalformed.
func ParseUnsubscribe(body []byte) (uint16, []string, error) {
	n, b, err := id(body)
	if err != nil {
		return 0, nil, err
	}
	var filters []string
	for len(b) > 0 {
		var f []byte
		if f, b, err = filter(b); err != nil {
			return 0, nil, err
		}
		filters = append(filters, string(f))
	}
	if filters == nil { // MQTT-3.10.3-2
		return 0, nil, errNoFilters
	}
	return n, filters, nil
}

// filter is text for a topic filter, which is never empty (MQTT-4.7.3-1).
func filter(b []byte) (f, rest []byte, err error) {
	f, rest, err = text(b)
	if err == nil && len(f) == 0 {
		err = errFilter
	}
	return f, rest, err
}

// ParseSuback decodes the body of a SUBACK. The codes alias body. The error
// wraps ErrMalformed.
func ParseSuback(body []byte) (id uint16, codes []byte, err error) {
	if len(body) < 3 {
		return 0, nil, errShort
	}
	return binary.BigEndian.Uint16(body), body[2:], nil
}

// AppendSubscribe appends a SUBSCRIBE.
func AppendSubscribe(dst []byte, id uint16, filters ...Filter) []byte {
	size := 2
	for _, f := range filters {
		size += 3 + len(f.Topic)
	}
	dst = appendHeader(dst, byte(TypeSubscribe)<<4|2, size)
	dst = binary.BigEndian.AppendUint16(dst, id)
	for _, f := range filters {
		dst = append(appendField(dst, f.Topic), f.QoS)
	}
	return dst
}

// AppendUnsubscribe appends an UNSUBSCRIBE.
func AppendUnsubscribe(dst []byte, id uint16, filters ...string) []byte {
	size := 2
	for _, f := range filters {
		size += 2 + len(f)
	}
	dst = appendHeader(dst, byte(TypeUnsubscribe)<<4|2, size)
	dst = binary.BigEndian.AppendUint16(dst, id)
	for _, f := range filters {
		dst = appendField(dst, f)
	}
	return dst
}

// AppendSuback appends a SUBACK with one code for each filter.
func AppendSuback[C ~byte](dst []byte, id uint16, codes ...C) []byte {
	dst = appendHeader(dst, byte(TypeSuback)<<4, 2+len(codes))
	dst = binary.BigEndian.AppendUint16(dst, id)
	for _, c := range codes {
		dst = append(dst, byte(c))
	}
	return dst
}
