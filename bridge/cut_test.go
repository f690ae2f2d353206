// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/bridge"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/iottest"
)

// The link to a hub elsewhere, over MQTT, is cut for 30 seconds: what fits the
// queues arrives, in order, and what does not is told, counted and refused to the
// sender. Nothing is lost silently.
func TestLinkCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, queue = 20, 8
		h := iottest.NewHub(t)
		faults := &iottest.Faults{Net: h.Network}
		tr := mqtt.New("tcp://" + h.Addr)
		tr.Net = faults
		gws := gateways(t, h, "cut", 2)
		for i := range gws {
			gws[i].Transport = tr
		}
		ids := devices(t, h, n)
		b := newBridge(t, bridge.Config{Gateways: gws, Identities: ids, Queue: queue, RoomWait: -1, MoveAfter: time.Hour})
		for i := range n {
			online(t, b, fmt.Sprint(i), bridge.SessionOptions{})
		}
		var results [n][]*bridge.Result
		post := func(round int) {
			for i := range n {
				results[i] = append(results[i], b.PublishAsync(t.Context(), fmt.Sprint(i), value(round)))
			}
		}
		post(0)
		time.Sleep(time.Second)
		faults.Refuse(true)
		faults.Cut()
		for round := range 15 { // one every two seconds, for 30
			post(1 + round)
			time.Sleep(2 * time.Second)
		}
		faults.Refuse(false)
		sent, dropped := 0, 0
		for i := range n {
			for round, r := range results[i] {
				err := r.Wait(t.Context())
				switch {
				case err == nil:
					sent++
				case errors.Is(err, bridge.ErrQueueFull) && round > queue:
					dropped++
				default:
					t.Errorf("device %d, round %d: %v", i, round, err)
				}
			}
			if got := h.Values(ids[fmt.Sprint(i)].Device)["N"]; got != fmt.Sprint(queue) {
				t.Errorf("device %d has N %s, want %d", i, got, queue)
			}
		}
		st := b.Stats()
		if sent != n*(1+queue) || dropped != n*(15-queue) || st.Sent != int64(sent) || st.Dropped != int64(dropped) || st.Waiting != 0 || st.Sessions != n {
			t.Errorf("sent %d, dropped %d; %+v", sent, dropped, st)
		}
		t.Logf("%d sent, %d dropped of %d", sent, dropped, 16*n)
	})
}
