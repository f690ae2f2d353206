// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// pathRows measures the whole path against bare mochi: a post at QoS 1 is
// authorised, limited, parsed, routed through the Mux, committed durably,
// acknowledged and answered.
func (b *bench) pathRows(ctx context.Context) error {
	hub, mochi := []string{"-mode", "hub"}, []string{"-mode", "mochi"}
	for _, r := range []struct {
		what     string
		generate []string
		bar      row
	}{
		{"whole path, 100 connections, window 20", []string{"-conns", "100", "-window", "20"}, row{must: 0.9, aim: 1.2}},
		{"whole path, 5,000 connections, window 1", []string{"-conns", "5000", "-window", "1"}, row{must: 0.7, aim: 0.9}},
	} {
		s, err := b.compare(ctx, hub, mochi, r.generate)
		if err != nil {
			return err
		}
		b.rates(r.what, s, rate, r.bar)
		b.add(row{what: "  answered at Alink level", value: 100 * middle(s.ours, answered), unit: " %", must: 99, least: true})
		b.add(row{
			what: "  server CPU a message", base: fmt.Sprintf("mochi %.2f us", middle(s.base, cpuEach)/1e3),
			value: middle(s.ours, cpuEach) / 1e3, unit: " us", free: true,
		})
		b.bound(r.what, s.ours)
	}
	return nil
}

// bound says what keeps a run of the hub from being faster.
func (b *bench) bound(what string, runs []outcome) {
	busy := middle(runs, func(o *outcome) float64 { return o.used.Store.CommitTime.Seconds() / o.used.At.Seconds() })
	group := middle(runs, func(o *outcome) float64 { return float64(o.used.Store.Appends) / float64(max(1, o.used.Store.Groups)) })
	server, generator := middle(runs, serverCores), middle(runs, loadCores)
	others := middle(runs, func(o *outcome) float64 { return o.others })
	cause := "round trips: the window is too small to keep anybody busy"
	switch all := server + generator + others; {
	case all > 0.9*float64(runtime.NumCPU()):
		cause = fmt.Sprintf("the processors: server, generator and others take %.2f of %d cores", all, runtime.NumCPU())
		if busy > 0.9 {
			cause += ", and the committer, which writes one group after the other, is hardly ever idle"
		}
	case busy > 0.9:
		cause = "the committer, which writes one group after the other and waits for the disk twice in each"
	}
	b.note("%s is bound by %s. Committer busy %.2f, %.0f posts a group, p50 of PUBACK %v.", what, cause, busy, group,
		time.Duration(middle(runs, p50)).Round(10*time.Microsecond))
}

// answered is the share of posts with an Alink reply; at the end of a run some
// are on their way.
func answered(o *outcome) float64 { return float64(o.load.Replies) / float64(o.load.Posts) }

func p50(o *outcome) float64 { return float64(o.load.P50) }

// pacedRows measures 10,000 posts a second on a hub that holds values of 50,000
// devices: 100 neighbours, and 100 spread over all of them.
func (b *bench) pacedRows(ctx context.Context) error {
	s, err := b.serve(ctx, "-mode", "hub", "-devices", "50000", "-fill")
	if err != nil {
		return err
	}
	var near, far []outcome
	for range b.runs {
		if err = b.sync(); err != nil {
			break
		}
		var o outcome
		if o, err = b.generate(ctx, s, "-conns", "100", "-rate", "10000"); err != nil {
			break
		}
		near = append(near, o)
		if o, err = b.generate(ctx, s, "-conns", "100", "-rate", "10000", "-stride", "500"); err != nil {
			break
		}
		far = append(far, o)
	}
	if err = errors.Join(err, s.end()); err != nil {
		return err
	}
	b.paced("10,000 posts/s, 100 neighbouring devices", near, false)
	b.paced("10,000 posts/s, 100 devices spread over 50,000", far, true)
	b.note("The bar for bytes holds for devices whose values lie together. Of devices far apart, each post writes a page of 4 KiB " +
		"for its values alone, and most of those between it and the root: no bar for that row.")
	return nil
}

// sync measures the disk once more.
func (b *bench) sync() error {
	p50, _, err := syncLatency(b.dir, 200)
	b.machine.syncs = append(b.machine.syncs, p50)
	return err
}

func (b *bench) paced(what string, runs []outcome, free bool) {
	must := 4*b.machine.f() + 2500*time.Microsecond
	p99 := time.Duration(middle(runs, func(o *outcome) float64 { return float64(o.load.P99) }))
	b.add(row{
		what: what + ": p50 of PUBACK", ours: fmt.Sprintf("at %.0f/s, p99 %v", middle(runs, rate), round(p99)),
		base: "4F + 2.5 ms", value: middle(runs, p50) / 1e6, unit: " ms", must: must.Seconds() * 1e3, free: free,
	})
	b.add(row{
		what:  "  written to disk a post",
		ours:  fmt.Sprintf("%.0f groups/s", middle(runs, func(o *outcome) float64 { return float64(o.used.Store.Groups) / o.used.At.Seconds() })),
		value: middle(runs, func(o *outcome) float64 { return float64(o.used.Written) / o.messages() / 1024 }), unit: " KB", must: 4, free: free,
	})
	b.add(row{what: "  server CPU a message", value: middle(runs, cpuEach) / 1e3, unit: " us", free: true})
	b.disturbed(what, sides{ours: runs})
}
