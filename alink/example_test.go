// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"context"
	"fmt"
	"time"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
)

// A platform answers a property post.
func Example() {
	mux := alink.NewMux()
	err := mux.HandleFunc("thing/event/property/post", func(_ context.Context, r *alink.Request) alink.Reply {
		err := alink.EachProperty(r.Params, func(name string, value []byte, _ int64) bool {
			fmt.Printf("%v: %s is %s\n", r.Device, name, value)
			return true
		})
		return alink.ErrorReply(err)
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	t, err := topic.Parse("/sys/a1b2c3d4e5f/lamp-1/thing/event/property/post")
	if err != nil {
		fmt.Println(err)
		return
	}
	r := alink.Request{Device: t.Device, Topic: t, Payload: []byte(`{"id":7,"params":{"Switch":1,"Color":{"value":"red","time":1524448722000}}}`)}
	if err := alink.Parse(r.Payload, &r.Message); err != nil {
		fmt.Println(err)
		return
	}
	reply := mux.ServeAlink(context.Background(), &r).For(&r.Message)
	fmt.Printf("%s", alink.AppendReply(nil, &reply))
	// Output:
	// a1b2c3d4e5f/lamp-1: Switch is 1
	// a1b2c3d4e5f/lamp-1: Color is "red"
	// {"id":"7","code":200,"message":"success","version":"1.0","method":"","data":{}}
}

// One end calls the other and waits for the answer.
func ExampleCalls() {
	var ids alink.IDs
	calls := alink.NewCalls(100)
	id := ids.Next()
	pending, err := calls.Start(id)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", alink.AppendCall(nil, &alink.Call{ID: id, Method: string(alink.PropertySet), Params: []byte(`{"Switch":1}`)}))

	// The answer arrives on a connection's goroutine.
	go calls.Resolve("1", []byte(`{"id":"1","code":460,"message":"no such switch"}`))

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	answer, err := pending.Wait(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := answer.Message()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Err())
	// Output:
	// {"id":"1","version":"1.0","method":"thing.service.property.set","params":{"Switch":1}}
	// alink: code 460: no such switch
}

func ExampleMux_Use() {
	mux := alink.NewMux()
	mux.Use(func(next alink.Handler) alink.Handler {
		return alink.HandlerFunc(func(ctx context.Context, r *alink.Request) alink.Reply {
			reply := next.ServeAlink(ctx, r)
			fmt.Println(r.Topic.Path, reply.Code)
			return reply
		})
	})
	mux.ServeAlink(context.Background(), &alink.Request{Topic: topic.Topic{Path: "thing/nothing"}})
	// Output: thing/nothing bad parameters
}
