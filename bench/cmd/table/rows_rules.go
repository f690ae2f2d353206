// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/openalink/iot/bench/micro"
)

// ruleRows measures rules: statements alone, many at once, and an at-least-once
// rule that writes a row of every post into a file.
func (b *bench) ruleRows(ctx context.Context) error {
	b.calm(ctx)
	b.machine.look()
	passes, fails := micro.Measure(micro.Rule(true)), micro.Measure(micro.Rule(false))
	b.add(row{what: "rule, from bytes to row", ours: nanoseconds(passes), base: b.scaled("800 ns"), value: passes.Nanoseconds, unit: " ns", must: 800 * b.machine.scale()})
	b.add(row{what: "  when it does not pass", ours: nanoseconds(fails), base: b.scaled("350 ns"), value: fails.Nanoseconds, unit: " ns", must: 350 * b.machine.scale()})
	b.add(row{what: "  its allocations", value: fails.Allocs})
	b.versus("  against encoding/json and expr-lang", micro.Rule(true), micro.Expr(), row{must: 0.2})
	b.versus("1,000 rules on topics of their own against 10", micro.Rules(1000, false), micro.Rules(10, false), row{must: 2})
	b.versus("1,000 rules on one topic against 1,000 alone", micro.Rules(1000, true), micro.Singly(1000), row{must: 0.2})

	s, err := b.compare(ctx, []string{"-mode", "hubrules"}, []string{"-mode", "hub"}, []string{"-conns", "100", "-window", "20"})
	if err != nil {
		return err
	}
	b.against("hub", "whole path with an at-least-once rule into a file", s, rate, row{must: 0.6})
	b.add(row{what: "  rows in the file by then", value: 100 * middle(s.ours, rowsEach), unit: " %", free: true})
	b.bound("whole path with a rule", s.ours)
	return nil
}

// rowsEach is the share of posts whose row was written while posts came.
func rowsEach(o *outcome) float64 {
	return float64(o.used.Rows) / float64(max(1, o.used.Store.Appends))
}
