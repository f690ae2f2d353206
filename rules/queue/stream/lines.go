// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"strconv"

	"github.com/openalink/iot/rules/queue"
)

// down is a line to the client: a message, a ping or stale handles.
type down struct {
	Handle     string   `json:"handle,omitempty"`
	MessageID  string   `json:"messageId,omitempty"`
	Topic      string   `json:"topic,omitempty"`
	ProductKey string   `json:"productKey,omitempty"`
	DeviceName string   `json:"deviceName,omitempty"`
	Time       int64    `json:"time,omitempty"` // of arrival, epoch milliseconds
	QoS        int      `json:"qos,omitempty"`
	Tries      int      `json:"tries,omitempty"`
	Payload    []byte   `json:"payload,omitempty"`
	Ping       int64    `json:"ping,omitempty"`
	Stale      []string `json:"stale,omitempty"`
}

// up is a line from the client.
type up struct {
	Done  []string `json:"done,omitempty"`
	Again []string `json:"again,omitempty"`
	Delay int64    `json:"delay,omitempty"` // of again, milliseconds
	Later []string `json:"later,omitempty"`
}

func lineOf(handle string, m *queue.Message) down {
	return down{
		Handle: handle, MessageID: strconv.FormatInt(m.ID, 10), Topic: m.Topic, ProductKey: m.Device.Product, DeviceName: m.Device.Name,
		Time: m.Time.UnixMilli(), QoS: int(m.QoS), Tries: m.Tries, Payload: m.Payload,
	}
}
