// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/store"
)

// streamMessages is the message log: every accepted uplink, appended in the same
// commit as what it changed and before its acknowledgement.
const streamMessages = "messages"

// Message is an entry of the message log.
type Message struct {
	ID      int64        `json:"messageId,string"` // platform message id: positive, rising
	Device  iot.DeviceID `json:"device"`
	Via     iot.DeviceID `json:"via,omitzero"` // gateway it came through
	Topic   string       `json:"topic"`
	Time    time.Time    `json:"time"` // of arrival
	QoS     iot.QoS      `json:"qos"`
	Payload []byte       `json:"payload"` // as the device sent it, raw products decoded
	// Platform marks what the platform wrote itself: that a device came or went, was
	// created, disabled, bound or updated, in the form it is forwarded in. What is told
	// of a campaign as a whole has a Device without a name.
	Platform bool `json:"platform,omitempty"`
	// Cursor is where to go on after this message, for MessageQuery.After.
	Cursor string `json:"-"`
}

// appendMessage writes the stored form: format, id, QoS, gateway, topic, payload.
func appendMessage(dst []byte, id int64, via string, qos iot.QoS, topic string, payload []byte) []byte {
	dst = append(dst, recordFormat, byte(qos))
	dst = binary.BigEndian.AppendUint64(dst, uint64(id))
	dst = appendText(dst, via)
	dst = appendText(dst, topic)
	return append(dst, payload...)
}

// platformMark is set in the byte of the QoS of what the platform wrote itself.
const platformMark = 0x80

// appendEvent is appendMessage for what the platform itself tells.
func appendEvent(dst []byte, id int64, topic string, body []byte) []byte {
	at := len(dst)
	dst = appendMessage(dst, id, "", iot.AtLeastOnce, topic, body)
	dst[at+1] |= platformMark
	return dst
}

func messageSize(via, topic string, payload []byte) int {
	return 10 + 2*binary.MaxVarintLen64 + len(via) + len(topic) + len(payload)
}

func decodeMessage(rec store.Record) (Message, error) {
	if len(rec.Value) < 10 || rec.Value[0] != recordFormat {
		return Message{}, fmt.Errorf("hub: message log at %d: %w", rec.Offset, store.ErrFormat)
	}
	r := reader{b: rec.Value[10:]}
	m := Message{
		ID: int64(binary.BigEndian.Uint64(rec.Value[2:])), Time: rec.Time,
		QoS: iot.QoS(rec.Value[1] &^ platformMark), Platform: rec.Value[1]&platformMark != 0,
		Cursor: formatCursor(rec.Offset),
	}
	via := string(r.bytes())
	m.Topic = string(r.bytes())
	m.Payload = append([]byte{}, r.b...)
	if r.bad {
		return Message{}, fmt.Errorf("hub: message log at %d: %w", rec.Offset, store.ErrFormat)
	}
	m.Device = splitKey(rec.Key)
	m.Via = splitKey(via)
	return m, nil
}

func splitKey(key string) iot.DeviceID {
	pk, dn, _ := strings.Cut(key, "/")
	return iot.DeviceID{Product: pk, Name: dn}
}

// MessageQuery selects messages of the log.
type MessageQuery struct {
	Device iot.DeviceID // one device; with an empty Name a product; zero for all
	After  string       // Cursor of a message: only later ones
	Since  time.Time    // inclusive; zero for the beginning
	Until  time.Time    // exclusive; zero for the end
	// Platform yields also what the platform wrote itself.
	Platform bool
	// Follow waits for further messages at the end instead of ending.
	Follow bool
}

// Messages yields the messages of the log in order. It ends at the end of the
// log, or with Follow when ctx ends.
func (h *Hub) Messages(ctx context.Context, q MessageQuery) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		next, err := parseCursor(q.After)
		if err != nil {
			yield(Message{}, err)
			return
		}
		for {
			news := h.news.wait(q.Follow)
			for rec, err := range h.read(ctx, streamMessages, q, next) {
				if err != nil {
					yield(Message{}, err)
					return
				}
				next = rec.Offset + 1
				m, err := decodeMessage(rec)
				if !q.matches(rec) || m.Platform && !q.Platform {
					continue
				}
				if !yield(m, err) || err != nil {
					return
				}
			}
			if !q.Follow {
				return
			}
			select {
			case <-news:
			case <-h.closing:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// read walks a stream, by the index when one device is asked for.
func (h *Hub) read(ctx context.Context, stream string, q MessageQuery, from uint64) iter.Seq2[store.Record, error] {
	if q.Device.Name != "" {
		return h.store.ReadKey(ctx, stream, q.Device.String(), from, q.Since, q.Until)
	}
	return h.store.Read(ctx, stream, from)
}

func (q *MessageQuery) matches(rec store.Record) bool {
	if q.Device.Name == "" && q.Device.Product != "" {
		pk, _, _ := strings.Cut(rec.Key, "/")
		if pk != q.Device.Product {
			return false
		}
	}
	return !rec.Time.Before(q.Since) && (q.Until.IsZero() || rec.Time.Before(q.Until))
}

func formatCursor(offset uint64) string { return strconv.FormatUint(offset, 10) }

// parseCursor returns the offset behind a cursor.
func parseCursor(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	var offset uint64
	if _, err := fmt.Sscanf(cursor, "%d", &offset); err != nil {
		return 0, fmt.Errorf("%w: cursor %.32q", ErrInvalid, cursor)
	}
	return offset + 1, nil
}
