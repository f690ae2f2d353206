// SPDX-License-Identifier: Apache-2.0

package main

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// staff is a hook that was there before the devices came: people and their
// programs log in with a password, and may listen to everything.
type staff struct {
	mqtt.HookBase
	passwords map[string]string
}

func (*staff) ID() string { return "staff" }

func (*staff) Provides(b byte) bool { return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck }

func (s *staff) OnConnectAuthenticate(_ *mqtt.Client, pk packets.Packet) bool {
	want, known := s.passwords[string(pk.Connect.Username)]
	return known && want == string(pk.Connect.Password)
}

func (s *staff) OnACLCheck(cl *mqtt.Client, _ string, write bool) bool {
	_, known := s.passwords[string(cl.Properties.Username)]
	return known && !write
}
