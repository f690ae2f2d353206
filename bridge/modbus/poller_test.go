// SPDX-License-Identifier: Apache-2.0

package modbus_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	wire "github.com/simonvetter/modbus"
	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/bridge/modbus"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newBridge(t testing.TB) (*iottest.Hub, *bridge.Bridge, iot.DeviceID) {
	t.Helper()
	p := iottest.NewHub(t)
	if _, err := p.CreateProduct(t.Context(), hub.Product{Key: "a1bridge000", Gateway: true}); err != nil {
		t.Fatal(err)
	}
	gw, err := p.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: "a1bridge000", Name: "bridge"}})
	if err != nil {
		t.Fatal(err)
	}
	d := p.Register()
	b, err := bridge.New(bridge.Config{
		Gateways:   []device.GatewayConfig{{Config: device.Config{Identity: hal.Identity{Device: gw.ID, DeviceSecret: gw.Secret}, Transport: mem.NewTransport(p)}}},
		Identities: bridge.Map{"plc": {Device: d.ID, DeviceSecret: d.Secret}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, b, d.ID
}

// plc is a simulated device: the handler of the library's server.
type plc struct {
	mu    sync.Mutex
	words map[uint16]uint16
	coils map[uint16]bool
}

func (d *plc) HandleCoils(r *wire.CoilsRequest) ([]bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []bool
	for i := range r.Quantity {
		if r.IsWrite {
			d.coils[r.Addr+i] = r.Args[i]
		}
		out = append(out, d.coils[r.Addr+i])
	}
	return out, nil
}

func (d *plc) HandleDiscreteInputs(r *wire.DiscreteInputsRequest) ([]bool, error) {
	return make([]bool, r.Quantity), nil
}

func (d *plc) HandleHoldingRegisters(r *wire.HoldingRegistersRequest) ([]uint16, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.UnitId != 3 {
		return nil, wire.ErrIllegalFunction
	}
	var out []uint16
	for i := range r.Quantity {
		if r.IsWrite {
			d.words[r.Addr+i] = r.Args[i]
		}
		out = append(out, d.words[r.Addr+i])
	}
	return out, nil
}

func (d *plc) HandleInputRegisters(r *wire.InputRegistersRequest) ([]uint16, error) {
	return make([]uint16, r.Quantity), nil
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func serve(t testing.TB, addr string, d *plc) *wire.ModbusServer {
	t.Helper()
	s, err := wire.NewServer(&wire.ServerConfiguration{URL: "tcp://" + addr, Timeout: time.Minute, MaxClients: 5, Logger: slog.NewLogLogger(slog.DiscardHandler, 0)}, d)
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func run(t testing.TB, p *modbus.Poller) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatal("never: ", what)
		}
	}
}

// Registers become properties, property sets become writes, and a device that
// does not answer is offline until it does again.
func TestPoller(t *testing.T) {
	p, b, id := newBridge(t)
	addr := freePort(t)
	d := &plc{words: map[uint16]uint16{10: 215, 11: 0x0001, 12: 0x0000}, coils: map[uint16]bool{}}
	s := serve(t, addr, d)
	run(t, &modbus.Poller{
		Bridge: b, Identity: "plc", URL: "tcp://" + addr, Unit: 3, Every: 20 * time.Millisecond, Timeout: time.Second, Misses: 2,
		Registers: []modbus.Register{
			{Property: "Temperature", Address: 10, Type: modbus.Int16, Scale: 0.1},
			{Property: "Energy", Address: 11, Type: modbus.Uint32},
			{Property: "Target", Address: 20, Type: modbus.Float32, Writable: true},
			{Property: "Power", Kind: modbus.Coil, Address: 1, Writable: true},
			{Property: "Name", Address: 30, Type: modbus.Text, Length: 4, Writable: true},
			{Property: "Mode", Address: 40, Mask: 3 << 4, Writable: true},
			{Property: "Lock", Address: 40, Mask: 1 << 15, Writable: true},
			{Property: "Offset", Address: 41, Type: modbus.Int16, Scale: 0.1, Offset: -5, Writable: true},
		},
	})
	waitFor(t, "values", func() bool {
		v := p.Values(id)
		return v["Temperature"] == "21.5" && v["Energy"] == "65536" && v["Power"] == "0"
	})
	if _, err := p.SetProperties(t.Context(), id, map[string]any{"Target": 23.5, "Power": 1}, hub.CallOptions{}); err != nil {
		t.Error(err)
	}
	waitFor(t, "what was set", func() bool { v := p.Values(id); return v["Target"] == "23.5" && v["Power"] == "1" })
	d.mu.Lock()
	d.words[40] = 0x0f0f
	d.mu.Unlock()
	if _, err := p.SetProperties(t.Context(), id, map[string]any{"Name": "P-1", "Mode": 2, "Lock": 1, "Offset": -7.3}, hub.CallOptions{}); err != nil {
		t.Error(err)
	}
	waitFor(t, "bits and text", func() bool {
		v := p.Values(id)
		return v["Name"] == `"P-1"` && v["Mode"] == "2" && v["Lock"] == "1" && v["Offset"] == "-7.3"
	})
	d.mu.Lock()
	if got := []uint16{d.words[40], d.words[30], d.words[31], d.words[41]}; !slices.Equal(got, []uint16{0x8f2f, 0x502d, 0x3100, 0xffe9}) {
		t.Errorf("%#x", got)
	}
	d.mu.Unlock()
	for _, bad := range []map[string]any{{"Name": "too long a name"}, {"Mode": 4}, {"Temperature": 1}, {"Power": 2}, {"Nothing": 1}, {"Target": "warm"}} {
		if _, err := p.SetProperties(t.Context(), id, bad, hub.CallOptions{}); err == nil {
			t.Errorf("%v is set", bad)
		}
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "offline", func() bool { return !p.Online(id) })
	d.words[10] = 220
	serve(t, addr, d)
	waitFor(t, "back", func() bool { return p.Values(id)["Temperature"] == "22" && p.Online(id) })
}

// pdus answers requests by the examples of the specification, over Modbus TCP.
func pdus(t testing.TB, answers map[string]string) string {
	t.Helper()
	return listen(t, func(nc net.Conn) { talk(nc, answers) })
}

// listen serves connections until the end of the test, and returns where.
func listen(t testing.TB, serve func(nc net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	work.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { serve(nc) })
		}
	})
	return l.Addr().String()
}

func talk(nc net.Conn, answers map[string]string) {
	defer nc.Close()
	head := make([]byte, 7)
	for {
		if _, err := io.ReadFull(nc, head); err != nil {
			return
		}
		pdu := make([]byte, binary.BigEndian.Uint16(head[4:])-1)
		if _, err := io.ReadFull(nc, pdu); err != nil {
			return
		}
		answer, _ := hex.DecodeString(answers[hex.EncodeToString(pdu)])
		if len(answer) == 0 {
			answer = []byte{pdu[0] | 0x80, 2}
		}
		binary.BigEndian.PutUint16(head[4:], uint16(len(answer)+1))
		if _, err := nc.Write(append(append([]byte{}, head...), answer...)); err != nil {
			return
		}
	}
}

// The examples of the specification V1.1b3: sections 6.1 (coils 20 to 38), 6.3
// (registers 108 to 110) and 6.6 (register 2 set to 3).
func TestSpecificationExamples(t *testing.T) {
	p, b, id := newBridge(t)
	addr := pdus(t, map[string]string{
		"0100130013": "0103cd6b05",
		"03006b0003": "0306022b00000064",
		"0300010001": "03020003",
		"0600010003": "0600010003",
	})
	regs := []modbus.Register{{Property: "Set", Address: 1, Writable: true}}
	for i := range 3 {
		regs = append(regs, modbus.Register{Property: fmt.Sprint("R", 108+i), Address: uint16(107 + i)})
	}
	for i := range 19 {
		regs = append(regs, modbus.Register{Property: fmt.Sprint("C", 20+i), Kind: modbus.Coil, Address: uint16(19 + i)})
	}
	run(t, &modbus.Poller{Bridge: b, Identity: "plc", URL: "tcp://" + addr, Unit: 17, Every: time.Hour, Registers: regs})
	waitFor(t, "values", func() bool { return len(p.Values(id)) == 23 })
	v := p.Values(id)
	if v["R108"] != "555" || v["R109"] != "0" || v["R110"] != "100" || v["Set"] != "3" {
		t.Errorf("%v", v)
	}
	for i, c := range "1011001111010110101" { // cd 6b 05, the lowest bit first
		if got := v[fmt.Sprint("C", 20+i)]; got != string(c) {
			t.Errorf("coil %d is %s, want %c", 20+i, got, c)
		}
	}
	if _, err := p.SetProperties(t.Context(), id, map[string]int{"Set": 3}, hub.CallOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := p.SetProperties(t.Context(), id, map[string]int{"Set": 4}, hub.CallOptions{}); err == nil {
		t.Error("an exception of the device is success")
	}
}

// A part the device refuses is left out; the rest arrives.
func TestRefusedPart(t *testing.T) {
	p, b, id := newBridge(t)
	addr := pdus(t, map[string]string{"0300010001": "03020007"})
	run(t, &modbus.Poller{
		Bridge: b, Identity: "plc", URL: "tcp://" + addr, Every: 10 * time.Millisecond, Misses: 1,
		Registers: []modbus.Register{{Property: "A", Address: 1}, {Property: "B", Address: 9}, {Property: "C", Kind: modbus.Discrete}},
	})
	waitFor(t, "the rest", func() bool { return p.Values(id)["A"] == "7" })
	if v := p.Values(id); len(v) != 1 || !p.Online(id) {
		t.Errorf("%v, online %v", v, p.Online(id))
	}
}

// A device that takes connections and says nothing is offline, and online again when it
// answers.
func TestSilent(t *testing.T) {
	p, b, id := newBridge(t)
	addr := pdus(t, map[string]string{"0300010001": "03020007"})
	var silent atomic.Bool
	front := listen(t, func(nc net.Conn) { relay(nc, addr, &silent) })
	run(t, &modbus.Poller{
		Bridge: b, Identity: "plc", URL: "tcp://" + front, Every: 10 * time.Millisecond, Timeout: 200 * time.Millisecond, Misses: 2,
		Registers: []modbus.Register{{Property: "A", Address: 1}},
	})
	waitFor(t, "online", func() bool { return p.Online(id) })
	silent.Store(true)
	waitFor(t, "offline", func() bool { return !p.Online(id) })
	silent.Store(false)
	waitFor(t, "online again", func() bool { return p.Online(id) })
}

// relay takes requests to addr and the answers back, unless it is silent.
func relay(nc net.Conn, addr string, silent *atomic.Bool) {
	defer nc.Close()
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer to.Close()
	buf := make([]byte, 300)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		if silent.Load() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
		if n, err = to.Read(buf); err != nil {
			return
		}
		if _, err := nc.Write(buf[:n]); err != nil {
			return
		}
	}
}

// RTU frames over TCP carry a checksum instead of a length.
func TestRTUOverTCP(t *testing.T) {
	p, b, id := newBridge(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	work.Go(func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		req := make([]byte, 8)
		for {
			if _, err := io.ReadFull(nc, req); err != nil || hex.EncodeToString(req) != "010300000001840a" {
				return
			}
			answer, _ := hex.DecodeString("01030200d7f81a") // 215
			if _, err := nc.Write(answer); err != nil {
				return
			}
		}
	})
	run(t, &modbus.Poller{
		Bridge: b, Identity: "plc", URL: "rtuovertcp://" + l.Addr().String(), Unit: 1, Every: time.Hour,
		Registers: []modbus.Register{{Property: "T", Scale: 0.1}},
	})
	waitFor(t, "the value", func() bool { return p.Values(id)["T"] == "21.5" })
}

func TestBadMaps(t *testing.T) {
	_, b, _ := newBridge(t)
	one := []modbus.Register{{Property: "A"}}
	for name, p := range map[string]*modbus.Poller{
		"nothing":      {},
		"serial":       {Bridge: b, Identity: "plc", URL: "rtu:///dev/ttyS0", Registers: one},
		"twice":        {Bridge: b, Identity: "plc", URL: "tcp://x", Registers: append(one, one...)},
		"past the end": {Bridge: b, Identity: "plc", URL: "tcp://x", Registers: []modbus.Register{{Property: "A", Address: 65535, Type: modbus.Uint32}}},
		"input set":    {Bridge: b, Identity: "plc", URL: "tcp://x", Registers: []modbus.Register{{Property: "A", Kind: modbus.Input, Writable: true}}},
		"long text":    {Bridge: b, Identity: "plc", URL: "tcp://x", Registers: []modbus.Register{{Property: "A", Type: modbus.Text, Length: 124}}},
		"empty text":   {Bridge: b, Identity: "plc", URL: "tcp://x", Registers: []modbus.Register{{Property: "A", Type: modbus.Text}}},
		"wide mask":    {Bridge: b, Identity: "plc", URL: "tcp://x", Registers: []modbus.Register{{Property: "A", Mask: 1 << 16}}},
		"bits of real": {Bridge: b, Identity: "plc", URL: "tcp://x", Registers: []modbus.Register{{Property: "A", Type: modbus.Float32, Mask: 1}}},
		"no property":  {Bridge: b, Identity: "plc", URL: "tcp://x", Registers: []modbus.Register{{}}},
	} {
		if err := p.Run(t.Context()); !errors.Is(err, modbus.ErrMap) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
