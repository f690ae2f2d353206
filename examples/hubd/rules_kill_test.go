// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	iot "github.com/openalink/iot"
)

// outage is how long the receiver of TestRuleOutage is down. CI takes a minute.
var outage = flag.Duration("outage", 4*time.Second, "how long the receiver of a rule is down")

// receiver is what a rule posts to. While it is down it cuts connections off.
type receiver struct {
	down atomic.Bool

	mu    sync.Mutex
	first map[string][]int          // by device: the numbers, in the order they first came
	keys  map[string]map[int]string // by device and number
	again map[string]int
	wrong []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.down.Load() {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			c.Close()
		}
		return
	}
	var row struct {
		N int
		D string
	}
	if err := json.NewDecoder(req.Body).Decode(&row); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	key := req.Header.Get("Idempotency-Key")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys[row.D] == nil {
		r.keys[row.D] = map[int]string{}
	}
	switch known, ok := r.keys[row.D][row.N]; {
	case !ok:
		r.keys[row.D][row.N] = key
		r.first[row.D] = append(r.first[row.D], row.N)
	case known != key:
		r.wrong = append(r.wrong, fmt.Sprintf("%s %d came as %s and %s", row.D, row.N, known, key))
	default:
		r.again[row.D]++
	}
}

// TestRuleOutage has the receiver of an at-least-once rule go down under load and
// kills hubd meanwhile. When both are back, every message that was acknowledged to
// its device arrives, each device's in order, and what comes twice has one key.
func TestRuleOutage(t *testing.T) {
	const devices = 8
	to := &receiver{first: map[string][]int{}, keys: map[string]map[int]string{}, again: map[string]int{}}
	server := httptest.NewServer(to)
	defer server.Close()
	fleet := fleetWith(t, fleetFile(t, devices), fmt.Sprintf(`[{"id":"all","mode":"at-least-once",
		"sql":"SELECT n, deviceName() AS d FROM \"/%s/+/user/update\"",
		"actions":[{"type":"webhook","url":%q,"retry":{"min":"100ms","max":"1s"}}]}]`, productKey, server.URL))
	args := []string{"-data", t.TempDir(), "-provision", fleet, "-limits", "none", "-api-key", apiKey, "-log", "error", "-mqtt", "127.0.0.1:0", "-http", "127.0.0.1:0"}

	acked := make([]int, devices) // the last number acknowledged
	lost := make([]map[int]bool, devices)
	for n := range lost {
		lost[n] = map[int]bool{}
	}
	numbers := make([]atomic.Int64, devices)
	run := func(during func()) {
		h := startHubd(t, args...)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var writing sync.WaitGroup
		for n := range devices {
			writing.Go(func() { h.number(ctx, n, &numbers[n], &acked[n], lost[n]) })
		}
		during()
		h.kill() // while they write
		cancel()
		writing.Wait()
	}
	run(func() {
		time.Sleep(time.Second)
		to.down.Store(true)
		time.Sleep(*outage / 2)
	})
	run(func() {
		time.Sleep(*outage / 2)
		to.down.Store(false)
		time.Sleep(time.Second)
	})
	h := startHubd(t, args...)
	defer h.kill()
	to.await(t, acked, lost)
}

// number posts rising numbers until ctx ends or the hub dies. One that was not
// acknowledged may have arrived or not.
func (h *hubd) number(ctx context.Context, n int, next *atomic.Int64, acked *int, lost map[int]bool) {
	c := h.dial(n)
	if c == nil {
		return
	}
	defer c.Close()
	name := "/" + productKey + "/" + name(n) + "/user/update"
	for ctx.Err() == nil {
		i := next.Add(1)
		if c.Publish(ctx, iot.Message{Topic: name, QoS: 1, Payload: fmt.Appendf(nil, `{"n":%d}`, i)}) != nil {
			lost[int(i)] = true
			return
		}
		*acked = int(i)
		time.Sleep(20 * time.Millisecond)
	}
}

// await waits for everything that was acknowledged and prints the table.
func (r *receiver) await(t *testing.T, acked []int, lost []map[int]bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !r.has(acked, lost) && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("%-12s %8s %8s %8s %8s %8s", "device", "last", "arrived", "again", "missing", "disorder")
	for n := range acked {
		d := name(n)
		missing, disorder := r.missing(n, acked[n], lost[n]), 0
		for i := 1; i < len(r.first[d]); i++ {
			if r.first[d][i] < r.first[d][i-1] {
				disorder++
			}
		}
		t.Logf("%-12s %8d %8d %8d %8d %8d", d, acked[n], len(r.first[d]), r.again[d], missing, disorder)
		if missing > 0 || disorder > 0 || acked[n] == 0 {
			t.Errorf("%s: %d missing, %d out of order, %d acknowledged", d, missing, disorder, acked[n])
		}
	}
	for _, w := range r.wrong {
		t.Error(w)
	}
}

func (r *receiver) has(acked []int, lost []map[int]bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := range acked {
		if r.missing(n, acked[n], lost[n]) > 0 {
			return false
		}
	}
	return true
}

// missing counts what was acknowledged to device n and has not come.
func (r *receiver) missing(n, acked int, lost map[int]bool) (count int) {
	for i := 1; i <= acked; i++ {
		if r.keys[name(n)][i] == "" && !lost[i] {
			count++
		}
	}
	return count
}

// fleetWith is a provision file with rules.
func fleetWith(t *testing.T, fleet, rules string) string {
	t.Helper()
	return fleetFileWith(t, fleet, "rules", rules)
}

// fleetFileWith is a provision file with one more member.
func fleetFileWith(t *testing.T, fleet, member, value string) string {
	t.Helper()
	raw, err := os.ReadFile(fleet)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	file[member] = json.RawMessage(value)
	out, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fleet.json")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
