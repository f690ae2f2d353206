// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"context"
	"fmt"
	"net"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/internal/mqttwire"
	"github.com/openalink/iot/topic"
)

// platform lets everybody in and answers every message. Package hub is a real
// one.
type platform struct{}

func (platform) Connect(_ context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	fmt.Println("hello,", r.ClientID)
	return hal.Accepted{Session: session{}}, nil
}

type session struct{}

func (session) Receive(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
	done([]iot.Message{{Topic: m.Topic + "_reply", Payload: []byte("thanks")}}, nil)
}

func (session) Authorize(topic.Operation, string) error { return nil }

func (session) Close(cause hal.Cause) { fmt.Println("goodbye:", cause) }

func Example() {
	srv, err := mqttd.New(mqttd.Config{Access: platform{}})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = srv.Serve(l) }()

	client(l.Addr().String())
	_ = srv.Shutdown(context.Background())
	// Output:
	// hello, device
	// CONNACK
	// PUBACK
	// /post_reply thanks
	// goodbye: client
}

// client stands for a device.
func client(addr string) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	b := mqttwire.AppendConnect(nil, &mqttwire.Connect{Level: mqttwire.Level311, ClientID: "device", CleanSession: true})
	b = mqttwire.AppendPublish(b, &mqttwire.Publish{Topic: "/post", QoS: 1, PacketID: 1})
	_, _ = nc.Write(b)
	r := mqttwire.NewReader(nc, 1<<10)
	for range 2 {
		p, _ := r.Next()
		fmt.Println(p.Type())
	}
	p, _ := r.Next()
	m, _ := mqttwire.ParsePublish(p)
	fmt.Println(m.Topic, string(m.Payload))
	_, _ = nc.Write(mqttwire.AppendDisconnect(nil))
	_, _ = r.Next()
}
