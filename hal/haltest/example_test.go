// SPDX-License-Identifier: Apache-2.0

package haltest_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqttd"
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
