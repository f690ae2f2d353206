// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/openalink/iot/rules/scene"
)

// Scenes of the provision file run, and one put over HTTP is still there after a
// kill.
func TestScenes(t *testing.T) {
	fleet := fleetFileWith(t, fleetFile(t, 2), "scenes", fmt.Sprintf(`[
		{"id":"hot","triggers":[{"type":"property","device":"%[1]s/%[2]s","property":"T","op":">","value":30}],"actions":[{"type":"alarm","level":"warning","text":"hot"}]}]`, productKey, name(0)))
	args := []string{"-data", t.TempDir(), "-provision", fleet, "-limits", "none", "-api-key", apiKey, "-log", "error", "-mqtt", "127.0.0.1:0", "-http", "127.0.0.1:0"}
	h := startHubd(t, args...)
	if err := h.connect(0, "tcp://"+h.addr["mqtt"]).PostProperties(t.Context(), map[string]int{"T": 31}); err != nil {
		t.Fatal(err)
	}
	h.alarms(t, "hot", 1)
	h.kill()
	h = startHubd(t, args...)
	defer h.kill()
	h.alarms(t, "hot", 1)
	if err := h.connect(0, "tcp://"+h.addr["mqtt"]).PostProperties(t.Context(), map[string]int{"T": 32}); err != nil {
		t.Fatal(err)
	}
	h.alarms(t, "hot", 2)
	var list struct{ Items []scene.Entry }
	h.get("/api/v1/scenes", &list)
	if len(list.Items) != 1 || list.Items[0].ID != "hot" || list.Items[0].Stats.Runs != 1 {
		t.Errorf("%+v", list)
	}
}

// alarms waits until there are n alarms of a scene.
func (h *hubd) alarms(t *testing.T, id string, n int) {
	t.Helper()
	var list struct{ Items []scene.Alarm }
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && len(list.Items) < n; time.Sleep(10 * time.Millisecond) {
		h.get("/api/v1/alarms?scene="+url.QueryEscape(id), &list)
	}
	if len(list.Items) != n || list.Items[n-1].Text != "hot" {
		t.Errorf("%+v, want %d", list, n)
	}
}
