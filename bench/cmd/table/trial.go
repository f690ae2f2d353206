// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/openalink/iot/bench/load"
	"github.com/openalink/iot/bench/usage"
)

// outcome is what a run brought: what the generator saw and what the server
// used in the same time.
type outcome struct {
	load   load.Result
	used   usage.Snapshot
	others float64 // processors that neither of them used but somebody did
}

// messages is how many the server took while it was looked at: what it counted
// or stored, otherwise what the generator saw.
func (o *outcome) messages() float64 {
	return float64(cmp.Or(o.used.Messages, int64(o.used.Store.Appends), o.load.Posts))
}

// trial starts a server, loads it and stops it.
func (b *bench) trial(ctx context.Context, serve, generate []string) (outcome, error) {
	s, err := b.serve(ctx, serve...)
	if err != nil {
		return outcome{}, err
	}
	o, err := b.generate(ctx, s, generate...)
	return o, errors.Join(err, s.end())
}

// generate loads a server. When other programs disturb it, it does so again, a
// few times.
func (b *bench) generate(ctx context.Context, s *server, args ...string) (o outcome, err error) {
	for range disturbances {
		b.calm(ctx)
		if o, err = b.once(ctx, s, args); err != nil || o.others < noise {
			break
		}
	}
	return o, err
}

func (b *bench) once(ctx context.Context, s *server, args []string) (o outcome, err error) {
	b.machine.look()
	g, err := b.start(ctx, "loadgen", append([]string{"-steps", "-addr", s.addr, "-time", b.time.String()}, args...)...)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, g.end()) }()
	if err := g.step(nil); err != nil { // it begins to measure
		return o, err
	}
	before, err := s.snapshot()
	if err != nil {
		return o, err
	}
	busy, began := machineTime(), time.Now()
	if err := g.step(&o.load); err != nil {
		return o, err
	}
	after, err := s.snapshot()
	if err != nil {
		return o, err
	}
	o.used = after.Since(before)
	o.others = max(0, (machineTime()-busy-o.used.CPU-o.load.CPU).Seconds()/time.Since(began).Seconds())
	progress("  %s: %v; server %.2f cores, others %.2f", strings.Join(args, " "), o.load, o.used.Cores(), o.others)
	return o, g.ask()
}

// step waits for the generator's next step.
func (p *process) step(value any) error {
	line := struct {
		Step  string          `json:"step"`
		Value json.RawMessage `json:"value"`
	}{}
	if err := p.read(&line); err != nil || value == nil {
		return err
	}
	return json.Unmarshal(line.Value, value)
}

// sides are the outcomes of two servers under the same load.
type sides struct{ ours, base []outcome }

// compare runs both sides in turn.
func (b *bench) compare(ctx context.Context, ours, base, generate []string) (s sides, err error) {
	for range b.runs {
		o, err := b.trial(ctx, ours, generate)
		if err != nil {
			return s, err
		}
		s.ours = append(s.ours, o)
		if o, err = b.trial(ctx, base, generate); err != nil {
			return s, err
		}
		s.base = append(s.base, o)
	}
	return s, nil
}

// middle is the median of a figure over runs.
func middle(runs []outcome, figure func(*outcome) float64) float64 {
	v := make([]float64, len(runs))
	for i := range runs {
		v[i] = figure(&runs[i])
	}
	return median(v)
}

func rate(o *outcome) float64 { return o.load.PerSecond() }

// hookRate is the rate counted at the server's hook.
func hookRate(o *outcome) float64 { return float64(o.used.Messages) / o.used.At.Seconds() }

func cpuEach(o *outcome) float64 { return float64(o.used.CPU) / o.messages() }

func allocsEach(o *outcome) float64 { return float64(o.used.Mallocs) / o.messages() }
