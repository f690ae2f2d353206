// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"net/http"
	"strconv"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/dial"
	"github.com/openalink/iot/hub"
)

// The same program over every door hubd has: only the URL differs.
func TestEveryURL(t *testing.T) {
	h := startHubd(t, "-data", t.TempDir(), "-provision", fleetFile(t, 15), "-limits", "none", "-api-key", apiKey, "-http", "127.0.0.1:0",
		"-any", "127.0.0.1:0", "-mqtt", "127.0.0.1:0", "-mqtts", "127.0.0.1:0", "-ws", "127.0.0.1:0", "-wss", "127.0.0.1:0", "-https", "127.0.0.1:0",
		"-coap", "127.0.0.1:0", "-coaps", "127.0.0.1:0")
	for n, url := range []string{
		"mqtt://" + h.addr["mqtt"], "mqtts://" + h.addr["mqtts"], "ws://" + h.addr["ws"] + "/mqtt", "wss://" + h.addr["wss"] + "/mqtt",
		"https://" + h.addr["https"], "coap://" + h.addr["coap"], "coaps://" + h.addr["coaps"],
		"mqtts://" + h.addr["any"], "wss://" + h.addr["any"] + "/mqtt", "https://" + h.addr["any"], "http://" + h.addr["any"], "coaps://" + h.addr["coaps"],
		"h2://" + h.addr["https"], "h2://" + h.addr["any"], "h2c://" + h.addr["any"],
	} {
		trust := &tls.Config{InsecureSkipVerify: true} // hubd made its own certificate
		if n == 11 {
			trust = nil // a key of the DeviceSecret instead
		}
		transport, err := dial.New(url, trust)
		if err != nil {
			t.Fatal(err)
		}
		c, err := device.New(device.Config{
			Identity:  hal.Identity{Device: iot.DeviceID{Product: productKey, Name: name(n)}, DeviceSecret: auth.NewSecret(secret)},
			Transport: transport,
		})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Connect(t.Context())
		if err == nil {
			err = c.PostProperties(t.Context(), map[string]int{"n": n})
		}
		if err != nil {
			t.Errorf("%s: %v", url, err)
		}
		var values map[string]hub.Value
		h.get("/api/v1/devices/"+productKey+"/"+name(n)+"/properties", &values)
		if want := strconv.Itoa(n); string(values["n"].Value) != want {
			t.Errorf("%s: values %v", url, values)
		}
		_ = c.Close()
	}
	if resp, err := http.Get("http://" + h.addr["https"] + "/auth"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("-https answers in plain text: %s", resp.Status)
	}
}
