// SPDX-License-Identifier: Apache-2.0

package hal_test

import (
	"context"
	"errors"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// doorman is an Access of its own: whoever knows the word may come in, and what
// is said is printed. A hub.Hub is the Access of a whole platform.
type doorman struct{}

func (doorman) Connect(_ context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	if word, ok := r.Credential.(auth.Password); !ok || string(word.Bytes()) != "please" {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials}
	}
	return hal.Accepted{Session: listener{}}, nil
}

type listener struct{}

func (listener) Receive(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
	fmt.Printf("%s: %s\n", m.Topic, m.Payload)
	done(nil, nil)
}
func (listener) Authorize(topic.Operation, string) error { return nil }
func (listener) Close(cause hal.Cause)                   { fmt.Println("closed:", cause) }

// A listener for any protocol does three things: it asks the Access, hands over
// what arrives, and tells the end.
func Example() {
	var access hal.Access = doorman{}
	_, err := access.Connect(context.Background(), &hal.ConnectRequest{Protocol: "example"})
	if refused, ok := errors.AsType[*hal.RefusedError](err); ok {
		fmt.Println("refused:", refused.Reason)
	}
	accepted, _ := access.Connect(context.Background(), &hal.ConnectRequest{Credential: auth.NewPassword("please")})
	accepted.Session.Receive(context.Background(), iot.Message{Topic: "greeting", Payload: []byte("hello")}, func([]iot.Message, error) {})
	accepted.Session.Close(hal.CauseClient)
	// Output:
	// refused: bad credentials
	// greeting: hello
	// closed: client
}
