// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	sdk "github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/webhook"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/iottest"
	"github.com/openalink/iot/store/mem"
)

// needRabbitMQ returns the server's own script: the one on PATH insists on an
// account of its own.
func needRabbitMQ(t *testing.T) string {
	t.Helper()
	needProgram(t, "epmd", "apt-get install rabbitmq-server")
	found, err := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
	if err != nil || len(found) == 0 {
		missing(t, "rabbitmq-server", "apt-get install rabbitmq-server")
	}
	return found[0]
}

// startRabbitMQ runs a node with its plugins for MQTT and HTTP questions, with
// everything it writes in the test's directory, and asks questions at p. It returns
// what the node logs.
func startRabbitMQ(t *testing.T, p *platform) *lockedBuffer {
	t.Helper()
	script := needRabbitMQ(t)
	dir := t.TempDir()
	mqttPort, distPort, epmdPort := freePort(t), freePort(t), freePort(t)
	questions := p.questions.URL + "/" + brokerSecret + "/rabbitmq"
	files := map[string]string{
		"enabled_plugins": "[rabbitmq_mqtt,rabbitmq_auth_backend_http].",
		"advanced.config": "[{rabbitmq_mqtt,[{ignore_colons_in_username,true}]}].",
		"rabbitmq.conf": strings.Join([]string{
			"listeners.tcp = none",
			"mqtt.listeners.tcp.1 = 127.0.0.1:" + mqttPort,
			"mqtt.allow_anonymous = false",
			"auth_backends.1 = http",
			"auth_http.http_method = post",
			"auth_http.user_path = " + questions + "/user",
			"auth_http.vhost_path = " + questions + "/vhost",
			"auth_http.resource_path = " + questions + "/resource",
			"auth_http.topic_path = " + questions + "/topic",
			"log.console = true",
			"log.console.level = info",
			"",
		}, "\n"),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := append(os.Environ(),
		"HOME="+dir, "ERL_EPMD_PORT="+epmdPort, "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_NODENAME=interop-"+mqttPort+"@localhost",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "data"), "RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq"), "RABBITMQ_ADVANCED_CONFIG_FILE="+filepath.Join(dir, "advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "enabled_plugins"), "RABBITMQ_DIST_PORT="+distPort,
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "none"), "RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2",
	)
	said := new(lockedBuffer)
	start := func(cmd *exec.Cmd) {
		cmd.Env, cmd.Stdout, cmd.Stderr = env, said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	// The node's name server runs as a child, so that none stays behind.
	epmd := exec.Command("epmd", "-address", "127.0.0.1", "-port", epmdPort)
	start(epmd)
	t.Cleanup(func() { _ = epmd.Process.Kill(); _ = epmd.Wait() })
	node := exec.Command(script)
	start(node)
	stopAtEnd(t, node, said)
	deadline := time.Now().Add(90 * time.Second)
	for !strings.Contains(said.String(), "Server startup complete") {
		if time.Now().After(deadline) {
			t.Fatalf("RabbitMQ is not up within 90 s:\n%s", said)
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.broker = "127.0.0.1:" + mqttPort
	p.ctl = func(ctx context.Context, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(script), "rabbitmqctl"), args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("rabbitmqctl %s: %w: %s", args[0], err, out)
		}
		return string(out), nil
	}
	return said
}

// TestRabbitMQ is a platform behind RabbitMQ: every subtest talks to one node.
func TestRabbitMQ(t *testing.T) {
	p := newPlatform(t)
	log := startRabbitMQ(t, p)
	p.consume(t, webhook.Consumer{})
	t.Run("Conversation", p.npmConversation)
	t.Run("Refused", p.refusals)
	t.Run("ForeignTopics", p.foreignTopics)
	t.Run("NamesWithDots", p.dottedNames)
	t.Run("NamesWithColons", p.colonNames)
	t.Run("Gateway", p.gateway)
	t.Run("Disabled", p.disabled)
	t.Run("PlatformRestarts", p.platformRestarts)
	t.Run("PlatformForgets", p.platformForgets)
	if t.Failed() {
		t.Logf("RabbitMQ said:\n%s", log)
	}
}

// npmConversation has Alibaba's Node SDK, unmodified, log in at the broker, post,
// get its answers, a property set and service calls.
func (p *platform) npmConversation(t *testing.T) {
	node := needNPM(t, "alibabacloud-iot-device-sdk", "1.2.8")
	d := p.register(t, "npm-lamp")
	c := startPeer(t, d, peerConfig{URL: "mqtt://" + p.broker}, node, "npm/device.js")
	c.want(t, "online")
	if a := c.ask(t, object{"do": "post", "params": object{"Power": 1}}); a.Code != 200 {
		t.Errorf("post: %+v", a)
	}
	if got := p.Values(d.id)["Power"]; got != "1" {
		t.Errorf("Power is %s at the platform", got)
	}
	if a := c.ask(t, object{"do": "event", "name": "alarm", "params": object{"Level": 3}}); a.Code != 200 {
		t.Errorf("event: %+v", a)
	}
	answer, err := p.SetProperties(t.Context(), d.id, object{"Power": 2}, hub.CallOptions{})
	if err != nil || answer.Code != 200 {
		t.Errorf("set: %+v, %v", answer, err)
	}
	c.want(t, "set")
	for name, o := range map[string]hub.CallOptions{"add": {Async: true}, "addNow": {}} {
		answer, err = p.InvokeService(t.Context(), d.id, name, object{"a": 2, "b": 3}, o)
		if err != nil || !strings.Contains(string(answer.Data), "5") {
			t.Errorf("service %s: %+v, %v", name, answer, err)
		}
	}
	c.order(t, object{"do": "subscribe", "topic": d.topic("user/get")})
	c.want(t, "subscribed")
	if _, err := p.Publish(t.Context(), d.id, d.topic("user/get"), []byte("hi"), hub.SendOptions{QoS: 1}); err != nil {
		t.Error(err)
	}
	if e := c.want(t, "message"); e.Payload != "hi" {
		t.Errorf("the device heard %+v", e)
	}
	c.order(t, object{"do": "end"})
	c.want(t, "ended")
}

func (p *platform) refusals(t *testing.T) {
	d := p.register(t, "refused")
	for what, l := range map[string]hal.Login{
		"wrong secret":     signed(d, auth.NewSecret("wrong")),
		"unknown device":   signed(device{iot.DeviceID{Product: d.id.Product, Name: "ghost"}, d.secret}, d.secret),
		"wrong service":    {ClientID: "x", UserName: "platform", Password: auth.NewSecret("wrong"), KeepAlive: time.Minute, CleanSession: true},
		"client id of air": {ClientID: "x", UserName: d.id.Name + "&" + d.id.Product, Password: d.secret, KeepAlive: time.Minute, CleanSession: true},
	} {
		_, err := p.dial(t, l, func(iot.Message) {})
		if r, ok := errors.AsType[*hal.RefusedError](err); !ok || r.Reason != hal.BadCredentials {
			t.Errorf("%s: %v, want bad credentials", what, err)
		}
	}
}

func (p *platform) foreignTopics(t *testing.T) {
	d, victim := p.register(t, "thief"), p.register(t, "victim")
	c, err := p.dial(t, signed(d, d.secret), func(iot.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	sub, ok := c.(hal.SubscribingConn)
	if !ok {
		t.Fatalf("a %T does not subscribe", c)
	}
	grants, err := sub.Subscribe(t.Context(), []hal.Filter{{Topic: victim.topic("user/get"), QoS: 1}})
	if err == nil && grants[0] != hal.Refused {
		t.Errorf("foreign filter: granted %v", grants)
	}
	if c, err = p.dial(t, signed(d, d.secret), func(iot.Message) {}); err != nil { // RabbitMQ closed the other
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), propertyPost(victim, `{"Stolen":1}`)); err == nil {
		t.Error("RabbitMQ took a post for another device")
	}
	if v := p.Values(victim.id); len(v) > 0 {
		t.Errorf("a device wrote %v to another", v)
	}
}

// dottedNames: RabbitMQ makes one topic of .../a.b and .../a/b, so a device with a
// dot in its name is refused instead of being mistaken for another.
func (p *platform) dottedNames(t *testing.T) {
	d := p.register(t, "dev.1")
	if _, err := p.dial(t, signed(d, d.secret), func(iot.Message) {}); err == nil {
		t.Error("a device with a dot in its name is let in")
	}
}

func (p *platform) colonNames(t *testing.T) {
	d := p.register(t, "dev:1@home")
	c, err := p.dial(t, signed(d, d.secret), func(iot.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), propertyPost(d, `{"Power":3}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the post is kept", func() bool { return p.Values(d.id)["Power"] == "3" })
}

// gateway has our own device library speak for a sub-device.
func (p *platform) gateway(t *testing.T) {
	ctx := t.Context()
	if _, err := p.CreateProduct(ctx, hub.Product{Key: iottest.GatewayProductKey, Gateway: true}); err != nil {
		t.Fatal(err)
	}
	g, err := p.RegisterDevice(ctx, hub.Device{ID: iot.DeviceID{Product: iottest.GatewayProductKey, Name: "gateway"}})
	if err != nil {
		t.Fatal(err)
	}
	gw, err := sdk.NewGateway(sdk.GatewayConfig{Config: sdk.Config{
		Identity:  hal.Identity{Device: g.ID, DeviceSecret: g.Secret},
		Transport: mqtt.New("tcp://" + p.broker), ExplicitSubscribe: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer gw.Close()
	if err := gw.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	d := p.register(t, "sub-lamp")
	sub, err := gw.SubDevice(sdk.Config{
		Identity: hal.Identity{Device: d.id, DeviceSecret: d.secret}, ExplicitSubscribe: true,
		Handlers: sdk.Handlers{SetProperties: func(context.Context, map[string]json.RawMessage) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := sub.PostProperties(ctx, map[string]int{"Power": 1}); err != nil || p.Values(d.id)["Power"] != "1" {
		t.Errorf("post: %v, Power is %s", err, p.Values(d.id)["Power"])
	}
	if a, err := p.SetProperties(ctx, d.id, object{"Power": 2}, hub.CallOptions{}); err != nil || a.Code != 200 {
		t.Errorf("set: %+v, %v", a, err)
	}
}

// disabled: the device loses its connection, and gets no other.
func (p *platform) disabled(t *testing.T) {
	d := p.register(t, "disabled")
	c, err := p.dial(t, signed(d, d.secret), func(iot.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), propertyPost(d, `{"Power":1}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the post is kept", func() bool { return p.Values(d.id)["Power"] == "1" })
	if _, err := p.DisableDevice(t.Context(), d.id); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	select {
	case <-c.Done():
		t.Logf("the connection was closed after %v", time.Since(start))
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open")
	}
	if got := p.Values(d.id)["Power"]; got != "1" {
		t.Errorf("Power is %s: a disabled device's post counts", got)
	}
	if _, err := p.dial(t, signed(d, d.secret), func(iot.Message) {}); err == nil {
		t.Error("a disabled device is let in")
	}
}

// disconnect asks the broker for the client id of a device it knows and the
// platform does not, and has it disconnected.
func (p *platform) disconnect(ctx context.Context, id iot.DeviceID) error {
	list, err := p.ctl(ctx, "-q", "--no-table-headers", "list_mqtt_connections", "user", "client_id")
	if err != nil {
		return err
	}
	for line := range strings.Lines(list) {
		if user, client, _ := strings.Cut(strings.TrimSpace(line), "\t"); user == id.Name+"&"+id.Product {
			return p.hook.Disconnect(ctx, client)
		}
	}
	return fmt.Errorf("%v is not in %q", id, list)
}

// restart closes the platform's half of the broker and opens another.
func (p *platform) restart(t *testing.T, st webhook.Store) {
	t.Helper()
	_ = p.hook.Close()
	p.open(t, st)
	p.consume(t, webhook.Consumer{})
}

// platformRestarts: the broker's connections outlive the platform. With a store it
// knows the devices when it is back, and nothing they say is lost.
func (p *platform) platformRestarts(t *testing.T) {
	st := mem.New()
	p.restart(t, st)
	d := p.register(t, "known")
	answers := make(chan iot.Message, 16)
	c, err := p.dial(t, signed(d, d.secret), func(m iot.Message) { answers <- m })
	if err != nil {
		t.Fatal(err)
	}
	reply := []hal.Filter{{Topic: d.sys("thing/event/property/post_reply"), QoS: 1}}
	if _, err := c.(hal.SubscribingConn).Subscribe(t.Context(), reply); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if i > 0 {
			p.restart(t, st)
		}
		if err := c.Publish(t.Context(), propertyPost(d, fmt.Sprintf(`{"Power":%d}`, i))); err != nil {
			t.Fatal(err)
		}
		if m := next(t, answers); !strings.Contains(string(m.Payload), `"code":200`) {
			t.Errorf("the device got %s", m.Payload)
		}
		if got := p.Values(d.id)["Power"]; got != fmt.Sprint(i) {
			t.Errorf("Power is %s, want %d", got, i)
		}
	}
	if n := p.hook.Dropped(); n > 0 {
		t.Errorf("%d messages dropped", n)
	}
	// The platform away and a device that goes on: it waits in RabbitMQ's queue.
	_ = p.hook.Close()
	if err := c.Publish(t.Context(), propertyPost(d, `{"Power":9}`)); err != nil {
		t.Fatal(err)
	}
	p.open(t, st)
	p.consume(t, webhook.Consumer{})
	eventually(t, "the post is kept", func() bool { return p.Values(d.id)["Power"] == "9" })
}

// platformForgets: without a store the platform knows nobody, and RabbitMQ asks
// about a topic only once for a connection. What such a device says is dropped,
// until an operator's call closes the connection.
func (p *platform) platformForgets(t *testing.T) {
	p.restart(t, nil)
	d := p.register(t, "stays")
	c, err := p.dial(t, signed(d, d.secret), func(iot.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), propertyPost(d, `{"Power":1}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the post is kept", func() bool { return p.Values(d.id)["Power"] == "1" })
	p.restart(t, nil)
	if err := c.Publish(t.Context(), propertyPost(d, `{"Power":2}`)); err != nil {
		t.Fatalf("RabbitMQ asked again: %v", err)
	}
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the connection was not closed")
	}
	if n := p.hook.Dropped(); n != 1 || p.Values(d.id)["Power"] != "1" {
		t.Errorf("%d messages dropped, Power is %s", n, p.Values(d.id)["Power"])
	}
	if c, err = p.dial(t, signed(d, d.secret), func(iot.Message) {}); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), propertyPost(d, `{"Power":3}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the post is kept", func() bool { return p.Values(d.id)["Power"] == "3" })
}
