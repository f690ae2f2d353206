// SPDX-License-Identifier: Apache-2.0

package mochi

import (
	"errors"
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/mqttwire"
)

// hook is the guard as mochi calls it. Clients of other listeners are none of its
// business.
type hook struct {
	mqtt.HookBase
	g *Guard
}

var errNoDevice = errors.New("mochi: not a device's connection")

// ID implements mqtt.Hook.
func (h *hook) ID() string { return "openalink-guard" }

// Provides implements mqtt.Hook.
func (h *hook) Provides(b byte) bool {
	return slices.Contains([]byte{
		mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSessionEstablished, mqtt.OnPacketRead, mqtt.OnPacketEncode,
	}, b)
}

// Stop implements mqtt.Hook.
func (h *hook) Stop() error {
	h.g.stop()
	return nil
}

func connOf(cl *mqtt.Client) *conn {
	c, _ := cl.Net.Conn.(*conn)
	return c
}

// OnConnect asks the platform. It is the one place that can refuse with a reason
// and that no other hook can overrule: any hook may say yes to OnConnectAuthenticate.
func (h *hook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	c := connOf(cl)
	if c == nil {
		return nil
	}
	return c.login(cl)
}

// OnConnectAuthenticate implements mqtt.Hook: who got here is in.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	return connOf(cl) != nil
}

// OnACLCheck implements mqtt.Hook: mochi has nothing to do with what devices
// publish and hear.
func (h *hook) OnACLCheck(*mqtt.Client, string, bool) bool { return false }

// OnSessionEstablished implements mqtt.Hook: the CONNACK is written.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if c := connOf(cl); c != nil {
		c.start()
	}
}

// OnPacketEncode sets the session-present flag, which is the platform's to know.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if c := connOf(cl); c != nil && pk.FixedHeader.Type == packets.Connack {
		pk.SessionPresent = c.present
	}
	return pk
}

// taken is what mochi is given in place of a packet that was taken: an
// acknowledgement of nothing.
var taken = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}

// OnPacketRead takes what a device sends. The sieve let only well-formed packets
// through.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	if c == nil {
		return pk, nil
	}
	ok := true
	switch pk.FixedHeader.Type {
	case packets.Publish:
		ok = c.publish(&pk)
	case packets.Puback:
		c.puback(pk.PacketID)
	case packets.Subscribe:
		c.subscribe(&pk)
	case packets.Unsubscribe:
		c.unsubscribe(&pk)
	case packets.Pingreq:
		c.queue(outgoing{pk: packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingresp}}})
	default: // CONNECT and DISCONNECT
		return pk, nil
	}
	if !ok || !c.pause() {
		return pk, packets.ErrRejectPacket
	}
	return taken, nil
}

func (c *conn) subscribe(pk *packets.Packet) {
	filters := make([]hal.Filter, len(pk.Filters))
	for i, f := range pk.Filters {
		filters[i] = hal.Filter{Topic: f.Filter, QoS: qos(f.Qos)}
	}
	codes := make([]byte, len(filters))
	for i := range codes {
		codes[i] = byte(hal.Refused)
	}
	if s, ok := c.sess.(hal.Subscriber); ok {
		for i, grant := range s.Subscribe(c.ctx, filters) {
			if i < len(codes) {
				codes[i] = byte(grant)
			}
		}
	}
	c.queue(outgoing{pk: packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Suback}, PacketID: pk.PacketID, ReasonCodes: codes,
	}})
}

func (c *conn) unsubscribe(pk *packets.Packet) {
	filters := make([]string, len(pk.Filters))
	for i, f := range pk.Filters {
		filters[i] = f.Filter
	}
	if s, ok := c.sess.(hal.Subscriber); ok {
		s.Unsubscribe(c.ctx, filters)
	}
	c.queue(outgoing{pk: packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsuback}, PacketID: pk.PacketID}})
}

var codes = map[hal.Reason]mqttwire.Code{
	hal.BadVersion:     mqttwire.BadVersion,
	hal.BadClientID:    mqttwire.BadClientID,
	hal.Unavailable:    mqttwire.Unavailable,
	hal.BadCredentials: mqttwire.BadCredentials,
	hal.NotAuthorized:  mqttwire.NotAuthorized,
}

// codeOf maps an error of Access.Connect to the codes of MQTT 3.1 and 3.1.1.
func codeOf(err error) mqttwire.Code {
	if r, ok := errors.AsType[*hal.RefusedError](err); ok && codes[r.Reason] != 0 {
		return codes[r.Reason]
	}
	return mqttwire.Unavailable
}
