// SPDX-License-Identifier: Apache-2.0

// Package mochi lets devices in through a mochi broker (github.com/mochi-mqtt/server)
// that a program runs already. Its other listeners, hooks and clients stay what
// they are; devices come in at listeners the guard wraps:
//
//	server := mqtt.New(nil)
//	guard, err := mochi.New(server, mochi.Config{Access: h})
//	err = server.AddListener(guard.Wrap(listeners.NewTCP(listeners.Config{ID: "devices", Address: ":1883"})))
//	err = server.Serve()
//
// Who comes in there is a device: the platform decides about its login, its
// messages and its subscriptions, and is what it talks to. The broker keeps
// nothing of it, no session, no subscription, no will. With Config.Forward the
// broker's own clients hear what devices said, once it is durable.
//
// The guard stands on both sides of mochi's packet code. Only well-formed packets
// of MQTT 3.1 and 3.1.1 reach its decoder, a panic costs one connection, and a
// connection without a CONNECT ends. docs/brokers.md tells what differs from
// hal/mqttd.
package mochi
