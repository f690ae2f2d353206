// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/openalink/iot/bench/load"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/file"
)

// openRule adds an at-least-once rule that writes a row of every post into a file.
func (s *server) openRule(h *hub.Hub) error {
	dir := filepath.Join(s.dir, "bench-rows")
	_ = os.RemoveAll(dir)
	out, err := file.Open(dir, file.Options{})
	if err != nil {
		return err
	}
	s.stop = append(s.stop, func() { _ = out.Close(); _ = os.RemoveAll(dir) })
	runner, err := h.Rules(context.Background(), rules.Config{Rate: -1, Window: 10_000})
	if err != nil {
		return err
	}
	s.stop = append(s.stop, func() { _ = runner.Close() })
	s.rules = func() int64 {
		st, err := runner.Stats("all")
		if err != nil {
			return 0
		}
		return int64(st.Delivered)
	}
	return runner.Put(context.Background(), rules.Rule{
		ID: "all", Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: out, Batch: 2000, Lanes: 4}},
		SQL: `SELECT deviceName() AS d, items FROM "/` + load.Product + `/+/thing/event/property/post"`,
	})
}
