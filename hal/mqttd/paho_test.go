// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
)

// TestPaho talks to a client that others wrote, over every transport it has
// and in both versions.
func TestPaho(t *testing.T) {
	a := new(haltest.FakeAccess)
	s, plain, secure := newServer(t, a), listen(t), listen(t)
	defer serve(t, s, plain)()
	defer serve(t, s, tls.NewListener(secure, serverTLS()))()
	web := httptest.NewServer(s.WebSocket())
	defer web.Close()
	defer s.Close()
	for name, url := range map[string]string{
		"TCP":       "tcp://" + plain.Addr().String(),
		"TLS":       "ssl://" + secure.Addr().String(),
		"WebSocket": strings.Replace(web.URL, "http", "ws", 1) + "/mqtt",
	} {
		for _, version := range []uint{3, 4} {
			t.Run(name, func(t *testing.T) { talk(t, a, url, version) })
		}
	}
}

func talk(t *testing.T, a *haltest.FakeAccess, url string, version uint) {
	t.Helper()
	down := make(chan mqtt.Message, 1)
	opts := mqtt.NewClientOptions().AddBroker(url).SetClientID("paho").SetUsername("u").SetPassword("p").
		SetProtocolVersion(version).SetTLSConfig(clientTLS()).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { down <- m })
	c := mqtt.NewClient(opts)
	wait(t, c.Connect())
	session := a.Next(t)
	if got := session.Request.Version; got != byte(version) {
		t.Errorf("version is %d, want %d", got, version)
	}
	wait(t, c.Subscribe("/a/#", 1, nil))
	if got := session.Changed(t).Subscribed[0]; got != (hal.Filter{Topic: "/a/#", QoS: 1}) {
		t.Errorf("subscribed to %+v", got)
	}

	token := c.Publish("/a/b", 1, false, "hello")
	flight := session.Received(t)
	if string(flight.Copy.Payload) != "hello" {
		t.Errorf("got %q", flight.Copy.Payload)
	}
	flight.Done(nil, nil)
	wait(t, token)

	acked := make(chan error, 1)
	session.Request.Link.Send(t.Context(), hal.Delivery{
		Message: iot.Message{Topic: "/not/subscribed", Payload: []byte("down"), QoS: 1}, PacketID: 99,
	}, func(err error) { acked <- err })
	if m := <-down; m.Topic() != "/not/subscribed" || m.MessageID() != 99 {
		t.Errorf("client got %s with id %d", m.Topic(), m.MessageID())
	}
	if err := <-acked; err != nil {
		t.Error(err)
	}
	wait(t, c.Unsubscribe("/a/#"))
	c.Disconnect(100)
	if cause := session.Closed(t); cause != hal.CauseClient {
		t.Errorf("closed with %q", cause)
	}
}

func wait(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(20 * time.Second) {
		t.Fatal("waited in vain for the server")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}
