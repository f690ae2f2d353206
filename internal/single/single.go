// SPDX-License-Identifier: Apache-2.0

// Package single holds what the doors and transports of single requests, HTTPS and
// CoAP, have in common: a request has no way back but its answer.
package single

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/openalink/iot/hal"
)

// Link is the link of a request.
type Link struct{}

// Send implements hal.Link.
func (Link) Send(_ context.Context, _ hal.Delivery, done func(error)) {
	if done != nil {
		done(hal.ErrGone)
	}
}

// Close implements hal.Link.
func (Link) Close(hal.Cause) {}

// TrimNUL drops the zero bytes that C programs send behind a text (wire facts
// section 1 row 29).
func TrimNUL(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

// Payload drops the zero bytes behind JSON: on topics of the platform always, on
// custom ones when JSON is in front of them. Raw data keeps its bytes.
func Payload(topic string, payload []byte) []byte {
	if len(payload) == 0 || payload[len(payload)-1] != 0 || strings.HasSuffix(topic, "_raw") {
		return payload
	}
	text := TrimNUL(payload)
	for _, prefix := range [...]string{"/sys/", "/ota/", "/shadow/", "/ext/"} {
		if strings.HasPrefix(topic, prefix) {
			return text
		}
	}
	if json.Valid(text) {
		return text
	}
	return payload
}

// AnswerTopic is where over MQTT the answer to a message would arrive.
func AnswerTopic(name string) string {
	switch {
	case strings.HasPrefix(name, "/ota/device/request/"):
		return name
	case strings.HasPrefix(name, "/shadow/update/"):
		return "/shadow/get/" + strings.TrimPrefix(name, "/shadow/update/")
	case strings.HasPrefix(name, "/ext/ntp/"):
		return strings.TrimSuffix(name, "/request") + "/response"
	}
	return name + "_reply"
}
