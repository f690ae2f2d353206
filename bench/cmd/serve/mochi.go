// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// startMochi runs the broker bare: it allows all and stores nothing.
func (s *server) startMochi(l net.Listener) error {
	b := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := b.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if s.count {
		if err := b.AddHook(&counter{meter: s.meter}, nil); err != nil {
			return err
		}
	} else {
		s.received = &b.Info.MessagesReceived
	}
	if err := b.AddListener(listeners.NewNet("bench", l)); err != nil {
		return err
	}
	if err := b.Serve(); err != nil {
		return err
	}
	s.stop = append(s.stop, func() { _ = b.Close() })
	return nil
}

// counter counts messages where the broker hands them to an application.
type counter struct {
	mochi.HookBase
	meter *meter
}

func (*counter) ID() string { return "counter" }

func (*counter) Provides(b byte) bool { return b == mochi.OnPublish }

func (c *counter) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	c.meter.messages.Add(1)
	return p, nil
}
