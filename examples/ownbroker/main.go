// SPDX-License-Identifier: Apache-2.0

// Command ownbroker puts a platform behind a broker that runs already: a mochi
// server with a listener and a hook of its own, for the staff and their
// dashboards. Devices get a listener beside it. The guard asks the platform who
// they are and what they may do, and the dashboards go on hearing what they say.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mochi"
	devicemqtt "github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

var (
	boiler = iot.DeviceID{Product: "a1OwnBroker", Name: "boiler"}
	valve  = iot.DeviceID{Product: "a1OwnBroker", Name: "valve"}
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ownbroker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	platform, err := hub.Open(ctx, hub.Config{Store: mem.New()})
	if err != nil {
		return err
	}
	b, err := open(platform)
	if err != nil {
		return err
	}
	err = story(ctx, say, platform, b)
	if err := b.server.Close(); err != nil {
		return err
	}
	if err := platform.Shutdown(ctx); err != nil {
		return err
	}
	return err
}

// broker is what runs already, and what is added to it.
type broker struct {
	server         *mqtt.Server
	staff, devices string // addresses
}

func open(platform *hub.Hub) (*broker, error) {
	// What was there before.
	server := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(&staff{passwords: map[string]string{"anna": "tulip"}}, nil); err != nil {
		return nil, err
	}
	b := &broker{server: server}
	if err := b.listen("staff", &b.staff, func(l listeners.Listener) listeners.Listener { return l }); err != nil {
		return nil, err
	}

	// What is added for devices.
	guard, err := mochi.New(server, mochi.Config{Access: platform, Forward: true})
	if err != nil {
		return nil, err
	}
	if err := b.listen("devices", &b.devices, guard.Wrap); err != nil {
		return nil, err
	}
	return b, server.Serve()
}

func (b *broker) listen(id string, addr *string, wrap func(listeners.Listener) listeners.Listener) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	*addr = "tcp://" + l.Addr().String()
	return b.server.AddListener(wrap(listeners.NewNet(id, l)))
}

func story(ctx context.Context, say func(string, ...any), platform *hub.Hub, b *broker) error {
	heard := make(chan iot.Message, 16)
	dashboard, err := devicemqtt.New(b.staff).Connect(ctx, hal.Login{
		ClientID: "dashboard", UserName: "anna", Password: auth.NewSecret("tulip"), KeepAlive: time.Minute, CleanSession: true,
	}, func(m iot.Message) { heard <- m })
	if err != nil {
		return err
	}
	defer dashboard.Close()
	everything := []hal.Filter{{Topic: "/sys/#", QoS: 1}}
	if _, err := dashboard.(hal.SubscribingConn).Subscribe(ctx, everything); err != nil {
		return err
	}
	say("anna's dashboard is connected at the staff's listener, with a password of her own hook")

	if _, err := platform.CreateProduct(ctx, hub.Product{Key: boiler.Product, Name: "heating"}); err != nil {
		return err
	}
	clients := map[iot.DeviceID]*device.Client{}
	for _, id := range []iot.DeviceID{boiler, valve} {
		c, err := connect(ctx, say, platform, b, id)
		if err != nil {
			return err
		}
		defer c.Close()
		clients[id] = c
	}
	say("%d devices are online, with the signatures of their secrets", platform.Connected())

	_, err = devicemqtt.New(b.devices).Connect(ctx, hal.Login{
		ClientID: "dashboard", UserName: "anna", Password: auth.NewSecret("tulip"), KeepAlive: time.Minute,
	}, func(iot.Message) {})
	say("anna at the devices' listener: %v", err)

	if err := clients[boiler].PostProperties(ctx, map[string]any{"Temperature": 61.5}); err != nil {
		return err
	}
	say("the boiler posted, the platform keeps %s", value(ctx, platform, boiler, "Temperature"))
	say("the dashboard hears %s", (<-heard).Topic)

	// The valve speaks for the boiler: acknowledged, because MQTT has no other
	// answer, and dropped.
	forged := []byte(`{"id":"1","version":"1.0","params":{"Temperature":20}}`)
	if err := clients[valve].Publish(ctx, "/sys/"+boiler.String()+"/thing/event/property/post", forged, 1); err != nil {
		return err
	}
	answer, err := platform.SetProperties(ctx, valve, map[string]any{"Open": 80}, hub.CallOptions{})
	if err != nil {
		return err
	}
	say("the application set the valve, which answered %d", int(answer.Code))
	say("the dashboard hears %s", (<-heard).Topic)
	say("and nothing of what the valve said in the boiler's name; the platform still keeps %s", value(ctx, platform, boiler, "Temperature"))
	return nil
}

// connect is the device's side.
func connect(ctx context.Context, say func(string, ...any), platform *hub.Hub, b *broker, id iot.DeviceID) (*device.Client, error) {
	d, err := platform.RegisterDevice(ctx, hub.Device{ID: id})
	if err != nil {
		return nil, err
	}
	c, err := device.New(device.Config{
		Identity:  hal.Identity{Device: id, DeviceSecret: d.Secret},
		Transport: devicemqtt.New(b.devices),
		Handlers: device.Handlers{SetProperties: func(_ context.Context, values map[string]json.RawMessage) error {
			say("the %s is told to set Open to %s", id.Name, values["Open"])
			return nil
		}},
	})
	if err != nil {
		return nil, err
	}
	return c, c.Connect(ctx)
}

func value(ctx context.Context, platform *hub.Hub, id iot.DeviceID, name string) string {
	values, err := platform.Properties(ctx, id)
	if err != nil {
		return err.Error()
	}
	return string(values[name].Value)
}
