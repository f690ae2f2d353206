// SPDX-License-Identifier: Apache-2.0

package haltest_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/hal/webhook"
)

// A test of a front door opens it for the Access it is given.
func ExampleTestFrontDoor() {
	_ = func(t *testing.T) {
		haltest.TestFrontDoor(t, func(t *testing.T, a hal.Access) haltest.Door {
			return openMyDoor(t, a)
		})
	}
	// Output:
}

func openMyDoor(*testing.T, hal.Access) haltest.Door { return nil }

// myBroker is a broker of others with a webhook behind it.
type myBroker struct {
	*webhook.Server // answers the broker's questions, and has Dropped
	url             string
}

func (b *myBroker) Transport() hal.Transport { return mqtt.New(b.url) }

func (b *myBroker) Consume(ctx context.Context, subscribed func()) error {
	return b.Server.Consume(ctx, webhook.Consumer{URL: b.url, UserName: "platform", Subscribed: subscribed})
}

// A test of a door behind a broker says how devices come and how messages are taken.
func ExampleTestBehindBroker() {
	_ = func(t *testing.T) {
		haltest.TestBehindBroker(t, func(t *testing.T, a hal.Access) haltest.Broker {
			hook, err := webhook.New(webhook.Config{Access: a, Secret: auth.NewSecret("between broker and platform")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = hook.Close() })
			return &myBroker{hook, "mqtt://127.0.0.1:1883"} // one that asks hook
		}, haltest.LeaveOut("Close/EndIsTold", "the broker has no event for it"))
	}
	// Output:
}

// FakeAccess stands for a platform.
func ExampleFakeAccess() {
	var t testing.T // the one of the test

	a := &haltest.FakeAccess{
		Decide: func(_ context.Context, s *haltest.FakeSession) (hal.Accepted, error) {
			if s.Request.ClientID == "" {
				return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadClientID}
			}
			return hal.Accepted{Session: s}, nil
		},
	}
	srv, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		panic(err)
	}
	ours, theirs := mem.Pipe(4096)
	srv.ServeConn(theirs)

	// CONNECT and PUBLISH with QoS 1.
	_, _ = io.WriteString(ours, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x"+"\x32\x08\x00\x02/a\x00\x01hi")
	s := a.Next(&t)
	m := s.Received(&t)
	fmt.Println(s.Request.ClientID, m.Copy.Topic, string(m.Copy.Payload))
	m.Done(nil, nil)

	b := make([]byte, 8)
	_, _ = io.ReadFull(ours, b)
	fmt.Printf("% x\n", b)
	_ = srv.Close()
	fmt.Println(s.Closed(&t))
	// Output:
	// x /a hi
	// 20 02 00 00 40 02 00 01
	// server-stop
}
