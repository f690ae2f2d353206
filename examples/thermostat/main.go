// SPDX-License-Identifier: Apache-2.0

// Command thermostat runs a device and an application that know each other by
// generated types only: package thermostat is made from model.json by go generate.
// They speak over a real MQTT socket.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/examples/thermostat/thermostat"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "thermostat:", err)
		os.Exit(1)
	}
}

// run starts a platform with one product and one device, then both ends.
func run(ctx context.Context) error {
	h, err := hub.Open(ctx, hub.Config{Store: mem.New()})
	if err != nil {
		return err
	}
	defer h.Close()
	model, err := thermostat.Model()
	if err != nil {
		return err
	}
	if _, err := h.CreateProduct(ctx, hub.Product{Key: model.Profile.ProductKey, Model: model}); err != nil {
		return err
	}
	id := iot.DeviceID{Product: model.Profile.ProductKey, Name: "hall"}
	registered, err := h.RegisterDevice(ctx, hub.Device{ID: id})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	door, err := mqttd.New(mqttd.Config{Access: h})
	if err != nil {
		return err
	}
	go func() { _ = door.Serve(l) }()
	defer door.Close()

	wall, err := hang(ctx, l.Addr().String(), registered)
	if err != nil {
		return err
	}
	defer wall.Close()
	if err := application(ctx, thermostat.NewClient(h.Thing(id))); err != nil {
		return err
	}
	if err := wall.PostWindowOpen(ctx, thermostat.WindowOpenEvent{Drop: 2.5}); err != nil {
		return err
	}
	return events(ctx, h, id)
}

// hang puts a thermostat on the wall: the device end.
func hang(ctx context.Context, addr string, d hub.Device) (*thermostat.Device, error) {
	valve := &valve{}
	wall, err := thermostat.NewDevice(device.Config{
		Identity:  hal.Identity{Device: d.ID, DeviceSecret: d.Secret},
		Transport: mqtt.New("tcp://" + addr),
	}, valve)
	if err != nil {
		return nil, err
	}
	valve.device = wall
	if err := wall.Connect(ctx); err != nil {
		return nil, err
	}
	for _, err := range []error{
		wall.SetTarget(19.5), wall.SetRoom(18.25), wall.SetHeating(true), wall.SetMode(thermostat.ModeSchedule),
		wall.SetBattery(thermostat.Battery{Percent: 87}),
		wall.SetSchedule([]thermostat.ScheduleItem{{Minute: 390, Target: 21}, {Minute: 1320, Target: 16.5}}),
	} {
		if err != nil {
			return nil, err
		}
	}
	fmt.Println("device: is not able to be warmer than the model allows:", wall.SetTarget(35))
	return wall, wall.Post(ctx)
}

// valve does what the platform asks of the thermostat.
type valve struct{ device *thermostat.Device }

func (v *valve) ApplyTarget(_ context.Context, target float64) error {
	room, _ := v.device.Room()
	fmt.Printf("device: target is %v °C now, the room has %v °C\n", target, room)
	return v.device.SetHeating(target > room)
}

func (v *valve) ApplyMode(_ context.Context, m thermostat.Mode) error {
	fmt.Println("device: mode is", m)
	return nil
}

func (v *valve) ApplySchedule(_ context.Context, s []thermostat.ScheduleItem) error {
	fmt.Println("device: new schedule", s)
	return nil
}

func (v *valve) Boost(_ context.Context, in thermostat.BoostInput) (out thermostat.BoostOutput, err error) {
	fmt.Printf("device: full heat for %d minutes\n", in.Minutes)
	out.Until.Time = time.Date(2026, 1, 2, 6, 30+int(in.Minutes), 0, 0, time.UTC)
	return out, nil
}

// application is the other end: it reads, sets and calls.
func application(ctx context.Context, hall *thermostat.Client) error {
	v, err := hall.Values(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("application: target %v °C, room %v °C, heating %v, mode %v, battery %d %%, %d entries in the schedule\n",
		*v.Target, *v.Room, *v.Heating, *v.Mode, v.Battery.Percent, len(*v.Schedule))
	if err := hall.SetTarget(ctx, 17); err != nil {
		return err
	}
	if err := hall.SetMode(ctx, thermostat.ModeManual); err != nil {
		return err
	}
	fmt.Println("application: the platform refuses what the model does not allow:", hall.SetTarget(ctx, 21.3))
	out, err := hall.Boost(ctx, thermostat.BoostInput{Minutes: 10})
	if err != nil {
		return err
	}
	fmt.Println("application: boost ends at", out.Until.Format(time.TimeOnly))
	return nil
}

// events prints the events of a device from the platform's message log, typed.
func events(ctx context.Context, h *hub.Hub, id iot.DeviceID) error {
	for s, err := range h.History(ctx, hub.HistoryQuery{Device: id, Kind: hub.EventHistory}) {
		if err != nil {
			return err
		}
		e, err := thermostat.ParseEvent(s.Identifier, s.Value)
		if err != nil {
			return err
		}
		if open, ok := e.(*thermostat.WindowOpenEvent); ok {
			fmt.Printf("application: a window is open, it became %v K colder\n", open.Drop)
		}
	}
	return nil
}
