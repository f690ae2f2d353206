// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/provision"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/define"
	"github.com/openalink/iot/rules/queue"
	"github.com/openalink/iot/rules/scene"
	"github.com/openalink/iot/store"
)

// forwarding is what carries messages out of the hub, and back in: rules, scenes and
// consumer groups.
type forwarding struct {
	runner *rules.Runner
	set    *define.Set
	scenes *scene.Set
	queues *queue.Queues
}

// openForwarding starts the rules, scenes and groups of earlier runs. Rules that write
// files do so below the folder "rules" of dir.
func openForwarding(ctx context.Context, h *hub.Hub, st store.Engine, dir string, logger *slog.Logger) (*forwarding, error) {
	f := &forwarding{}
	var err error
	if f.runner, err = h.Rules(ctx, rules.Config{Logger: logger}); err != nil {
		return nil, err
	}
	kinds := define.Kinds(define.Surroundings{Publisher: h, Folder: filepath.Join(dir, "rules")})
	if f.set, err = define.Open(ctx, f.runner, st, kinds); err != nil {
		return nil, errors.Join(err, f.close())
	}
	f.scenes, err = scene.Open(ctx, scene.Config{
		Runner: f.runner, Store: st, Platform: h.ForScenes(), Location: time.Local, Logger: logger,
		OnAlarm: func(a scene.Alarm) { logger.Warn("alarm", "scene", a.Scene, "level", a.Level, "text", a.Text) },
	})
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	f.queues, err = queue.Open(ctx, queue.Config{Source: h.RuleSource(), Store: st, Rate: rate(h.Limits().Forwarding), Logger: logger})
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// rate is a limit as queues write it: below zero for none.
func rate(limit int) int {
	if limit == 0 {
		return -1
	}
	return limit
}

// close ends consumers, then what comes due, then rules, then their files.
func (f *forwarding) close() error {
	var errs []error
	if f.queues != nil {
		errs = append(errs, f.queues.Close())
	}
	if f.scenes != nil {
		errs = append(errs, f.scenes.Close())
	}
	errs = append(errs, f.runner.Close())
	if f.set != nil {
		errs = append(errs, f.set.Close())
	}
	return errors.Join(errs...)
}

// trim removes dead letters and alarms that are older than the log is kept.
func (f *forwarding) trim(ctx context.Context, keep time.Duration) error {
	before := time.Now().Add(-keep)
	return errors.Join(f.runner.Trim(ctx, before), f.scenes.Trim(ctx, before), f.queues.Trim(ctx, before))
}

// apply puts the rules and scenes of a provision file in place, a line each.
func (f *forwarding) apply(ctx context.Context, fleet *provision.File, out io.Writer) {
	line := func(l provision.Line) { fmt.Fprintln(out, l) } // each says its failure
	_ = fleet.ApplyRules(ctx, f.set, line)
	_ = fleet.ApplyScenes(ctx, f.scenes, line)
}
