// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/openalink/iot/auth"
)

// thingsGo speaks as the device library things-go/aliyun-iot does (wire facts,
// section 24). It is not that library: the Go module proxy does not serve it. It
// is the MQTT client under it, with its login, its subscriptions and its numeric
// ids.
type thingsGo struct {
	mqtt.Client
	self     device
	id       uint
	received chan mqtt.Message
}

func dialThingsGo(t *testing.T, h *hubd, self device) *thingsGo {
	t.Helper()
	c := &thingsGo{self: self, received: make(chan mqtt.Message, 64)}
	tr := auth.SignMQTT(self.id, self.secret, auth.MQTTOptions{Timestamp: time.Now(), SecureMode: auth.SecureTCP})
	cid, _, _ := strings.Cut(tr.ClientID, "|")
	_, ts, _ := strings.Cut(tr.ClientID, "timestamp=")
	ts = strings.Trim(ts, "|")
	o := mqtt.NewClientOptions().AddBroker("tcp://" + h.addrs["mqtt"]).
		SetClientID(cid + "|_v=sdk-golang-0.0.1 Beta,ext=0,gw=0,lan=Golang,securemode=3,signmethod=hmacsha256,timestamp=" + ts + "|").
		SetUsername(tr.UserName).SetPassword(tr.Password.Reveal()).
		SetKeepAlive(30 * time.Second).SetCleanSession(true).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.received <- m })
	c.Client = mqtt.NewClient(o)
	c.wait(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func (c *thingsGo) wait(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("no success within 10 s: %v", token.Error())
	}
}

// subscriptions are those of a gateway with everything switched on, with the
// names the library gives them.
func (c *thingsGo) subscriptions() (list []string) {
	for _, path := range strings.Fields(`thing/model/up_raw_reply thing/model/down_raw thing/event/+/post_reply
		thing/property/desired/get_reply thing/property/desired/delete thing/deviceinfo/update_reply thing/deviceinfo/delete_reply
		thing/service/property/set thing/service/+ thing/service/# thing/dsltemplate/get_reply rrpc/request/+
		thing/config/get_reply thing/config/push thing/config/log/get_reply thing/config/log/push thing/log/post_reply
		thing/event/property/pack/post_reply thing/event/property/history/post_reply
		thing/topo/add_reply thing/topo/delete_reply thing/topo/get_reply thing/list/found_reply thing/topo/add/notify
		thing/topo/change thing/sub/register_reply thing/disable thing/enable thing/delete _thing/diag/post_reply`) {
		list = append(list, c.self.sys(path))
	}
	id := c.self.id.String()
	return append(list, "/ext/ntp/"+id+"/response", "/ext/error/"+id, "/ext/network/probe/+",
		"/ext/session/"+id+"/combine/login_reply", "/ext/session/"+id+"/combine/logout_reply",
		"/ext/session/"+id+"/combine/batch_login_reply", "/ext/session/"+id+"/combine/batch_logout_reply")
}

// topic is where the request of a path goes.
func (c *thingsGo) topic(path string) string {
	if strings.HasPrefix(path, "combine/") {
		return "/ext/session/" + c.self.id.String() + "/" + path
	}
	return c.self.sys(path)
}

func (c *thingsGo) request(t *testing.T, path string, params any) {
	t.Helper()
	c.id++
	payload, err := json.Marshal(struct {
		ID      uint   `json:"id,string"`
		Version string `json:"version"`
		Params  any    `json:"params"`
		Method  string `json:"method"`
	}{c.id, "1.0", params, strings.ReplaceAll(path, "/", ".")})
	if err != nil {
		t.Fatal(err)
	}
	c.wait(t, c.Publish(c.topic(path), 1, false, payload))
}

// reply is what the library decodes: an id that is no numeric string is an error.
type reply struct {
	ID      uint   `json:"id,string"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (c *thingsGo) call(t *testing.T, path string, params any) (r reply) {
	t.Helper()
	c.request(t, path, params)
	m := c.next(t)
	if m.Topic() != c.topic(path)+"_reply" {
		t.Fatalf("%s %s, want the reply to %s", m.Topic(), m.Payload(), path)
	}
	if err := json.Unmarshal(m.Payload(), &r); err != nil || r.ID != c.id {
		t.Errorf("reply %s to %d: %v", m.Payload(), c.id, err)
	}
	return r
}

func (c *thingsGo) next(t *testing.T) mqtt.Message {
	t.Helper()
	select {
	case m := <-c.received:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("nothing received within 10 s")
		return nil
	}
}

func TestThingsGoBytes(t *testing.T) {
	h := startHubd(t)
	c := dialThingsGo(t, h, lamp)
	for _, filter := range c.subscriptions() {
		token := c.Subscribe(filter, 1, nil)
		c.wait(t, token)
		if granted := token.(*mqtt.SubscribeToken).Result()[filter]; granted != 1 {
			t.Errorf("%s is granted %d, want 1", filter, granted)
		}
	}
	for _, tt := range []struct {
		path   string
		params any
		served bool // the others must be answered too
	}{
		{"thing/event/property/post", object{"Temp": 42}, true},
		{"thing/event/tempAlarm/post", object{"high": 1}, true},
		{"thing/deviceinfo/update", []object{{"attrKey": "room", "attrValue": "hall"}}, true},
		{"thing/deviceinfo/delete", []object{{"attrKey": "room"}}, true},
		{"thing/event/property/history/post", []object{}, true},
		{"thing/config/get", object{"configScope": "product", "getType": "file"}, false},
		{"thing/dsltemplate/get", "{}", false},
	} {
		t.Run(tt.path, func(t *testing.T) {
			if r := c.call(t, tt.path, tt.params); tt.served && r.Code != 200 || r.Message == "" {
				t.Errorf("reply %+v", r)
			}
		})
	}
	if got := h.property(t, lamp, "Temp"); got != 42.0 {
		t.Errorf("Temp is %v at the platform, want 42", got)
	}
	t.Run("ntp", func(t *testing.T) {
		c.wait(t, c.Publish("/ext/ntp/"+lamp.id.String()+"/request", 1, false, `{"deviceSendTime":"1234"}`))
		var times struct {
			Sent int64 `json:"deviceSendTime,string"`
			Recv int64 `json:"serverRecvTime,string"`
		}
		if m := c.next(t); json.Unmarshal(m.Payload(), &times) != nil || times.Sent != 1234 || times.Recv == 0 {
			t.Errorf("%s %s", m.Topic(), m.Payload())
		}
	})
	t.Run("set", func(t *testing.T) { c.answerCall(t, h) })
}

// answerCall answers a property set with a number for its id, as the library
// decodes and writes it.
func (c *thingsGo) answerCall(t *testing.T, h *hubd) {
	done := make(chan answer, 1)
	go func() {
		var a answer
		if err := h.try("POST", devicePath(lamp)+"/properties", object{"params": object{"Power": 1}}, &a); err != nil {
			t.Error(err)
		}
		done <- a
	}()
	m := c.next(t)
	var req reply
	if err := json.Unmarshal(m.Payload(), &req); err != nil {
		t.Fatalf("request %s: %v", m.Payload(), err)
	}
	c.wait(t, c.Publish(m.Topic()+"_reply", 1, false, fmt.Sprintf(`{"id":%d,"code":200,"data":{}}`, req.ID)))
	if a := <-done; a.Code != 200 {
		t.Errorf("answer %+v at the application", a)
	}
}

// A gateway that subscribes to everything by itself and publishes with QoS 1: what
// the library calls sub_register, topo and combine.
func TestThingsGoGateway(t *testing.T) {
	h := startGatewayHubd(t)
	c := dialThingsGo(t, h, gateway)
	for _, filter := range c.subscriptions() {
		c.wait(t, c.Subscribe(filter, 1, nil))
	}
	want := func(code int, path string, params any) {
		t.Helper()
		if r := c.call(t, path, params); r.Code != code {
			t.Errorf("%s: %+v, want code %d", path, r, code)
		}
	}
	sign := func(d device) object {
		params := []auth.Param{
			{Key: "clientId", Value: d.id.Product + "." + d.id.Name},
			{Key: "deviceName", Value: d.id.Name},
			{Key: "productKey", Value: d.id.Product},
			{Key: "timestamp", Value: fmt.Sprint(time.Now().UnixMilli())},
		}
		o := object{"signmethod": "hmacsha256", "signMethod": "hmacsha256", "sign": auth.Sign(auth.HMACSHA256, d.secret, params...)}
		for _, p := range params {
			o[p.Key] = p.Value
		}
		return o
	}
	want(200, "thing/sub/register", []object{thermometer.named()})
	want(200, "thing/topo/add", []object{sign(thermometer)})
	want(200, "thing/topo/get", "{}")
	want(200, "combine/login", sign(thermometer))
	if state, _ := h.state(t, thermometer); state != "online" {
		t.Errorf("sub-device is %s", state)
	}
	c.wait(t, c.Subscribe(thermometer.sys("thing/event/+/post_reply"), 1, nil))
	c.id++
	c.wait(t, c.Publish(thermometer.sys("thing/event/property/post"), 1, false, fmt.Sprintf(`{"id":"%d","version":"1.0","params":{"Temp":7},"method":"thing.event.property.post"}`, c.id)))
	if m := c.next(t); m.Topic() != thermometer.sys("thing/event/property/post_reply") {
		t.Errorf("%s %s", m.Topic(), m.Payload())
	}
	if got := h.property(t, thermometer, "Temp"); got != 7.0 {
		t.Errorf("Temp is %v", got)
	}
	want(200, "combine/logout", thermometer.named())
	c.wait(t, c.Publish(thermometer.sys("thing/event/property/post"), 1, false, `{"id":"99","params":{}}`))
	if m := c.next(t); m.Topic() != "/ext/error/"+gateway.id.String() || !strings.Contains(string(m.Payload()), `"code":520`) {
		t.Errorf("%s %s, want 520", m.Topic(), m.Payload())
	}
	want(200, "thing/topo/delete", []object{thermometer.named()})
}
