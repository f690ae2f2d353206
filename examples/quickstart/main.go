// SPDX-License-Identifier: Apache-2.0

// Command quickstart shows the main job of this module in one process: a
// platform with a database in one file, two devices on real MQTT sockets, and an
// application that reads, sets and calls. In the end the platform restarts on the
// same file, and everything is still there.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/bolt"
)

const product = "a1Quick0001"

var (
	thermostat = iot.DeviceID{Product: product, Name: "thermostat-1"}
	lamp       = iot.DeviceID{Product: product, Name: "lamp-1"}
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "hub.db")

	step("A platform starts, with its database in one file.")
	p, err := start(ctx, file)
	if err != nil {
		return err
	}
	say("MQTT on %s, database %s", p.addr, file)
	if err := conversation(ctx, p); err != nil {
		p.stop()
		return err
	}
	if err := p.stop(); err != nil {
		return err
	}

	step("The platform stopped. It starts again on the same file.")
	if p, err = start(ctx, file); err != nil {
		return err
	}
	if err := remembered(ctx, p); err != nil {
		p.stop()
		return err
	}
	return p.stop()
}

// conversation is everything devices and application say to each other.
func conversation(ctx context.Context, p *platform) error {
	step("The application creates a product and registers two devices.")
	if _, err := p.hub.CreateProduct(ctx, hub.Product{Key: product, Name: "quickstart"}); err != nil {
		return err
	}
	var clients []*device.Client
	for _, id := range []iot.DeviceID{thermostat, lamp} {
		registered, err := p.hub.RegisterDevice(ctx, hub.Device{ID: id})
		if err != nil {
			return err
		}
		say("%v, secret %v", id, registered.Secret)
		c, err := connect(ctx, p.addr, registered)
		if err != nil {
			return err
		}
		defer c.Close()
		clients = append(clients, c)
	}
	say("both are connected: %d devices online", p.hub.Connected())

	step("The thermostat posts properties, the lamp an event.")
	if err := clients[0].PostProperties(ctx, map[string]any{"Temperature": 21.5, "Humidity": 48}); err != nil {
		return err
	}
	if err := clients[1].PostEvent(ctx, "Overheated", map[string]any{"Level": 2}); err != nil {
		return err
	}
	if err := show(ctx, p.hub); err != nil {
		return err
	}

	step("The application sets a property of the lamp and waits for its answer.")
	answer, err := p.hub.SetProperties(ctx, lamp, map[string]any{"Power": 1}, hub.CallOptions{})
	if err != nil {
		return err
	}
	say("the lamp answered %d", int(answer.Code))
	if err := p.tell(ctx, lamp, answer.MessageID, `{"Power":1}`); err != nil {
		return err
	}

	step("The application calls a service of the thermostat, synchronously.")
	answer, err = p.hub.InvokeService(ctx, thermostat, "Forecast", map[string]any{"Hours": 3}, hub.CallOptions{})
	if err != nil {
		return err
	}
	say("the thermostat answered %s", answer.Data)
	return p.tell(ctx, thermostat, answer.MessageID, `{"Hours":3}`)
}

// tell prints what the platform knows of a message it sent.
func (p *platform) tell(ctx context.Context, id iot.DeviceID, message int64, params string) error {
	for e, err := range p.hub.Logs(ctx, hub.LogQuery{Device: id, MessageID: message}) {
		if err != nil {
			return err
		}
		say("log: message %d, %s: %s\n       %s with params %s", message, e.Operation, e.Status, e.Topic, params)
	}
	return nil
}

// remembered shows what the second run finds.
func remembered(ctx context.Context, p *platform) error {
	for _, id := range []iot.DeviceID{thermostat, lamp} {
		d, err := p.hub.Device(ctx, id)
		if err != nil {
			return err
		}
		values, err := p.hub.Properties(ctx, id)
		if err != nil {
			return err
		}
		text, err := json.Marshal(values)
		if err != nil {
			return err
		}
		say("%v is %s, latest values %s", id, d.State, text)
	}
	say("and the message log:")
	return show(ctx, p.hub)
}

// show prints the message log.
func show(ctx context.Context, h *hub.Hub) error {
	for m, err := range h.Messages(ctx, hub.MessageQuery{}) {
		if err != nil {
			return err
		}
		say("kept %s\n       %s", m.Topic, m.Payload)
	}
	return nil
}

// connect is the device's side: who it is, how it reaches the platform, and what
// it does when asked.
func connect(ctx context.Context, addr string, d hub.Device) (*device.Client, error) {
	var c *device.Client
	c, err := device.New(device.Config{
		Identity:  hal.Identity{Device: d.ID, DeviceSecret: d.Secret},
		Transport: mqtt.New("tcp://" + addr),
		Handlers: device.Handlers{
			SetProperties: func(ctx context.Context, values map[string]json.RawMessage) error {
				say("%v was asked to set Power to %s, and posts what it is now", d.ID, values["Power"])
				return c.PostProperties(ctx, values)
			},
			Services: map[string]device.ServiceFunc{
				"Forecast": device.Service(func(_ context.Context, in struct{ Hours int }) (map[string]any, error) {
					say("%v was asked for a forecast of %d hours", d.ID, in.Hours)
					return map[string]any{"Temperature": 21.5 + float64(in.Hours)/2}, nil
				}),
			},
		},
	})
	if err != nil {
		return nil, err
	}
	return c, c.Connect(ctx)
}

// platform is a hub with an MQTT front door and a database.
type platform struct {
	store *bolt.Engine
	hub   *hub.Hub
	door  *mqttd.Server
	addr  string
}

func start(ctx context.Context, file string) (*platform, error) {
	st, err := bolt.Open(file, bolt.Options{})
	if err != nil {
		return nil, err
	}
	h, err := hub.Open(ctx, hub.Config{Store: st})
	if err != nil {
		return nil, err
	}
	door, err := mqttd.New(mqttd.Config{Access: h})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go door.Serve(l)
	return &platform{st, h, door, l.Addr().String()}, nil
}

// stop closes from the outside in: connections, then the hub, then its store.
func (p *platform) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.door.Shutdown(ctx); err != nil {
		return err
	}
	if err := p.hub.Shutdown(ctx); err != nil {
		return err
	}
	return p.store.Close()
}

func step(text string)               { fmt.Printf("\n%s\n", text) }
func say(format string, args ...any) { fmt.Printf("  "+format+"\n", args...) }
