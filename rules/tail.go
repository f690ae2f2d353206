// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"sync"

	"github.com/openalink/iot/internal/tokens"
	"github.com/openalink/iot/rules/sql"
)

// tail is the common reading of the log for all rules that keep up.
type tail struct {
	mu   sync.Mutex // held while an entry is judged
	next uint64     // offset of the next entry, at least
	row  sql.Row
}

func (t *tail) at() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next
}

// join makes the common reading judge for a rule from the next entry on.
func (t *tail) join(r *Runner, ru *running) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(r, ru)
}

func (t *tail) add(r *Runner, ru *running) {
	ru.mu.Lock()
	defer ru.mu.Unlock()
	if ru.stopped {
		return
	}
	ru.synced, ru.next = true, max(ru.next, t.next)
	r.set.Put(ru, ru.statement)
}

// meet is join for a rule that has read up to the common reading, or beyond.
func (t *tail) meet(r *Runner, ru *running) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ru.mu.Lock()
	behind := ru.next < t.next
	ru.mu.Unlock()
	if behind {
		return false
	}
	t.add(r, ru)
	return true
}

// leave ends the judging for a rule. Its place is where the reading is.
func (t *tail) leave(r *Runner, ru *running) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(r, ru, t.next)
	ru.mu.Lock()
	ru.stopped = true
	ru.mu.Unlock()
}

// remove takes a rule out of the common reading; next is the first entry it has
// not judged.
func (t *tail) remove(r *Runner, ru *running, next uint64) {
	ru.mu.Lock()
	defer ru.mu.Unlock()
	if ru.synced {
		ru.synced, ru.next = false, max(ru.next, next)
		r.set.Remove(ru)
	}
}

// follow reads the log for all rules until the runner closes.
func (r *Runner) follow() {
	for failures := 1; r.ctx.Err() == nil; failures++ {
		for e, err := range r.config.Source.Read(r.ctx, r.tail.at(), r.set.Wants, true) {
			if err != nil {
				if r.ctx.Err() == nil {
					r.config.Logger.Error("rules: reading the message log", "error", err)
				}
				break
			}
			failures = 0
			r.judge(&e)
		}
		if tokens.Sleep(r.ctx, Retry{}.pause(failures)) != nil {
			return
		}
	}
}

// judge offers an entry to the rules it concerns.
func (r *Runner) judge(e *Entry) {
	t := &r.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range e.Messages {
		m := &e.Messages[i]
		r.set.Match(m, &t.row, func(ru *running, row *sql.Row) {
			r.offer(ru, e.Offset, m, row)
		})
	}
	t.next = e.Offset + 1
}

// offer gives a row to a rule, and lets the rule read by itself when it is full.
func (r *Runner) offer(ru *running, offset uint64, m *sql.Message, row *sql.Row) {
	if ru.rule.Mode == BestEffort {
		switch {
		case !r.rate.Take():
			ru.drop(m, Throttled)
		case !ru.offer(offset, m, row):
			ru.drop(m, Dropped)
		}
		return
	}
	if ru.offer(offset, m, row) {
		return
	}
	r.tail.remove(r, ru, offset)
	ru.start(ru.catchUp)
}

// catchUp reads the log for one rule until it meets the common reading.
func (ru *running) catchUp() {
	r := ru.runner
	for failures := 1; ru.waitRoom(ru.ctx) == nil && ru.ctx.Err() == nil; {
		err := ru.read()
		switch {
		case err == nil && r.tail.meet(r, ru):
			return
		case err == nil:
			failures = 1
			continue
		case ru.ctx.Err() == nil:
			r.config.Logger.Error("rules: reading the message log", "rule", ru.rule.ID, "error", err)
		}
		if tokens.Sleep(ru.ctx, Retry{}.pause(failures)) != nil {
			return
		}
		failures++
	}
}

// read goes on to the present end of the log, or until the window is full.
func (ru *running) read() error {
	var row sql.Row
	for e, err := range ru.runner.config.Source.Read(ru.ctx, ru.next, ru.statement.Matches, false) {
		if err != nil {
			return err
		}
		for i := range e.Messages {
			m := &e.Messages[i]
			if !ru.statement.Eval(m, &row) { // only what it wants is in an entry
				continue
			}
			for !ru.offer(e.Offset, m, &row) {
				if err := ru.waitRoom(ru.ctx); err != nil {
					return err
				}
			}
		}
		ru.mu.Lock()
		ru.next = e.Offset + 1
		ru.mu.Unlock()
	}
	return nil
}
