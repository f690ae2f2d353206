// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/openalink/iot/bench/load"
)

const idleRounds = 5

// idleRows measures the memory of a connection that does nothing, after all of
// them came back several times.
func (b *bench) idleRows(ctx context.Context) error {
	files, err := load.OpenFiles()
	if err != nil {
		return err
	}
	b.conns = min(b.conns, files-500)
	runs := min(b.runs, 3)
	tcp, err := b.idleMedian(ctx, runs, "-mode", "accept")
	if err != nil {
		return err
	}
	secure, err := b.idleMedian(ctx, runs, "-mode", "accept", "-tls")
	if err != nil {
		return err
	}
	mochi, err := b.idleMedian(ctx, 1, "-mode", "mochi")
	if err != nil {
		return err
	}
	whole, err := b.idleMedian(ctx, 1, "-mode", "hub", "-devices", strconv.Itoa(b.conns))
	if err != nil {
		return err
	}
	what := fmt.Sprintf("RSS of an idle connection, %d of them, after %d rounds", b.conns, idleRounds)
	b.add(row{what: what + ", TCP", ours: tcp.String(), base: "mochi " + mochi.String(), value: tcp.last, unit: " KB", must: 8, aim: 6})
	b.add(row{what: what + ", TLS 1.2", ours: secure.String(), value: secure.last, unit: " KB", must: 20, aim: 15})
	b.add(row{what: what + ", TCP, whole hub", ours: whole.String(), value: whole.last, unit: " KB", free: true})
	if _, err := exec.LookPath("mosquitto"); err != nil {
		b.note("mosquitto is not installed: no row for it.")
	}
	return nil
}

// idleCost is kilobytes a connection.
type idleCost struct{ fresh, last float64 }

func (c idleCost) String() string { return fmt.Sprintf("fresh %.1f, last %.1f KB", c.fresh, c.last) }

func (b *bench) idleMedian(ctx context.Context, runs int, serve ...string) (idleCost, error) {
	fresh, last := make([]float64, runs), make([]float64, runs)
	for i := range runs {
		c, err := b.idleOnce(ctx, serve)
		if err != nil {
			return c, err
		}
		progress("  %v idle: %v", serve, c)
		fresh[i], last[i] = c.fresh, c.last
	}
	return idleCost{median(fresh), median(last)}, nil
}

func (b *bench) idleOnce(ctx context.Context, serve []string) (c idleCost, err error) {
	s, err := b.serve(ctx, serve...)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	secure := serve[len(serve)-1] == "-tls"
	if nc, err := load.Connect(s.addr, load.Login(0), secure); err == nil { // what is made once is made now
		_ = nc.Close()
	}
	empty, err := s.snapshot()
	if err != nil {
		return c, err
	}
	g, err := b.start(ctx, "loadgen", "-steps", "-do", "idle", "-addr", s.addr, "-conns", strconv.Itoa(b.conns),
		"-rounds", strconv.Itoa(idleRounds), "-tls="+strconv.FormatBool(secure))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, g.end()) }()
	for round := range idleRounds {
		if err := g.step(nil); err != nil {
			return c, err
		}
		time.Sleep(3 * time.Second) // the server finishes with the old ones
		u, err := s.snapshot()
		if err != nil {
			return c, err
		}
		c.last = float64(u.RSS-empty.RSS) / float64(b.conns) / 1024
		if round == 0 {
			c.fresh = c.last
		}
		if err := g.ask(); err != nil {
			return c, err
		}
	}
	return c, nil
}
