// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/rules"
	rulefile "github.com/openalink/iot/rules/file"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

// nowhere takes log entries.
type nowhere struct{}

func (nowhere) Log(hub.LogEntry) {}

// BenchmarkRuleToFile is what an at-least-once rule costs a message: it reads the
// log, judges the message and writes a row into a file.
func BenchmarkRuleToFile(b *testing.B) {
	for name, form := range map[string]struct{ path, payload, sql string }{
		"custom": {"user/update", `{"t":40.5,"humidity":30,"note":"%0360d"}`, `SELECT deviceName() AS d, t FROM "/+/+/user/update" WHERE t > 38`},
		"properties": {
			"thing/event/property/post", `{"id":"1","version":"1.0","params":{"t":40.5,"humidity":30,"a":1,"b":2,"note":"%0280d"}}`,
			`SELECT deviceName() AS d, items.t.value AS t FROM "/+/+/thing/event/property/post" WHERE items.t.value > 38`,
		},
	} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			st, err := bolt.Open(filepath.Join(dir, "hub.db"), bolt.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			limits := hub.NoLimits()
			h, err := hub.Open(b.Context(), hub.Config{Store: st, Limits: &limits, LogSink: nowhere{}})
			if err != nil {
				b.Fatal(err)
			}
			defer h.Close()
			fillLog(b, h, st, form.path, form.payload)
			out, err := rulefile.Open(filepath.Join(dir, "rows"), rulefile.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer out.Close()
			runner, err := h.Rules(b.Context(), rules.Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer runner.Close()
			b.ReportAllocs()
			b.ResetTimer()
			err = runner.Put(b.Context(), rules.Rule{ID: "all", SQL: form.sql, Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: out, Batch: 500, Lanes: 2}}})
			if err != nil {
				b.Fatal(err)
			}
			for {
				s, err := runner.Stats("all")
				if err != nil {
					b.Fatal(err)
				}
				if s.Delivered >= uint64(b.N) {
					break
				}
				time.Sleep(time.Millisecond)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// fillLog puts b.N messages of 100 devices into the log, and a place of rule "all"
// before them.
func fillLog(b *testing.B, h *hub.Hub, st store.Engine, path, payload string) {
	b.Helper()
	if _, err := h.CreateProduct(b.Context(), hub.Product{Key: "a1Bench0001"}); err != nil {
		b.Fatal(err)
	}
	runner, err := h.Rules(b.Context(), rules.Config{})
	if err != nil {
		b.Fatal(err)
	}
	if err := runner.Put(b.Context(), rules.Rule{ID: "all", SQL: `SELECT * FROM "none"`, Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: rules.SinkFunc(nil)}}}); err != nil {
		b.Fatal(err)
	}
	if err := runner.Close(); err != nil {
		b.Fatal(err)
	}
	var batch store.Batch
	for i := range b.N {
		id := iot.DeviceID{Product: "a1Bench0001", Name: fmt.Sprintf("dev-%02d", i%100)}
		if i < 100 {
			if _, err := h.RegisterDevice(b.Context(), hub.Device{ID: id}); err != nil {
				b.Fatal(err)
			}
		}
		name := "/" + id.String() + "/" + path
		if path[0] == 't' {
			name = "/sys" + name
		}
		batch.Append("messages", id.String(), time.Now(), hub.AppendMessage(nil, int64(i+1), "", 1, name, fmt.Appendf(nil, payload, i)))
		if len(batch.Appends) == 1000 || i == b.N-1 {
			if err := store.Commit(b.Context(), st, &batch); err != nil {
				b.Fatal(err)
			}
			batch.Reset()
		}
	}
}
