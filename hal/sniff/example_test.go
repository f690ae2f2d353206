// SPDX-License-Identifier: Apache-2.0

package sniff_test

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hal/sniff"
)

// A server with MQTT and HTTP on one port. With sniff.Config.TLS set, both are
// served inside TLS on that port, too.
func Example() {
	mqtt, err := mqttd.New(mqttd.Config{Access: new(haltest.FakeAccess)}) // a hub, in earnest
	if err != nil {
		panic(err)
	}
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello over HTTP") })
	srv, err := sniff.New(sniff.Config{MQTT: mqtt, HTTP: api})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = srv.Serve(l) }()

	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	fmt.Println(string(body))

	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(nc, connect)
	connack := make([]byte, 4)
	_, _ = io.ReadFull(nc, connack)
	fmt.Printf("% x\n", connack)
	_ = nc.Close()
	_ = srv.Close()
	_ = mqtt.Close()
	// Output:
	// hello over HTTP
	// 20 02 00 00
}
