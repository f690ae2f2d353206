// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/mqttd"

	"github.com/openalink/iot/auth"
)

// TestEcho: a general broker brings a client its own messages when one of its
// filters matches. The device takes them neither for requests nor for answers.
func TestEcho(t *testing.T) {
	id := iot.DeviceID{Product: "a1product", Name: "lamp"}
	a := new(haltest.FakeAccess)
	door, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	network := new(mem.Network)
	l, err := network.Listen("door:1883")
	if err != nil {
		t.Fatal(err)
	}
	go door.Serve(l)
	c, err := device.New(device.Config{
		Identity:  hal.Identity{Device: id, DeviceSecret: auth.NewSecret("secret")},
		Transport: &mqtt.Transport{URL: "tcp://door:1883", Net: network},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := a.Next(t)
	for _, path := range []string{
		"thing/event/property/post", "thing/event/alarm/post", "thing/service/add_reply", "thing/service/property/set_reply",
		"thing/config/get", "thing/deviceinfo/update", "rrpc/response/1",
		"thing/service/add", // this one is for the device
	} {
		m := iot.Message{Topic: "/sys/" + id.String() + "/" + path, Payload: []byte(`{"id":"` + path + `","version":"1.0","params":{},"method":"x"}`)}
		s.Request.Link.Send(t.Context(), hal.Delivery{Message: m}, nil)
	}
	if got := s.Received(t).Copy.Topic; got != "/sys/"+id.String()+"/thing/service/add_reply" {
		t.Errorf("the device answered on %s", got)
	}
	if n := s.Waiting(); n > 0 {
		t.Errorf("%d more answers", n)
	}
}
