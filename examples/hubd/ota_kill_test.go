// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// TestNoUpdateIsLost kills hubd while devices go through an update: what a device
// was acknowledged to have reported counts, and the campaign ends.
func TestNoUpdateIsLost(t *testing.T) {
	const devices, kills = 12, 6
	args := []string{
		"-data", t.TempDir(), "-provision", fleetFile(t, devices), "-limits", "none", "-api-key", apiKey, "-log", "error",
		"-mqtt", "127.0.0.1:0", "-http", "127.0.0.1:0",
	}
	h := startHubd(t, args...)
	campaign := h.rollout()
	var mu sync.Mutex
	done := map[string]bool{}
	for range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var living sync.WaitGroup
		for n := range devices {
			mu.Lock()
			skip := done[name(n)] || rand.IntN(2) == 0
			mu.Unlock()
			if skip {
				continue
			}
			c := h.dial(n)
			living.Go(func() {
				if update(ctx, c, n) {
					mu.Lock()
					done[name(n)] = true
					mu.Unlock()
				}
			})
		}
		time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond)
		h.kill()
		cancel()
		living.Wait()
		h = startHubd(t, args...)
	}
	states := h.jobs(campaign)
	for device := range done {
		if states[device] != "succeeded" {
			t.Errorf("%s reported the version and was acknowledged, and is %s", device, states[device])
		}
	}
	t.Logf("%d of %d devices were done after %d kills: %v", len(done), devices, kills, states)
	for n := range devices {
		if !done[name(n)] && !update(t.Context(), h.dial(n), n) {
			t.Errorf("%s cannot report", name(n))
		}
	}
	for device, state := range h.jobs(campaign) {
		if state != "succeeded" {
			t.Errorf("%s is %s in the end", device, state)
		}
	}
}

// rollout starts a campaign to all devices.
func (h *hubd) rollout() (campaign string) {
	h.t.Helper()
	var p, c struct{ ID string }
	h.send("/packages?productKey="+productKey+"&version=2.0", "firmware", &p)
	h.send("/campaigns", fmt.Sprintf(`{"productKey":%q,"packages":[%q],"overMqtt":true}`, productKey, p.ID), &c)
	h.send("/campaigns/"+c.ID+"/control", `{"action":"start"}`, &c)
	return c.ID
}

func (h *hubd) send(path, body string, out any) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+h.addr["http"]+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+apiKey)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || json.Unmarshal(text, out) != nil {
		h.t.Fatalf("%s: %s %s %v", path, answer.Status, text, err)
	}
}

func (h *hubd) jobs(campaign string) map[string]string {
	h.t.Helper()
	var list struct {
		Items []struct{ Device, State string }
	}
	h.get("/api/v1/campaigns/"+campaign+"/jobs", &list)
	states := map[string]string{}
	for _, j := range list.Items {
		states[j.Device] = j.State
	}
	return states
}

// update is the life of device n: the old version, half of the file, the new
// version. It reports whether that was acknowledged.
func update(ctx context.Context, c hal.Conn, n int) bool {
	if c == nil {
		return false
	}
	defer c.Close()
	id := iot.DeviceID{Product: productKey, Name: name(n)}
	for _, m := range []struct{ kind, payload string }{
		{"inform", `{"id":"1","params":{"version":"1.0"}}`},
		{"progress", `{"id":2,"params":{"step":"50","desc":""}}`},
		{"inform", `{"id":"3","params":{"version":"2.0"}}`},
	} {
		if c.Publish(ctx, iot.Message{Topic: topic.OTA(m.kind, id), QoS: 1, Payload: []byte(m.payload)}) != nil {
			return false
		}
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
	}
	return true
}
