// SPDX-License-Identifier: Apache-2.0

// Command table measures everything the project promises about speed and size,
// on this machine, and prints it with the bars it is held to:
//
//	go run ./cmd/table                     all of it, ten minutes to half an hour
//	go run ./cmd/table -runs 1 -time 1s    a first impression
//	go run ./cmd/table -only door,idle     some groups of rows
//
// Servers and generators are processes of their own. Runs of ours and of what we
// compare with alternate; a row shows medians. It exits with 1 when a bar is
// missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bench is what the flags say, and what was measured.
type bench struct {
	runs  int
	time  time.Duration
	conns int // of idle rows
	dir   string
	// patience is how long to wait, before each run, for others to be quiet.
	patience time.Duration
	bin      string // where the programs are

	machine machine
	rows    []row
	notes   []string
}

// group is a part of the table that can be asked for.
type group struct {
	name    string
	measure func(*bench, context.Context) error
}

var groups = []group{
	{"micro", (*bench).microRows},
	{"door", (*bench).doorRows},
	{"idle", (*bench).idleRows},
	{"path", (*bench).pathRows},
	{"paced", (*bench).pacedRows},
	{"rules", (*bench).ruleRows},
	{"allocs", (*bench).allocRows},
}

func main() {
	var b bench
	flag.IntVar(&b.runs, "runs", 5, "how often each side runs; the table shows medians")
	flag.DurationVar(&b.time, "time", 4*time.Second, "how long a run takes, after a second that does not count")
	flag.IntVar(&b.conns, "idle", 5000, "idle connections")
	flag.StringVar(&b.dir, "dir", os.TempDir(), "where the stores are; it should be on a real disk")
	flag.DurationVar(&b.patience, "patience", time.Minute, "how long to wait, before each run, for other programs to be quiet")
	only := flag.String("only", "", "groups of rows, separated by commas: micro, door, idle, path, paced, rules, allocs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := b.run(ctx, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
	}
	if err != nil || b.missed() {
		stop()
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, only string) error {
	dir, err := os.MkdirTemp(b.dir, "iot-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir, b.bin = dir, filepath.Join(dir, "bin")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", b.bin+"/", "./cmd/serve", "./cmd/loadgen").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w (run it in the folder bench)\n%s", err, out)
	}
	if b.machine, err = inspect(dir); err != nil {
		return err
	}
	for _, g := range groups {
		if only != "" && !strings.Contains(","+only+",", ","+g.name+",") {
			continue
		}
		progress("%s", g.name)
		if gerr := g.measure(b, ctx); gerr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", g.name, gerr))
		}
	}
	b.print(os.Stdout)
	return err
}

func (b *bench) add(r row) { b.rows = append(b.rows, r) }

func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

func (b *bench) missed() bool {
	for _, r := range b.rows {
		if r.missed() {
			return true
		}
	}
	return false
}

// progress tells an impatient reader where we are.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
