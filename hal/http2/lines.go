// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
)

// ErrLine means a line that cannot be understood.
var ErrLine = errors.New("http2: a line is not understood")

// down is a line to a device, as a device reads it: a message, a ping or the end.
type down struct {
	Handle  string    `json:"handle"` // of a message with QoS 1, else empty
	Topic   string    `json:"topic"`
	QoS     iot.QoS   `json:"qos"`
	Again   bool      `json:"again"` // it was sent before
	Payload []byte    `json:"payload"`
	Ping    int64     `json:"ping"`
	End     hal.Cause `json:"end"` // why the connection ends
}

// up is a line from a device.
type up struct {
	Done  []string `json:"done,omitempty"`
	Again []string `json:"again,omitempty"`
	Delay int64    `json:"delay,omitempty"` // of again, milliseconds
	Later []string `json:"later,omitempty"`
}

const (
	maxUp      = 64 << 10 // bytes of a device's line
	maxHandles = 4096     // in one
	maxDelay   = time.Hour
)

// parseUp reads a line of a device; an empty one is a sign of life.
func parseUp(line []byte) (up, error) {
	var u up
	if len(line) == 0 {
		return u, nil
	}
	if err := json.Unmarshal(line, &u); err != nil {
		return u, fmt.Errorf("%w: %w", ErrLine, err)
	}
	if len(u.Done)+len(u.Again)+len(u.Later) > maxHandles {
		return u, fmt.Errorf("%w: more than %d handles", ErrLine, maxHandles)
	}
	return u, nil
}

func (u *up) delay() time.Duration {
	return time.Duration(min(max(u.Delay, 0), maxDelay.Milliseconds())) * time.Millisecond
}

// handleOf reads a handle; 0 is none.
func handleOf(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

// appendMessage writes the line of a delivery. Handle 0 stands for none.
func appendMessage(b []byte, d *hal.Delivery, handle uint64) []byte {
	b = append(b, '{')
	if handle > 0 {
		b = strconv.AppendUint(append(b, `"handle":"`...), handle, 10)
		b = append(b, `","qos":1,`...)
	}
	topic, _ := json.Marshal(d.Message.Topic) // text always can be
	b = append(append(b, `"topic":`...), topic...)
	b = base64.StdEncoding.AppendEncode(append(b, `,"payload":"`...), d.Message.Payload)
	b = append(b, '"')
	if d.Dup {
		b = append(b, markAgain...)
	}
	return append(b, lineEnd...)
}

const (
	lineEnd   = "}\n"
	markAgain = `,"again":true`
)

// repeated returns the line of a message that was sent before.
func repeated(line []byte) []byte {
	body := bytes.TrimSuffix(line, []byte(lineEnd))
	if bytes.HasSuffix(body, []byte(markAgain)) {
		return line
	}
	b := make([]byte, 0, len(line)+len(markAgain))
	return append(append(append(b, body...), markAgain...), lineEnd...)
}

func appendPing(b []byte, now time.Time) []byte {
	return append(strconv.AppendInt(append(b, `{"ping":`...), now.UnixMilli(), 10), '}', '\n')
}

func appendEnd(b []byte, c hal.Cause) []byte {
	return append(strconv.AppendQuote(append(b, `{"end":`...), string(c)), '}', '\n')
}
