// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hub"
	storemem "github.com/openalink/iot/store/mem"
)

// platform opens a hub in this process with a gateway and one meter, whose
// original identity is its serial number.
func platform(ctx context.Context) (*hub.Hub, bridge.Config) {
	h, err := hub.Open(ctx, hub.Config{Store: storemem.New()})
	must(err)
	_, err = h.CreateProduct(ctx, hub.Product{Key: "a1bridge000", Gateway: true})
	must(err)
	_, err = h.CreateProduct(ctx, hub.Product{Key: "a1meters000"})
	must(err)
	self, err := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1bridge000", Name: "bridge"}})
	must(err)
	meter, err := h.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: "a1meters000", Name: "meter-7"}})
	must(err)
	return h, bridge.Config{
		Gateways: []device.GatewayConfig{{Config: device.Config{
			Identity:  bridge.Self{ProductKey: "a1bridge000", DeviceName: "bridge", DeviceSecret: self.Secret},
			Transport: mem.NewTransport(h),
		}}},
		Identities: bridge.Map{"SN-7": {Device: meter.ID, DeviceSecret: meter.Secret}},
	}
}

func start(ctx context.Context, cfg bridge.Config) *bridge.Bridge {
	b, err := bridge.New(cfg)
	must(err)
	must(b.Start(ctx))
	return b
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// printer is a device that prints what it gets.
type printer struct{}

func (printer) Send(_ context.Context, m any) error {
	fmt.Printf("device gets %s\n", m)
	return nil
}
func (printer) Close(cause error) { fmt.Println("device is closed:", cause) }

// A device comes online, with a heartbeat that is watched.
func ExampleBridge_Online() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	b := start(ctx, cfg)
	defer b.Close()

	s := bridge.NewSession("SN-7", printer{}, bridge.SessionOptions{Heartbeat: time.Minute, Probes: 2})
	fmt.Println(b.Online(ctx, s), s.Device(), h.Online(s.Device()))
	fmt.Println(b.Online(ctx, bridge.NewSession("SN-8", printer{}, bridge.SessionOptions{})))
	// Output:
	// <nil> a1meters000/meter-7 true
	// bridge: identity is not mapped to a device: "SN-8"
	// device is closed: bridge: closed
}

// What a device reports goes up, waiting for the answer or not.
func ExampleBridge_Publish() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	b := start(ctx, cfg)
	defer b.Close()

	reading := bridge.Properties(map[string]any{"Energy": 12.5})
	fmt.Println(b.Publish(ctx, "SN-7", reading)) // not online: dropped
	must(b.Online(ctx, bridge.NewSession("SN-7", printer{}, bridge.SessionOptions{})))
	fmt.Println(b.Publish(ctx, "SN-7", reading))
	r := b.PublishAsync(ctx, "SN-7", bridge.Event("Tamper", map[string]any{"Door": 1}))
	<-r.Done()
	fmt.Println(r.Err())
	// Output:
	// bridge: device is offline: "SN-7"
	// <nil>
	// <nil>
	// device is closed: bridge: closed
}

// What the platform wants reaches the one device.
func ExampleDownlink() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	cfg.Downlink = bridge.DownlinkFunc(func(ctx context.Context, r *bridge.Request) (any, error) {
		if r.Kind != bridge.Service {
			return nil, bridge.ErrNoDownlink
		}
		err := r.Session.Channel().Send(ctx, "relay "+r.Name)
		return map[string]any{"Done": 1}, err
	})
	b := start(ctx, cfg)
	defer b.Close()
	s := bridge.NewSession("SN-7", printer{}, bridge.SessionOptions{})
	must(b.Online(ctx, s))

	answer, err := h.InvokeService(ctx, s.Device(), "open", nil, hub.CallOptions{})
	fmt.Println(string(answer.Data), err)
	// Output:
	// device gets relay open
	// {"Done":1} <nil>
	// device is closed: bridge: closed
}

// everybody is a Downlink that also hears what is for everybody.
type everybody struct {
	bridge.Forward
	heard chan struct{}
}

func (e everybody) Broadcast(_ context.Context, _ string, payload []byte) {
	fmt.Printf("to everybody: %s\n", payload)
	close(e.heard)
}

// A broadcast to the bridge's product names no device.
func ExampleBroadcaster() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	heard := make(chan struct{})
	cfg.Downlink = everybody{heard: heard}
	b := start(ctx, cfg)
	defer b.Close()

	_, n, err := h.Broadcast(ctx, "a1bridge000", "", []byte("storm at six"))
	<-heard
	fmt.Println(n, err)
	// Output:
	// to everybody: storm at six
	// 1 <nil>
}

// A device that leaves is logged out at the platform, after what waits was sent.
func ExampleBridge_Offline() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	b := start(ctx, cfg)
	defer b.Close()
	s := bridge.NewSession("SN-7", printer{}, bridge.SessionOptions{})
	must(b.Online(ctx, s))

	fmt.Println(b.Offline(ctx, "SN-7"), h.Online(s.Device()))
	// Output:
	// device is closed: bridge: device is offline
	// <nil> false
}

// Who is not known locally is not shown to the platform.
func ExampleAuthenticator() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	wrong := errors.New("wrong code")
	cfg.Authenticator = bridge.AuthenticatorFunc(func(_ context.Context, _ string, credentials ...string) error {
		if len(credentials) != 1 || credentials[0] != "sesame" {
			return wrong
		}
		return nil
	})
	b := start(ctx, cfg)
	defer b.Close()

	fmt.Println(b.Online(ctx, bridge.NewSession("SN-7", printer{}, bridge.SessionOptions{}), "guess"))
	fmt.Println(b.Online(ctx, bridge.NewSession("SN-7", printer{}, bridge.SessionOptions{}), "sesame"))
	// Output:
	// bridge: "SN-7": wrong code
	// <nil>
	// device is closed: bridge: closed
}

// watched is a SessionStore that tells what it is asked.
type watched struct{ bridge.Sessions }

func (w *watched) Swap(s *bridge.Session) *bridge.Session {
	fmt.Println("stored", s.Identity())
	return w.Sessions.Swap(s)
}

func (w *watched) Delete(s *bridge.Session) bool {
	fmt.Println("deleted", s.Identity())
	return w.Sessions.Delete(s)
}

// Sessions may be kept elsewhere.
func ExampleSessionStore() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	cfg.Sessions = new(watched)
	b := start(ctx, cfg)
	defer b.Close()
	must(b.Online(ctx, bridge.NewSession("SN-7", printer{}, bridge.SessionOptions{})))
	must(b.Offline(ctx, "SN-7"))
	// Output:
	// stored SN-7
	// deleted SN-7
	// device is closed: bridge: device is offline
}

// The bridge's own name and secret, and the list of devices, come from elsewhere.
func ExampleSelf() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	dir, err := os.MkdirTemp("", "bridge")
	must(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "devices.json")
	must(os.WriteFile(path, []byte(`{"SN-9":{"productKey":"a1meters000","deviceName":"meter-9","deviceSecret":"s"}}`), 0o600))
	file, err := bridge.OpenIdentities(path)
	must(err)
	known, err := file.Lookup(ctx, "SN-9")
	fmt.Println(known.Device, err)

	cfg.Identities = file
	cfg.Gateways[0].Identity = bridge.Self{
		ProductKey: "a1bridge000",
		DeviceName: "bridge-2", // without it the hardware address
		Secret: func(ctx context.Context, id iot.DeviceID) (auth.Secret, error) {
			d, err := h.RegisterDevice(ctx, hub.Device{ID: id}) // an application would ask with its AccessKey
			return d.Secret, err
		},
	}
	b := start(ctx, cfg)
	defer b.Close()
	fmt.Println(h.Online(iot.DeviceID{Product: "a1bridge000", Name: "bridge-2"}))
	// Output:
	// a1meters000/meter-9 <nil>
	// true
}

// lines cuts what a device sends at line ends.
type lines struct{}

func (lines) Decode(buf []byte) (any, int, error) {
	n, line, err := bufio.ScanLines(buf, false)
	return string(line), n, err
}

// A meter sends its serial number and its readings, a line each.
func ExampleServer() {
	ctx := context.Background()
	h, cfg := platform(ctx)
	defer h.Close()
	b := start(ctx, cfg)
	defer b.Close()

	srv := &bridge.Server{
		Bridge: b, Address: "127.0.0.1", Ports: []int{0},
		Decoder: func() bridge.Decoder { return lines{} },
		Handler: bridge.HandlerFunc(func(ctx context.Context, c *bridge.Conn, m any) error {
			if c.Session() == nil {
				_, err := c.Online(ctx, m.(string), bridge.SessionOptions{Downlink: bridge.Forward{}})
				return err
			}
			if err := c.Publish(ctx, bridge.Properties(map[string]any{"Text": m})).Wait(ctx); err != nil {
				return err
			}
			return c.Send(ctx, []byte("ok\n"))
		}),
	}
	must(srv.Listen(ctx))
	defer srv.Close()

	meter, err := net.Dial("tcp", srv.Addrs()[0].String())
	must(err)
	defer meter.Close()
	fmt.Fprint(meter, "SN-7\n12.5 kWh\n")
	answer, err := bufio.NewReader(meter).ReadString('\n')
	fmt.Printf("%q %v\n", answer, err)
	// Output: "ok\n" <nil>
}
