// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
)

// A request kept since before a restart and one made after it have ids of their
// own: the answer to the one is not taken for that to the other.
func TestCallIDsOfARestartedHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, hub.Config{})
		d := p.register("lamp-1")
		if _, err := p.hub.SetProperties(t.Context(), d.ID, map[string]int{"Power": 0}, hub.CallOptions{Queue: true}); err != nil {
			t.Fatal(err)
		}
		if err := p.hub.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := hub.Open(t.Context(), hub.Config{Store: p.store})
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		p.hub = again
		c, err := p.login(d, loginOptions{MQTTOptions: auth.MQTTOptions{ServerSubscribe: true}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := again.SetProperties(ctx, d.ID, map[string]int{"Power": 1}, hub.CallOptions{})
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		var ids []string
		for _, sent := range c.take() {
			var m struct{ ID string }
			if err := json.Unmarshal(sent.Message.Payload, &m); err != nil {
				t.Fatal(err)
			}
			if n, err := strconv.ParseInt(m.ID, 10, 64); err != nil || n < 1 || n > math.MaxInt32 {
				t.Errorf("id %q is no number of 31 bits above zero", m.ID)
			}
			ids = append(ids, m.ID)
		}
		if len(ids) != 2 || ids[0] == ids[1] {
			t.Errorf("ids %q, want two different ones", ids)
		}
	})
}
