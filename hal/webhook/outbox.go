// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"slices"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// Bounds of what waits to be published.
const (
	maxOut      = 4096
	maxOutBytes = 16 << 20
)

// outgoing is a publication or, with an ack, an acknowledgement.
type outgoing struct {
	to   *visit
	m    iot.Message
	done func(error)
	ack  paho.Message
}

// outbox is what waits for the broker. Acknowledgements have no bound of their
// own: the broker's window is one.
type outbox struct {
	mu     sync.Mutex
	open   bool // a consumer is connected
	queue  []outgoing
	count  int // publications in queue
	bytes  int
	filled chan struct{} // capacity 1
}

func newOutbox() *outbox { return &outbox{filled: make(chan struct{}, 1)} }

// finish tells what became of a publication.
func (out outgoing) finish(err error) {
	if out.to != nil {
		out.to.tell(out.done, err)
	}
}

// publish queues a publication. The error is hal.ErrFull when nobody is connected to
// the broker, or too much waits.
func (v *visit) publish(m iot.Message, done func(error)) error {
	s := v.c.s
	m.Topic, m.Payload = clone(m.Topic), append([]byte(nil), m.Payload...)
	t, err := topic.Parse(m.Topic)
	if err != nil || goesDown(&t) || v.sess.Authorize(topic.Pub, m.Topic) != nil {
		return s.outbox.put(outgoing{to: v, m: m, done: done})
	}
	s.echoes.expect(m)
	err = s.outbox.put(outgoing{to: v, m: m, done: done})
	if err != nil {
		s.echoes.forget(m)
	}
	return err
}

func (o *outbox) put(out outgoing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	size := len(out.m.Payload)
	if out.ack == nil && (!o.open || o.count >= maxOut || o.bytes+size > maxOutBytes && o.count > 0) {
		return hal.ErrFull
	}
	if out.ack == nil {
		o.count++
		o.bytes += size
	}
	o.queue = append(o.queue, out)
	select {
	case o.filled <- struct{}{}:
	default:
	}
	return nil
}

// all takes everything.
func (o *outbox) all() []outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	queue := o.queue
	o.queue, o.count, o.bytes = nil, 0, 0
	return queue
}

// acks takes the acknowledgements.
func (o *outbox) acks() (list []paho.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = slices.DeleteFunc(o.queue, func(out outgoing) bool {
		if out.ack != nil {
			list = append(list, out.ack)
		}
		return out.ack != nil
	})
	return list
}

// connected notes that a consumer is connected, or with nil, that none is.
func (s *Server) connected(cfg *Consumer) {
	s.mu.Lock()
	s.account = cfg
	s.mu.Unlock()
	if cfg == nil {
		s.outbox.close()
		return
	}
	s.outbox.connected()
}

func (o *outbox) connected() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = true
}

// close gives what waits back.
func (o *outbox) close() {
	o.mu.Lock()
	o.open = false
	o.mu.Unlock()
	for _, out := range o.all() {
		out.finish(hal.ErrFull)
	}
}
