// SPDX-License-Identifier: Apache-2.0

package modbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	wire "github.com/simonvetter/modbus"

	"github.com/openalink/iot/bridge"
)

// Poller is one Modbus device on a bridge. Its fields must not change after Run
// began.
type Poller struct {
	Bridge *bridge.Bridge
	// Identity is the device's original identity.
	Identity string
	// URL reaches the device: "tcp://host:port", or "rtuovertcp://host:port" for RTU
	// frames behind a serial server.
	URL string
	// Unit is the device's address behind a gateway or on a line.
	Unit uint8
	// Registers is the map. Two with one property are an error.
	Registers []Register
	// Every is the time between two readings; zero is 10 s.
	Every time.Duration
	// Timeout bounds each request; zero is 2 s.
	Timeout time.Duration
	// Misses is how many readings in a row may fail before the device is offline;
	// zero is 3. It is tried again all the time. A reading of which the device refuses a
	// part, with an exception, is one without that part; refusing all of it is a failure.
	Misses int
	// Logger hears of failed readings; nil is silent.
	Logger *slog.Logger

	mu     sync.Mutex // one request at a time
	client *wire.ModbusClient
	again  chan struct{} // capacity 1: read now
}

func (p *Poller) check() error {
	if p.Bridge == nil || p.Identity == "" || len(p.Registers) == 0 {
		return fmt.Errorf("%w: a Poller needs Bridge, Identity and Registers", ErrMap)
	}
	if !strings.HasPrefix(p.URL, "tcp://") && !strings.HasPrefix(p.URL, "rtuovertcp://") {
		return fmt.Errorf("%w: URL %q is neither tcp:// nor rtuovertcp://", ErrMap, p.URL)
	}
	seen := make(map[string]bool)
	for i := range p.Registers {
		r := &p.Registers[i]
		if err := r.check(); err != nil {
			return err
		}
		if seen[r.Property] {
			return fmt.Errorf("%w: %s is there twice", ErrMap, r.Property)
		}
		seen[r.Property] = true
	}
	if p.Every == 0 {
		p.Every = 10 * time.Second
	}
	if p.Timeout == 0 {
		p.Timeout = 2 * time.Second
	}
	if p.Misses == 0 {
		p.Misses = 3
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Run reads the device until ctx ends, and returns its error; a map that cannot be
// right is ErrMap at once. The device is online while it answers.
func (p *Poller) Run(ctx context.Context) error {
	if err := p.check(); err != nil {
		return err
	}
	conf := &wire.ClientConfiguration{URL: p.URL, Timeout: p.Timeout, Speed: 115200, Logger: slog.NewLogLogger(p.Logger.Handler(), slog.LevelDebug)}
	var err error
	if p.client, err = wire.NewClient(conf); err == nil {
		err = p.client.SetUnitId(p.Unit)
	}
	if err != nil {
		return fmt.Errorf("modbus: %w", err)
	}
	p.again = make(chan struct{}, 1)
	l := &line{p: p, blocks: plan(p.Registers)}
	defer l.end()
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	for {
		l.poll(ctx)
		select {
		case <-tick.C:
		case <-p.again:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// line is a Poller that runs.
type line struct {
	p       *Poller
	blocks  []block
	open    bool // the connection; guarded by p.mu
	misses  int
	session *bridge.Session
}

// poll reads once and posts.
func (l *line) poll(ctx context.Context) {
	values, err := l.read()
	if err != nil {
		l.p.Logger.Warn("reading failed", "identity", l.p.Identity, "error", err)
		if l.misses++; l.misses >= l.p.Misses {
			l.offline(ctx)
		}
		return
	}
	l.misses = 0
	if l.session == nil || l.session.Cause() != nil {
		s := bridge.NewSession(l.p.Identity, channel{}, bridge.SessionOptions{Downlink: l})
		if err := l.p.Bridge.Online(ctx, s); err != nil {
			l.p.Logger.Warn("not online", "identity", l.p.Identity, "error", err)
			return
		}
		l.session = s
	}
	if len(values) > 0 { // numbers that are none are left out
		l.p.Bridge.PublishAsync(ctx, l.p.Identity, bridge.Properties(values))
	}
}

// channel is where a device has no connection of its own: the next reading finds
// out that the session ended.
type channel struct{}

func (channel) Send(context.Context, any) error { return errors.ErrUnsupported }
func (channel) Close(error)                     {}

func (l *line) offline(ctx context.Context) {
	if s := l.session; s != nil {
		l.session = nil
		if s.Cause() == nil {
			_ = l.p.Bridge.Offline(ctx, l.p.Identity) // it may have ended meanwhile
		}
	}
}

// end closes the connection and the session.
func (l *line) end() {
	l.p.mu.Lock()
	l.close()
	l.p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), l.p.Timeout)
	defer cancel()
	l.offline(ctx)
}

// close closes the connection; p.mu is held.
func (l *line) close() {
	if l.open {
		_ = l.p.client.Close()
		l.open = false
	}
}

// with runs a request over an open connection. One that failed on the wire, not
// refused by the device, closes it.
func (l *line) with(f func(c *wire.ModbusClient) error) error {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if !l.open {
		if err := l.p.client.Open(); err != nil {
			return fmt.Errorf("modbus: %w", err)
		}
		l.open = true
	}
	if err := f(l.p.client); err != nil {
		if !refused(err) {
			l.close()
		}
		return fmt.Errorf("modbus: %w", err)
	}
	return nil
}

func refused(err error) bool {
	return slices.ContainsFunc([]error{
		wire.ErrIllegalFunction, wire.ErrIllegalDataAddress, wire.ErrIllegalDataValue, wire.ErrServerDeviceFailure, wire.ErrServerDeviceBusy,
	}, func(e error) bool { return errors.Is(err, e) })
}

// read reads all blocks. Those the device refuses are left out, unless it refuses all.
func (l *line) read() (map[string]any, error) {
	values := make(map[string]any, len(l.p.Registers))
	var refusal error
	taken := 0
	for _, b := range l.blocks {
		var words []uint16
		err := l.with(func(c *wire.ModbusClient) (err error) {
			words, err = b.read(c)
			return err
		})
		if refused(err) {
			refusal = err
			l.p.Logger.Warn("reading refused", "identity", l.p.Identity, "kind", b.kind, "address", b.start, "count", b.count, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		taken++
		if len(words) < b.count {
			return nil, fmt.Errorf("modbus: %d words instead of %d", len(words), b.count)
		}
		for _, r := range b.regs {
			at := int(r.Address - b.start)
			if v, ok := r.value(words[at : at+r.size()]); ok {
				values[r.Property] = v
			}
		}
	}
	if taken == 0 {
		return nil, refusal
	}
	return values, nil
}

func (b *block) read(c *wire.ModbusClient) ([]uint16, error) {
	n := uint16(b.count)
	var bits []bool
	var err error
	switch b.kind {
	case Holding:
		return c.ReadRegisters(b.start, n, wire.HOLDING_REGISTER)
	case Input:
		return c.ReadRegisters(b.start, n, wire.INPUT_REGISTER)
	case Coil:
		bits, err = c.ReadCoils(b.start, n)
	default:
		bits, err = c.ReadDiscreteInputs(b.start, n)
	}
	words := make([]uint16, len(bits))
	for i, on := range bits {
		if on {
			words[i] = 1
		}
	}
	return words, err
}

// Push implements bridge.Downlink: it writes properties, and has the device read
// again, so that the platform sees what became of them.
func (l *line) Push(_ context.Context, r *bridge.Request) (any, error) {
	if r.Kind != bridge.PropertySet {
		return nil, bridge.ErrNoDownlink
	}
	var values map[string]any
	if err := json.Unmarshal(r.Params, &values); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrValue, err)
	}
	type write struct {
		reg   *Register
		words []uint16
	}
	var writes []write
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(l.p.Registers, func(r Register) bool { return r.Property == name && r.Writable })
		if i < 0 {
			return nil, fmt.Errorf("%w: %s cannot be set", ErrValue, name)
		}
		words, err := l.p.Registers[i].encode(values[name])
		if err != nil {
			return nil, err
		}
		writes = append(writes, write{&l.p.Registers[i], words})
	}
	for _, w := range writes {
		if err := l.with(func(c *wire.ModbusClient) error { return w.reg.write(c, w.words) }); err != nil {
			return nil, err
		}
	}
	select {
	case l.p.again <- struct{}{}:
	default:
	}
	return nil, nil
}

func (r *Register) write(c *wire.ModbusClient, words []uint16) error {
	if r.Mask != 0 {
		was, err := c.ReadRegisters(r.Address, uint16(len(words)), wire.HOLDING_REGISTER)
		if err != nil {
			return err
		}
		if len(was) != len(words) {
			return fmt.Errorf("%d words instead of %d", len(was), len(words))
		}
		words = r.split(r.join(was)&^uint64(r.Mask) | r.join(words))
	}
	switch {
	case r.Kind == Coil:
		return c.WriteCoil(r.Address, words[0] != 0)
	case len(words) == 1:
		return c.WriteRegister(r.Address, words[0])
	}
	return c.WriteRegisters(r.Address, words)
}
