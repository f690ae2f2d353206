// SPDX-License-Identifier: Apache-2.0

package scene_test

import (
	"context"
	"encoding/json"
	"fmt"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/scene"
	"github.com/openalink/iot/store/mem"
)

// house stands for a hub, whose ForScenes is what a program gives.
type house struct{}

func (house) Latest(context.Context, iot.DeviceID, string) ([]byte, error) { return []byte("0"), nil }

func (house) Set(_ context.Context, id iot.DeviceID, items []byte) error {
	fmt.Printf("%v sets %s\n", id, items)
	return nil
}

func (house) Invoke(context.Context, iot.DeviceID, string, []byte) error { return nil }

// The fan goes on when the bath is hot and its window is closed.
func Example() {
	ctx := context.Background()
	l, st := &memlog.Log{}, mem.New() // a hub's RuleSource and store
	defer st.Close()
	runner, err := rules.Open(ctx, rules.Config{Source: l, Store: st})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer runner.Close()
	done := make(chan struct{})
	set, err := scene.Open(ctx, scene.Config{
		Runner: runner, Store: st, Platform: house{}, Observe: func(scene.Outcome) { close(done) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer set.Close()
	var s scene.Scene
	err = json.Unmarshal([]byte(`{"id":"heat",
		"triggers":[{"type":"property","device":"a1Product01/bath","property":"Temperature","op":">","value":28}],
		"when":{"device":"a1Product01/bath","property":"Window","op":"=","value":0},
		"actions":[{"type":"set","device":"a1Product01/fan","items":{"Power":1}}]}`), &s)
	if err == nil {
		err = set.Put(ctx, s)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	l.Say("bath", "/a1Product01/bath/thing/event/property/post", `{"items":{"Temperature":{"value":29.5}}}`)
	<-done
	// Output: a1Product01/fan sets {"Power":1}
}
