// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

func TestSmoke(t *testing.T) {
	st := mem.New()
	h, err := hub.Open(t.Context(), hub.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.CreateProduct(t.Context(), hub.Product{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.RegisterDevice(t.Context(), hub.Device{ID: iot.DeviceID{Product: p.Key, Name: "dev01"}})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := mqttd.New(mqttd.Config{Access: h})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(l)
	tr := auth.SignMQTT(d.ID, d.Secret, auth.MQTTOptions{ServerSubscribe: true})
	o := mqtt.NewClientOptions().AddBroker("tcp://" + l.Addr().String()).SetClientID(tr.ClientID).SetUsername(tr.UserName).SetPassword(tr.Password.Reveal()).SetKeepAlive(60 * time.Second)
	o.SetDefaultPublishHandler(func(c mqtt.Client, m mqtt.Message) {
		fmt.Println("got", m.Topic(), string(m.Payload()))
		if m.Topic() == "/sys/"+d.ID.String()+"/thing/service/property/set" {
			go c.Publish(m.Topic()+"_reply", 1, false, `{"id":"1","code":200,"data":{}}`)
		}
	})
	c := mqtt.NewClient(o)
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	tok := c.Publish("/sys/"+d.ID.String()+"/thing/event/property/post", 1, false, `{"id":"12","params":{"temp":21.5},"method":"thing.event.property.post"}`)
	if tok.Wait() && tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	vals, err := h.Properties(t.Context(), d.ID)
	fmt.Println(vals, err)
	fmt.Println(h.SetProperties(t.Context(), d.ID, map[string]any{"temp": 3}, hub.CallOptions{}))
	c.Disconnect(100)
	time.Sleep(100 * time.Millisecond)
	for e, err := range h.Logs(t.Context(), hub.LogQuery{}) {
		fmt.Printf("%+v %v\n", e, err)
	}
	fmt.Println(srv.Shutdown(t.Context()), h.Close())
}
