// SPDX-License-Identifier: Apache-2.0

package dial_test

import (
	"net"
	"net/http/httptest"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hal/dial"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/bar"
	"github.com/openalink/iot/store/mem"
)

var lamp = iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"}

// doors opens every kind of door to a hub and returns their URLs.
func doors(t *testing.T, h *hub.Hub) (urls []string) {
	t.Helper()
	front, err := mqttd.New(mqttd.Config{Access: h})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := https.NewHandler(https.Config{Platform: h})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(handler)
	server, err := coap.NewServer(coap.Config{Platform: h})
	if err != nil {
		t.Fatal(err)
	}
	var sockets [2]*net.UDPConn
	for i := range sockets {
		if sockets[i], err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	ends := make(chan error, 3)
	go func() { ends <- front.Serve(l) }()
	go func() { ends <- server.Serve(sockets[0]) }()
	go func() { ends <- server.ServeDTLS(sockets[1]) }()
	t.Cleanup(func() {
		web.Close()
		_, _ = front.Close(), server.Close()
		for range cap(ends) {
			<-ends
		}
	})
	return []string{"mqtt://" + l.Addr().String(), web.URL, "coap://" + sockets[0].LocalAddr().String(), "coaps://" + sockets[1].LocalAddr().String()}
}

// TestDisabledEverywhere: a device with a session of each kind is disabled, and all
// of them are dead at once.
func TestDisabledEverywhere(t *testing.T) {
	bar.Within(t, 100*time.Millisecond, func() time.Duration { return disable(t) })
}

// disable returns how long after the order one of the sessions was alive.
func disable(t *testing.T) time.Duration {
	limits := hub.NoLimits()
	h, err := hub.Open(t.Context(), hub.Config{Store: mem.New(), Limits: &limits})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: lamp.Product}); err != nil {
		t.Fatal(err)
	}
	d, err := h.RegisterDevice(t.Context(), hub.Device{ID: lamp})
	if err != nil {
		t.Fatal(err)
	}
	tr := auth.SignMQTT(lamp, d.Secret, auth.MQTTOptions{})
	login := hal.Login{ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, DeviceSecret: d.Secret, KeepAlive: time.Minute}
	m := iot.Message{Topic: "/a1Lamps0001/lamp-1/user/update", Payload: []byte("x"), QoS: iot.AtLeastOnce}
	var conns []hal.Conn
	for _, url := range doors(t, h) {
		transport, err := dial.New(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := transport.Connect(t.Context(), login, func(iot.Message) {})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		defer c.Close()
		if err := c.Publish(t.Context(), m); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		conns = append(conns, c)
	}
	start := time.Now()
	if _, err := h.DisableDevice(t.Context(), lamp); err != nil {
		t.Fatal(err)
	}
	for n, c := range conns {
		if err := c.Publish(t.Context(), m); err == nil {
			t.Errorf("connection %d: still heard", n)
		}
		<-c.Done()
	}
	return time.Since(start)
}
