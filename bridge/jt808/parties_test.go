// SPDX-License-Identifier: Apache-2.0

package jt808_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge/jt808"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/party"
	"github.com/openalink/iot/store/mem"
)

// The other processes of TestFleet: this binary, in a role.
const (
	rolePlatform  = "platform"
	roleTerminals = "terminals"

	gatewayProduct  = "a1bridge000"
	terminalProduct = "a1terminals"
)

// play is the life of another process; it ends with its standard input.
func play(in *json.Decoder, out *json.Encoder) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if party.Role() == rolePlatform {
		return platform(ctx, in, out)
	}
	return terminals(ctx, in, out)
}

// platformInfo tells where a platform is and who its devices are.
type platformInfo struct {
	Addr       string
	Gateways   [7]string       // their secrets
	Identities json.RawMessage // of terminals, by number
}

// platform serves n terminals, then counts what arrived, once asked.
func platform(ctx context.Context, in *json.Decoder, out *json.Encoder) error {
	var n int
	if err := in.Decode(&n); err != nil {
		return err
	}
	limits := hub.DefaultLimits()
	h, err := hub.Open(ctx, hub.Config{Store: mem.New(), Limits: &limits})
	if err != nil {
		return err
	}
	defer h.Close()
	info, err := register(ctx, h, n)
	if err != nil {
		return err
	}
	door, err := mqttd.New(mqttd.Config{Access: h})
	if err != nil {
		return err
	}
	defer door.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = door.Serve(l) }()
	info.Addr = l.Addr().String()
	if err := out.Encode(info); err != nil {
		return err
	}
	var word string
	for in.Decode(&word) == nil {
		arrived, err := count(ctx, h)
		if err == nil {
			err = out.Encode(arrived)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func register(ctx context.Context, h *hub.Hub, n int) (*platformInfo, error) {
	for _, p := range []hub.Product{{Key: gatewayProduct, Gateway: true}, {Key: terminalProduct}} {
		if _, err := h.CreateProduct(ctx, p); err != nil {
			return nil, err
		}
	}
	info := new(platformInfo)
	for i := range info.Gateways {
		d, err := h.RegisterDevice(ctx, hub.Device{ID: gatewayID(i)})
		if err != nil {
			return nil, err
		}
		info.Gateways[i] = d.Secret.Reveal()
	}
	var list bytes.Buffer
	for i := range n {
		d, err := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: terminalProduct, Name: phone(i)}})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&list, `,%q:{"productKey":%q,"deviceName":%q,"deviceSecret":%q}`, phone(i), terminalProduct, phone(i), d.Secret.Reveal())
	}
	info.Identities = append([]byte{'{'}, append(list.Bytes()[1:], '}')...)
	return info, nil
}

// count returns how many different locations the message log has.
func count(ctx context.Context, h *hub.Hub) (int, error) {
	seen := make(map[string]bool)
	for m, err := range h.Messages(ctx, hub.MessageQuery{}) {
		if err != nil {
			return 0, err
		}
		if m.Device.Product != terminalProduct || !strings.HasSuffix(m.Topic, "/thing/event/property/post") {
			continue
		}
		var post struct {
			Params struct {
				Altitude struct{ Value int }
			}
		}
		if err := json.Unmarshal(m.Payload, &post); err != nil {
			return 0, err
		}
		seen[fmt.Sprint(m.Device.Name, " ", post.Params.Altitude.Value)] = true
	}
	return len(seen), nil
}

func gatewayID(i int) iot.DeviceID {
	return iot.DeviceID{Product: gatewayProduct, Name: fmt.Sprint("bridge-", i)}
}

func phone(i int) string { return fmt.Sprint(13_800_000_000 + int64(i)) }

// fleetOrder is what the terminals are told, fleetResult what they tell.
type fleetOrder struct {
	Addr              string
	Terminals, Rounds int
	Every             time.Duration
}

type fleetResult struct {
	Confirmed, Repeated int
	Took                time.Duration
}

// terminals come in, wait for a word, and report: each at a moment of its own.
func terminals(ctx context.Context, in *json.Decoder, out *json.Encoder) error {
	var order fleetOrder
	if err := in.Decode(&order); err != nil {
		return err
	}
	fleet := make([]*persistent, order.Terminals)
	var coming sync.WaitGroup
	for i := range fleet {
		fleet[i] = &persistent{addr: order.Addr, phone: phone(i)}
		coming.Go(func() { fleet[i].dial(ctx) })
	}
	coming.Wait()
	var word string
	if err := errors.Join(out.Encode("in"), in.Decode(&word)); err != nil {
		return err
	}
	if err := out.Encode(reportAll(ctx, fleet, order)); err != nil {
		return err
	}
	for in.Decode(&word) == nil {
		continue // they stay until the test ends
	}
	for _, p := range fleet {
		_ = p.term.Close()
	}
	return nil
}

func reportAll(ctx context.Context, fleet []*persistent, order fleetOrder) fleetResult {
	var all sync.WaitGroup
	var confirmed, repeated atomic.Int64
	begin := time.Now()
	for i, p := range fleet {
		all.Go(func() {
			phase := order.Every * time.Duration(i) / time.Duration(len(fleet))
			for round := range order.Rounds {
				p.rest(ctx, begin.Add(phase+time.Duration(round)*order.Every))
				repeated.Add(p.report(ctx, uint16(round)))
				confirmed.Add(1)
			}
		})
	}
	all.Wait()
	return fleetResult{int(confirmed.Load()), int(repeated.Load()), time.Since(begin)}
}

// persistent is a terminal that comes back and repeats, as they do.
type persistent struct {
	addr, phone string
	term        *jt808.Terminal
}

func (p *persistent) dial(ctx context.Context) {
	for {
		p.term = &jt808.Terminal{Phone: p.phone, Version: jt808.V2013, Register: jt808.Register{Plate: "A" + p.phone[5:]}}
		if p.term.Dial(ctx, p.addr) == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// rest waits until a moment, and comes back at once when it loses its connection.
func (p *persistent) rest(ctx context.Context, until time.Time) {
	wake := time.NewTimer(time.Until(until))
	defer wake.Stop()
	for {
		select {
		case <-wake.C:
			return
		case <-p.term.Done():
			p.again(ctx)
		}
	}
}

func (p *persistent) again(ctx context.Context) {
	_ = p.term.Close()
	p.dial(ctx)
}

// report sends a location until it is confirmed, and returns how often it had to
// be repeated.
func (p *persistent) report(ctx context.Context, round uint16) (again int64) {
	loc := jt808.Location{Latitude: 30.25, Longitude: 120.15, Altitude: round, Speed: 60, Status: jt808.StatusFixed, Time: time.Now().Truncate(time.Second)}
	for p.term.Report(ctx, loc) != nil {
		p.again(ctx)
		again++
	}
	return again
}
