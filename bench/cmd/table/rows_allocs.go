// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
)

// allocRows tells the allocations of the store from the others.
func (b *bench) allocRows(ctx context.Context) error {
	for _, r := range []struct {
		what     string
		generate []string
	}{
		{"allocations a message above the store, window 20", []string{"-conns", "100", "-window", "20"}},
		{"allocations a message above the store, 10,000/s", []string{"-conns", "100", "-rate", "10000"}},
	} {
		file, err := b.trial(ctx, []string{"-mode", "hub", "-allocs"}, r.generate)
		if err != nil {
			return err
		}
		memory, err := b.trial(ctx, []string{"-mode", "hubmem"}, r.generate)
		if err != nil {
			return err
		}
		above := float64(file.used.AboveMallocs) / file.messages()
		tiny := float64(memory.used.Tiny) / memory.messages()
		b.add(row{
			what: r.what, ours: fmt.Sprintf("%.4f, and %.4f tiny ones", above, tiny),
			base:  fmt.Sprintf("%.2f in the store", float64(file.used.Mallocs)/file.messages()-above-tiny),
			value: above + tiny, must: 1,
		})
	}
	b.note("Allocations above the store come from a profile of every allocation in a run of its own: those whose innermost function, " +
		"libraries left out, is not of store/bolt or bbolt. Callbacks of the store count as above it. The profile does not know " +
		"allocations of less than 16 bytes that share a block; those of a run on store/mem stand for them, the store's own included.")
	return nil
}
