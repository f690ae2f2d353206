// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	storemem "github.com/openalink/iot/store/mem"
)

// heaters is the handler of a protocol of lines: a heater says HELLO and its serial
// number, then TEMP and a number every minute, or PING, and is told TARGET and a
// number.
type heaters struct{}

// Serve takes a line of a heater.
func (heaters) Serve(ctx context.Context, c *bridge.Conn, m any) error {
	verb, arg, _ := strings.Cut(string(m.([]byte)), " ")
	switch verb {
	case "HELLO":
		_, err := c.Online(ctx, arg, bridge.SessionOptions{Heartbeat: time.Minute, Probes: 2, Downlink: bridge.DownlinkFunc(down)})
		if err != nil {
			return err // ends the connection
		}
		return c.Send(ctx, "WELCOME\n")
	case "TEMP":
		degrees, err := strconv.ParseFloat(arg, 64)
		if err != nil {
			return err
		}
		// Queued. Wait for the Result where the device must know that it arrived.
		c.Publish(ctx, bridge.Properties(map[string]any{"Temperature": degrees}))
		return nil
	case "PING":
		return c.Send(ctx, "PONG\n")
	}
	return fmt.Errorf("heaters: no such line: %q", verb)
}

// down takes what the platform wants of a heater.
func down(ctx context.Context, r *bridge.Request) (any, error) {
	if r.Kind != bridge.PropertySet {
		return nil, bridge.ErrNoDownlink
	}
	var set struct{ Target float64 }
	if err := json.Unmarshal(r.Params, &set); err != nil {
		return nil, err
	}
	return nil, r.Session.Channel().Send(ctx, fmt.Sprintf("TARGET %g\n", set.Target))
}

// A whole program: a protocol of its own over TCP.
func Example_lines() {
	ctx := context.Background()
	h, gateway, heater := heatersPlatform(ctx)
	defer h.Close()

	b, err := bridge.New(bridge.Config{
		Gateways: []device.GatewayConfig{{Config: device.Config{
			Identity:  bridge.Self{ProductKey: gateway.ID.Product, DeviceName: gateway.ID.Name, DeviceSecret: gateway.Secret},
			Transport: mem.NewTransport(h), // to a platform elsewhere: mqtt.New("ssl://...") of hal/mqtt
		}}},
		Identities: bridge.Map{"SN-1": {Device: heater.ID, DeviceSecret: heater.Secret}}, // or bridge.OpenIdentities
	})
	must(err)
	defer b.Close()
	must(b.Start(ctx))
	srv := &bridge.Server{
		Bridge: b, Handler: heaters{}, Decoder: bridge.Split(bufio.ScanLines),
		Address: "127.0.0.1", Ports: []int{0}, // without them all addresses, and 9123
	}
	must(srv.Listen(ctx))
	defer srv.Close()

	// The heater.
	nc, err := net.Dial("tcp", srv.Addrs()[0].String())
	must(err)
	defer nc.Close()
	lines := bufio.NewScanner(nc)
	fmt.Fprint(nc, "HELLO SN-1\r\nTEMP 21.5\r\nPING\r\n")
	for lines.Scan() && lines.Text() != "PONG" {
		fmt.Println(lines.Text())
	}
	// The platform.
	_, err = h.SetProperties(ctx, heater.ID, map[string]any{"Target": 23.5}, hub.CallOptions{})
	must(err)
	lines.Scan()
	fmt.Println(lines.Text())
	for b.Stats().Sent == 0 { // the heater does not wait for it
		time.Sleep(time.Millisecond)
	}
	values, err := h.Properties(ctx, heater.ID)
	fmt.Println(string(values["Temperature"].Value), err)
	// Output:
	// WELCOME
	// TARGET 23.5
	// 21.5 <nil>
}

// heatersPlatform is a hub in this process with a gateway and a heater.
func heatersPlatform(ctx context.Context) (h *hub.Hub, gateway, heater hub.Device) {
	h, err := hub.Open(ctx, hub.Config{Store: storemem.New()})
	must(err)
	_, err = h.CreateProduct(ctx, hub.Product{Key: "a1bridge000", Gateway: true})
	must(err)
	_, err = h.CreateProduct(ctx, hub.Product{Key: "a1heaters00"})
	must(err)
	gateway, err = h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1bridge000", Name: "bridge"}})
	must(err)
	heater, err = h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1heaters00", Name: "heater-1"}})
	must(err)
	return h, gateway, heater
}
