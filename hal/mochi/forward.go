// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"log/slog"
	"strings"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	iot "github.com/openalink/iot"
)

const maxForward = 4096

// forwarder gives the broker's own clients what devices said, in the order it
// became durable.
type forwarder struct {
	server *mqtt.Server
	client *mqtt.Client // mochi's word for who publishes
	logger *slog.Logger
	queue  chan iot.Message
	once   sync.Once
	stop   chan struct{}
	done   sync.WaitGroup
}

func newForwarder(server *mqtt.Server, logger *slog.Logger) *forwarder {
	f := &forwarder{
		server: server, client: server.NewClient(nil, mqtt.LocalListener, "openalink-guard", true), logger: logger,
		queue: make(chan iot.Message, maxForward), stop: make(chan struct{}),
	}
	f.done.Go(f.run)
	return f
}

// put never blocks; the message is copied.
func (f *forwarder) put(m iot.Message) {
	m.Topic, m.Payload = strings.Clone(m.Topic), append([]byte(nil), m.Payload...)
	select {
	case f.queue <- m:
	default:
		f.logger.Warn("message not forwarded: the broker's clients are too slow", "topic", clip(m.Topic))
	}
}

func (f *forwarder) run() {
	for {
		select {
		case m := <-f.queue:
			f.publish(m)
		case <-f.stop:
			return
		}
	}
}

func (f *forwarder) publish(m iot.Message) {
	defer func() {
		if p := recover(); p != nil { // of a subscriber's handler, or another hook
			f.logger.Error("panic while a message was forwarded", "topic", clip(m.Topic), "panic", p)
		}
	}()
	err := f.server.InjectPacket(f.client, packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: byte(m.QoS)},
		TopicName:   m.Topic, Payload: m.Payload, PacketID: uint16(m.QoS),
	})
	if err != nil {
		f.logger.Warn("message not forwarded", "topic", clip(m.Topic), "err", err)
	}
}

func (f *forwarder) close() {
	f.once.Do(func() { close(f.stop) })
	f.done.Wait()
}
