// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/modbus"
	"github.com/openalink/iot/hub"
)

// boiler is a boiler whose temperature is read and whose target is set.
func boiler(ctx context.Context, out io.Writer, h *hub.Hub, b *bridge.Bridge) error {
	addr, err := freePort()
	if err != nil {
		return err
	}
	sim := &simulator{words: [200]uint16{0: 615, 100: 60}}
	srv, err := wire.NewServer(&wire.ServerConfiguration{
		URL: "tcp://" + addr, Timeout: time.Minute, MaxClients: 2, Logger: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}, sim)
	if err != nil {
		return err
	}
	if err := srv.Start(); err != nil {
		return err
	}
	defer srv.Stop()
	p := &modbus.Poller{
		Bridge: b, Identity: "boiler-3", URL: "tcp://" + addr, Unit: 1, Every: 100 * time.Millisecond,
		Registers: []modbus.Register{
			{Property: "Temperature", Address: 0, Type: modbus.Int16, Scale: 0.1},
			{Property: "Target", Address: 100, Writable: true},
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { _ = p.Run(ctx) }) // ends with ctx
	defer work.Wait()
	defer cancel()
	if err := show(ctx, out, h, "boiler", "Temperature", "Target"); err != nil {
		return err
	}
	if _, err := h.SetProperties(ctx, id("boiler"), map[string]int{"Target": 65}, hub.CallOptions{}); err != nil {
		return err
	}
	fmt.Fprintf(out, "the boiler heats to %d\n", sim.get(100))
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// simulator is a boiler with holding registers.
type simulator struct {
	mu    sync.Mutex
	words [200]uint16
}

func (s *simulator) get(addr uint16) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.words[addr]
}

func (s *simulator) HandleHoldingRegisters(r *wire.HoldingRegistersRequest) ([]uint16, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := int(r.Addr) + int(r.Quantity)
	if end > len(s.words) {
		return nil, wire.ErrIllegalDataAddress
	}
	if r.IsWrite {
		copy(s.words[r.Addr:end], r.Args)
	}
	return append([]uint16(nil), s.words[r.Addr:end]...), nil
}

func (*simulator) HandleCoils(*wire.CoilsRequest) ([]bool, error) {
	return nil, wire.ErrIllegalFunction
}

func (*simulator) HandleDiscreteInputs(*wire.DiscreteInputsRequest) ([]bool, error) {
	return nil, wire.ErrIllegalFunction
}

func (*simulator) HandleInputRegisters(*wire.InputRegistersRequest) ([]uint16, error) {
	return nil, wire.ErrIllegalFunction
}
