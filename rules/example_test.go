// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"context"
	"fmt"
	"time"

	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/store/mem"
)

// A rule with a Go function as its sink. The log stands for the platform's.
func Example() {
	ctx := context.Background()
	l, st := &memlog.Log{}, mem.New()
	defer st.Close()
	runner, err := rules.Open(ctx, rules.Config{Source: l, Store: st})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer runner.Close()
	done := make(chan struct{})
	err = runner.Put(ctx, rules.Rule{
		ID:   "heat",
		SQL:  `SELECT deviceName() AS d, t FROM "/a1Lamps0001/+/user/update" WHERE t > 38`,
		Mode: rules.AtLeastOnce,
		Actions: []rules.Action{{Sink: rules.SinkFunc(func(_ context.Context, batch []*rules.Delivery) error {
			fmt.Println(batch[0].Key, string(batch[0].Payload))
			close(done)
			return nil
		})}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	l.Say("lamp-1", "/a1Lamps0001/lamp-1/user/update", `{"t":21}`)
	l.Say("lamp-1", "/a1Lamps0001/lamp-1/user/update", `{"t":40.5}`)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		fmt.Println("nothing came")
	}
	// Output: heat/0/2 {"d":"lamp-1","t":40.5}
}
