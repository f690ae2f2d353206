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
	"github.com/openalink/iot/topic"
)

// shadowVersion is what an answer or the history tells of one version.
type shadowVersion struct {
	Revision uint64
	State    struct {
		Reported, Desired map[string]any
	}
}

// shadowAcks are the writes that were acknowledged: the revision of an
// application's answer, 0 for those of devices, who are told none.
type shadowAcks struct {
	mu   sync.Mutex
	made map[string]map[string]uint64 // by device and marker
}

func (a *shadowAcks) add(device, marker string, revision uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.made[device] == nil {
		a.made[device] = map[string]uint64{}
	}
	a.made[device][marker] = revision
}

// TestNoShadowIsLost kills hubd 10 times while 8 writers, half of them devices
// and half applications, change four shadows. Afterwards every acknowledged value
// is in the history, under the revision its answer told, and no revision is there
// twice.
func TestNoShadowIsLost(t *testing.T) {
	const devices, kills = 4, 10
	args := []string{
		"-data", t.TempDir(), "-provision", fleetFile(t, devices), "-limits", "none", "-api-key", apiKey, "-log", "error",
		"-mqtt", "127.0.0.1:0", "-http", "127.0.0.1:0",
	}
	acks := &shadowAcks{made: map[string]map[string]uint64{}}
	for round := range kills {
		h := startHubd(t, args...)
		ctx, cancel := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		for n := range devices {
			writing.Go(func() { h.reportShadow(ctx, round, n, acks) })
			writing.Go(func() { h.patchShadow(ctx, round, n, acks) })
		}
		time.Sleep(time.Duration(50+rand.IntN(200)) * time.Millisecond)
		h.kill()
		cancel()
		writing.Wait()
	}
	h := startHubd(t, args...)
	total := 0
	for n := range devices {
		h.checkShadow(n, acks.made[name(n)])
		total += len(acks.made[name(n)])
	}
	t.Logf("%d acknowledged changes of %d shadows, %d kills", total, devices, kills)
	if total < 10*kills {
		t.Errorf("only %d changes were acknowledged: the test shows nothing", total)
	}
}

// reportShadow reports as device n until the hub dies. Its acknowledgement is the
// PUBACK: it comes after the commit.
func (h *hubd) reportShadow(ctx context.Context, round, n int, acks *shadowAcks) {
	c := h.dial(n)
	if c == nil {
		return
	}
	defer c.Close()
	update := topic.Shadow("update", iot.DeviceID{Product: productKey, Name: name(n)})
	for i := 0; ; i++ {
		marker := fmt.Sprintf("r%d-%d", round, i)
		payload := fmt.Appendf(nil, `{"method":"update","state":{"reported":{"mark":%q}}}`, marker)
		if c.Publish(ctx, iot.Message{Topic: update, QoS: 1, Payload: payload}) != nil {
			return
		}
		acks.add(name(n), "reported "+marker, 0)
	}
}

// patchShadow wishes as an application until the hub dies.
func (h *hubd) patchShadow(ctx context.Context, round, n int, acks *shadowAcks) {
	last := uint64(0)
	for i := 0; ; i++ {
		marker := fmt.Sprintf("r%d-%d", round, i)
		v, err := h.patch(ctx, n, fmt.Sprintf(`{"desired":{"mark":%q}}`, marker))
		if err != nil {
			return
		}
		if v.Revision <= last {
			h.t.Errorf("%s: revision %d after %d", name(n), v.Revision, last)
		}
		last = v.Revision
		acks.add(name(n), "desired "+marker, v.Revision)
	}
}

func (h *hubd) patch(ctx context.Context, n int, body string) (v shadowVersion, err error) {
	url := "http://" + h.addr["http"] + "/api/v1/devices/" + productKey + "/" + name(n) + "/shadow"
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, strings.NewReader(body))
	if err != nil {
		return v, err
	}
	r.Header.Set("Authorization", "Bearer "+apiKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return v, err
	}
	if resp.StatusCode != http.StatusOK {
		return v, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return v, json.Unmarshal(text, &v)
}

// checkShadow holds the history of a shadow against what was acknowledged.
func (h *hubd) checkShadow(n int, acked map[string]uint64) {
	h.t.Helper()
	found := map[string]uint64{}
	last := shadowVersion{}
	for _, v := range h.shadowHistory(n) {
		if v.Revision != last.Revision+1 {
			h.t.Errorf("%s: revision %d follows %d", name(n), v.Revision, last.Revision)
		}
		note := func(section string, now, before any) {
			if now != nil && now != before {
				found[fmt.Sprint(section, " ", now)] = v.Revision
			}
		}
		note("reported", v.State.Reported["mark"], last.State.Reported["mark"])
		note("desired", v.State.Desired["mark"], last.State.Desired["mark"])
		last = v
	}
	for marker, revision := range acked {
		if at, ok := found[marker]; !ok || revision != 0 && at != revision {
			h.t.Errorf("%s: acknowledged %s at revision %d, found %v at %d", name(n), marker, revision, ok, at)
		}
	}
	var now shadowVersion
	h.get("/api/v1/devices/"+productKey+"/"+name(n)+"/shadow", &now)
	if now.Revision != last.Revision {
		h.t.Errorf("%s: the shadow has revision %d, the history ends with %d", name(n), now.Revision, last.Revision)
	}
}

// shadowHistory pages through all versions, oldest first.
func (h *hubd) shadowHistory(n int) (all []shadowVersion) {
	h.t.Helper()
	cursor := ""
	for {
		var page struct {
			Items  []shadowVersion
			Cursor string
		}
		h.get("/api/v1/devices/"+productKey+"/"+name(n)+"/shadow/history?limit=1000&cursor="+cursor, &page)
		all = append(all, page.Items...)
		if cursor = page.Cursor; cursor == "" {
			return all
		}
	}
}
