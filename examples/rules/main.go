// SPDX-License-Identifier: Apache-2.0

// Command rules shows rules at work: three devices, a hub, and three rules that
// post to a web server, write a file and tell another device what to do. It prints
// what happens in plain words and exits with 0.
//
//	go run ./examples/rules
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/file"
	"github.com/openalink/iot/rules/republish"
	"github.com/openalink/iot/rules/webhook"
	"github.com/openalink/iot/store/bolt"
)

const product = "a1Climate01"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rules:", err)
		os.Exit(1)
	}
}

// run is the whole story.
func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	st, err := bolt.Open(filepath.Join(dir, "hub.db"), bolt.Options{})
	if err != nil {
		return err
	}
	defer st.Close()
	h, err := hub.Open(ctx, hub.Config{Store: st})
	if err != nil {
		return err
	}
	defer h.Close()
	p := &platform{hub: h, dir: dir, out: out, heard: make(chan string, 8)}
	if err := p.open(ctx); err != nil {
		return err
	}
	defer p.close()
	if err := p.rules(ctx); err != nil {
		return err
	}
	return p.story(ctx)
}

// platform is a hub with a front door, a web server and devices.
type platform struct {
	hub    *hub.Hub
	dir    string
	out    io.Writer
	door   *mqttd.Server
	addr   string
	web    *http.Server
	webURL string
	runner *rules.Runner
	sink   *file.Sink
	heard  chan string // what the fan is told, and what the web server gets

	devices []*device.Client
}

func (p *platform) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// open starts the front door and the web server, and registers the devices.
func (p *platform) open(ctx context.Context) (err error) {
	if p.door, err = mqttd.New(mqttd.Config{Access: p.hub}); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.addr = l.Addr().String()
	go func() { _ = p.door.Serve(l) }() // ends with Close
	w, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.webURL = "http://" + w.Addr().String() + "/alarms"
	p.web = &http.Server{Handler: http.HandlerFunc(p.receive), ReadHeaderTimeout: time.Second}
	go func() { _ = p.web.Serve(w) }()
	if _, err := p.hub.CreateProduct(ctx, hub.Product{Key: product, Name: "climate"}); err != nil {
		return err
	}
	for _, name := range []string{"sensor-1", "sensor-2", "fan-1"} {
		if err := p.connect(ctx, name); err != nil {
			return err
		}
	}
	p.say("a hub, a web server, and three devices: sensor-1, sensor-2, fan-1")
	return nil
}

// connect registers a device and connects it over MQTT.
func (p *platform) connect(ctx context.Context, name string) error {
	d, err := p.hub.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: product, Name: name}, Tags: map[string]string{"room": "hall"}})
	if err != nil {
		return err
	}
	c, err := device.New(device.Config{
		Identity: hal.Identity{Device: d.ID, DeviceSecret: d.Secret}, Transport: mqtt.New("tcp://" + p.addr),
		Handlers: device.Handlers{Message: func(_ context.Context, topic string, payload []byte) {
			p.heard <- fmt.Sprintf("%s hears on %s: %s", name, topic, payload)
		}},
	})
	if err != nil {
		return err
	}
	if err := c.Connect(ctx); err != nil {
		return err
	}
	if err := c.Subscribe(ctx, "/"+d.ID.String()+"/user/get", 1); err != nil {
		return err
	}
	p.devices = append(p.devices, c)
	return nil
}

// receive is the web server.
func (p *platform) receive(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	rule, _, _ := strings.Cut(r.Header.Get("Idempotency-Key"), "/")
	p.heard <- fmt.Sprintf("the web server gets %s from rule %s", body, rule)
}

// rules puts three rules in place.
func (p *platform) rules(ctx context.Context) (err error) {
	if p.runner, err = p.hub.Rules(ctx, rules.Config{}); err != nil {
		return err
	}
	if p.sink, err = file.Open(filepath.Join(p.dir, "rows"), file.Options{}); err != nil {
		return err
	}
	fan, err := republish.New(p.hub, "/"+product+"/${fan}/user/get", iot.AtLeastOnce)
	if err != nil {
		return err
	}
	posts := `"/` + product + `/+/thing/event/property/post"`
	for _, r := range []rules.Rule{
		{
			ID: "alarm", Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: webhook.New(p.webURL, webhook.Options{})}},
			SQL: `SELECT deviceName() AS device, attribute('room') AS room, items.Temperature.value AS t FROM ` + posts + ` WHERE items.Temperature.value > 38`,
		},
		{
			ID: "archive", Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: p.sink, Batch: 100}},
			SQL: `SELECT thingPropertyFlatMap(), deviceName() AS device FROM ` + posts,
		},
		{
			ID: "cool", Actions: []rules.Action{{Sink: fan}},
			SQL: `SELECT 'fan-1' AS fan, CASE WHEN items.Temperature.value > 38 THEN 3 ELSE 1 END AS speed FROM ` + posts + ` WHERE items.Temperature.value >= 25`,
		},
	} {
		if err := p.runner.Put(ctx, r); err != nil {
			return err
		}
		p.say("\nrule %s, %s:\n  %s", r.ID, r.Mode, r.SQL)
	}
	return nil
}

// story posts and shows what comes out.
func (p *platform) story(ctx context.Context) error {
	for i, post := range []map[string]any{{"Temperature": 21.5}, {"Temperature": 26, "Humidity": 40}, {"Temperature": 41.5}} {
		c := p.devices[i%2]
		text, err := json.Marshal(post)
		if err != nil {
			return err
		}
		p.say("\n%s posts %s", c.Device().Name, text)
		if err := c.PostProperties(ctx, post); err != nil {
			return err
		}
		for range []int{0, 1, 2}[i] {
			select {
			case line := <-p.heard:
				p.say("  %s", line)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	rows, err := p.archived(ctx, 3)
	if err != nil {
		return err
	}
	p.say("\nthe archive has")
	for _, row := range rows {
		p.say("  %s", row)
	}
	return p.explain(ctx)
}

// archived waits for n rows in the file.
func (p *platform) archived(ctx context.Context, n int) ([]string, error) {
	for ctx.Err() == nil {
		b, err := os.ReadFile(filepath.Join(p.dir, "rows", "rows.jsonl"))
		if err != nil {
			return nil, err
		}
		if lines := strings.Split(strings.TrimSpace(string(b)), "\n"); len(lines) >= n {
			for i, line := range lines {
				var l struct{ Row json.RawMessage }
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					return nil, err
				}
				lines[i] = string(l.Row)
			}
			return lines, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, ctx.Err()
}

// explain asks a rule about a message, and shows its counters.
func (p *platform) explain(ctx context.Context) error {
	x, err := p.runner.Explain("alarm", &rules.Message{
		Topic: "/" + product + "/sensor-1/thing/event/property/post", Payload: []byte(`{"items":{"Temperature":{"value":21.5}}}`),
	})
	if err != nil {
		return err
	}
	p.say("\nwhy did 21.5 raise no alarm?")
	for _, c := range x.Conditions {
		p.say("  %s is %s: %s", c.Text, c.Result, c.Reason)
	}
	for _, r := range p.runner.Rules() {
		s, err := p.settled(ctx, r.ID)
		if err != nil {
			return err
		}
		p.say("rule %s: %d matched, %d delivered, %d under way", r.ID, s.Matched, s.Delivered, s.Pending)
	}
	return nil
}

// settled returns the counters of a rule that has nothing under way.
func (p *platform) settled(ctx context.Context, id string) (rules.Stats, error) {
	for {
		s, err := p.runner.Stats(id)
		if err != nil || s.Pending == 0 {
			return s, err
		}
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
}

func (p *platform) close() {
	if p.runner != nil {
		_ = p.runner.Close()
	}
	for _, c := range p.devices {
		_ = c.Close()
	}
	_ = p.door.Close()
	_ = p.web.Close()
	if p.sink != nil {
		_ = p.sink.Close()
	}
}
