// SPDX-License-Identifier: Apache-2.0

package mqtt_test

import (
	"net"
	"testing"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/mqttd"
)

func TestPort(t *testing.T) {
	haltest.TestDevice(t, haltest.Port{
		Net: new(net.Dialer),
		Transport: func(t *testing.T, a hal.Access) hal.Transport {
			door, err := mqttd.New(mqttd.Config{Access: a})
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = door.Serve(l) }()
			t.Cleanup(func() { _ = door.Close() })
			return &mqtt.Transport{URL: "mqtt://" + l.Addr().String(), Net: new(net.Dialer)}
		},
	})
}
