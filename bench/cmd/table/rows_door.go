// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
)

// doorRows measures hal/mqttd alone, which accepts everything and stores
// nothing, against mochi.
func (b *bench) doorRows(ctx context.Context) error {
	accept, mochi := []string{"-mode", "accept"}, []string{"-mode", "mochi"}
	s, err := b.compare(ctx, accept, mochi, []string{"-conns", "100", "-window", "20"})
	if err != nil {
		return err
	}
	b.rates("front door, QoS 1, 100 connections, window 20", s, rate, row{must: 6, aim: 8})
	b.eachRows(s)

	s, err = b.compare(ctx, accept, append(mochi, "-count"), []string{"-conns", "100", "-qos", "0"})
	if err != nil {
		return err
	}
	b.rates("front door, QoS 0, counted at the server's hook", s, hookRate, row{must: 5, aim: 7})

	s, err = b.compare(ctx, []string{"-mode", "verify"}, mochi, []string{"-do", "login", "-conns", "16"})
	if err != nil {
		return err
	}
	b.rates("CONNECT with HMAC-SHA256 checked, against allow-all", s, rate, row{must: 1.8, aim: 2.1})
	b.add(row{
		what: "  server CPU a CONNECT", base: fmt.Sprintf("mochi %.1f us", middle(s.base, cpuEach)/1e3),
		value: middle(s.ours, cpuEach) / 1e3, unit: " us", free: true,
	})
	return nil
}

// rates adds a row with the ratio of two rates: the median of the ratios of runs
// that followed each other, so that a machine that changes its speed meanwhile
// does not matter.
func (b *bench) rates(what string, s sides, figure func(*outcome) float64, r row) {
	b.against("mochi", what, s, figure, r)
}

// against is rates for another peer.
func (b *bench) against(peer, what string, s sides, figure func(*outcome) float64, r row) {
	ours, base := middle(s.ours, figure), middle(s.base, figure)
	pairs := make([]float64, len(s.ours))
	for i := range pairs {
		pairs[i] = figure(&s.ours[i]) / figure(&s.base[i])
	}
	r.what, r.ours, r.base = what, perSecond(ours), peer+" "+perSecond(base)
	r.value, r.unit, r.least = median(pairs), "x", true
	b.add(r)
	b.note("%s: pairs %s; server %.2f cores, generator %.2f; %s %.2f, generator %.2f.", what, list(pairs),
		middle(s.ours, serverCores), middle(s.ours, loadCores), peer, middle(s.base, serverCores), middle(s.base, loadCores))
	b.disturbed(what, s)
}

// eachRows adds what a QoS 1 message costs the server.
func (b *bench) eachRows(s sides) {
	b.add(row{
		what: "  server CPU a message", ours: b.scaled("bar: 1 us"), base: fmt.Sprintf("mochi %.2f us", middle(s.base, cpuEach)/1e3),
		value: middle(s.ours, cpuEach) / 1e3, unit: " us", must: b.machine.scale(), aim: 0.5 * b.machine.scale(),
	})
	// A few hundred allocations in ten million messages are the runtime's.
	allocs := middle(s.ours, allocsEach)
	b.add(row{
		what: "  allocations a message", ours: fmt.Sprintf("%.5f", allocs),
		base: fmt.Sprintf("mochi %.1f", middle(s.base, allocsEach)), value: float64(int(allocs + 0.995)),
	})
}

func serverCores(o *outcome) float64 { return o.used.Cores() }

func loadCores(o *outcome) float64 { return o.load.CPU.Seconds() / o.load.Elapsed.Seconds() }

func perSecond(v float64) string { return fmt.Sprintf("%.0f/s", v) }

func list(v []float64) string {
	s := ""
	for _, x := range v {
		s += number(x) + " "
	}
	return s[:max(0, len(s)-1)]
}
