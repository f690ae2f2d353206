// SPDX-License-Identifier: Apache-2.0

// Package republish is a rules.Sink that sends rows to a topic of another device:
// the only way a message crosses from one device to another.
package republish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/topic"
	"github.com/tidwall/gjson"
)

// Publisher sends messages to devices. *hub.Hub is one. Errors
// that would be the same next time are marked rules.Permanent.
type Publisher interface {
	// PublishTo sends payload to a device on a topic of its own. The payload is
	// copied.
	PublishTo(ctx context.Context, id iot.DeviceID, topic string, payload []byte, qos iot.QoS) error
}

// Sink publishes rows. It is safe for concurrent use.
//
// A message that a rule sent is not seen by rules again: they see what devices
// send. So no rule can feed itself.
type Sink struct {
	to   Publisher
	name []part
	qos  iot.QoS
}

// part is text, or a path into the row.
type part struct {
	text string
	path bool
}

// ErrTopic is what New returns for a topic that cannot be a device's own.
var ErrTopic = errors.New("republish: topic")

// New returns a sink that publishes to a topic such as
// "/a1Lamps0001/${target}/user/get": ${path} stands for a member of the row.
func New(to Publisher, name string, qos iot.QoS) (*Sink, error) {
	s := &Sink{to: to, qos: qos}
	rest := name
	for {
		text, after, found := strings.Cut(rest, "${")
		if text != "" {
			s.name = append(s.name, part{text: text})
		}
		if !found {
			break
		}
		path, behind, closed := strings.Cut(after, "}")
		if !closed || path == "" {
			return nil, fmt.Errorf("%w %q: ${ needs a path and }", ErrTopic, name)
		}
		s.name = append(s.name, part{path, true})
		rest = behind
	}
	if _, err := topic.Parse(strings.ReplaceAll(strings.ReplaceAll(name, "${", ""), "}", "")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTopic, err)
	}
	return s, nil
}

// Send implements rules.Sink.
func (s *Sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	for _, d := range batch {
		name, id, err := s.target(d)
		if err != nil {
			return rules.Permanent(err)
		}
		if err := s.to.PublishTo(ctx, id, name, d.Payload, s.qos); err != nil {
			return fmt.Errorf("republish: %w", err)
		}
	}
	return nil
}

// target fills the topic in. What comes from a row is one level at most.
func (s *Sink) target(d *rules.Delivery) (string, iot.DeviceID, error) {
	var b strings.Builder
	for _, p := range s.name {
		text := p.text
		if p.path {
			v := gjson.GetBytes(d.Payload, p.text)
			if text = v.String(); text == "" || strings.ContainsAny(text, "/+#\x00") {
				return "", iot.DeviceID{}, fmt.Errorf("%w: ${%s} is %.64q", ErrTopic, p.text, text)
			}
		}
		b.WriteString(text)
	}
	t, err := topic.Parse(b.String())
	if err != nil {
		return "", iot.DeviceID{}, fmt.Errorf("%w: %w", ErrTopic, err)
	}
	if t.Device.Name == "" {
		return "", iot.DeviceID{}, fmt.Errorf("%w %q is not a device's", ErrTopic, t.Name)
	}
	return t.Name, t.Device, nil
}
