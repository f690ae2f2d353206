// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openalink/iot/internal/tokens"
)

// action is an Action of a rule that runs.
type action struct {
	Action
	owner   *running
	circuit circuit
	lanes   []lane
}

func newAction(a Action, owner *running) *action {
	out := &action{Action: a, owner: owner, circuit: circuit{retry: a.Retry}, lanes: make([]lane, a.Lanes)}
	for i := range out.lanes {
		out.lanes[i].action = out
	}
	return out
}

func (a *action) lane(hash uint64) *lane { return &a.lanes[hash%uint64(len(a.lanes))] }

// parcel is a delivery in a lane.
type parcel struct {
	*Delivery
	of       *pending
	attempts int
	passed   uint64 // successes of the action at the last attempt
	overtook int    // attempts between which others got through
}

// lane sends the deliveries of some devices, one call at a time. Its goroutine
// lives while there is something to send.
type lane struct {
	action *action

	mu      sync.Mutex
	queue   []*parcel // bounded by the window of the rule
	running bool
}

func (l *lane) push(p *parcel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, p)
	if l.running {
		return
	}
	l.running = true
	l.action.owner.start(l.run)
}

// take returns up to a batch, or nothing and ends the lane.
func (l *lane) take() []*parcel {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.queue), l.action.Batch)
	batch := l.queue[:n:n]
	if l.queue = l.queue[n:]; n == 0 {
		l.queue, l.running = nil, false
	}
	return batch
}

func (l *lane) run() {
	for {
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		if !l.action.deliver(batch) {
			return // the rule ends; what is left stays before its place
		}
	}
}

// deliver sends a batch until it is taken or given up. It reports false when the
// rule ended meanwhile.
func (a *action) deliver(batch []*parcel) bool {
	ctx := a.owner.ctx
	for {
		probe, err := a.circuit.enter(ctx)
		if err != nil {
			return false
		}
		if a.owner.rule.Mode == AtLeastOnce {
			if err := a.owner.runner.rate.Wait(ctx, len(batch)); err != nil {
				a.circuit.leave(probe, false)
				return false
			}
		}
		start := time.Now()
		err = a.call(ctx, batch)
		took := time.Since(start)
		if err == nil {
			a.circuit.leave(probe, true)
			a.succeed(batch, took) // also when the rule ended meanwhile
			return true
		}
		if ctx.Err() != nil {
			a.circuit.leave(probe, false)
			return false
		}
		if IsPermanent(err) && len(batch) > 1 {
			a.circuit.leave(probe, true)
			return a.single(batch)
		}
		a.circuit.leave(probe, IsPermanent(err))
		a.owner.tell(batch[0].Delivery, Retrying, err, took)
		if IsPermanent(err) || a.exhausted(batch) {
			return a.giveUp(ctx, batch, err)
		}
	}
}

// call calls the sink, which may panic.
func (a *action) call(ctx context.Context, batch []*parcel) (err error) {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = Permanent(fmt.Errorf("rules: sink panicked: %v", p))
		}
	}()
	list := make([]*Delivery, len(batch))
	for i, p := range batch {
		list[i] = p.Delivery
	}
	return a.Sink.Send(ctx, list)
}

func (a *action) succeed(batch []*parcel, took time.Duration) {
	for _, p := range batch {
		a.owner.tell(p.Delivery, Delivered, nil, took)
		a.owner.taken(p.of)
	}
}

// single sends one by one a batch of which something will never be taken.
func (a *action) single(batch []*parcel) bool {
	for i := range batch {
		if !a.deliver(batch[i : i+1]) {
			return false
		}
	}
	return true
}

// overtaken is after how many attempts a message is given up that others pass.
const overtaken = 8

// exhausted counts an attempt.
func (a *action) exhausted(batch []*parcel) bool {
	passed := a.circuit.passed()
	p := batch[0]
	p.attempts++
	for _, q := range batch[1:] {
		q.attempts = p.attempts
	}
	if p.attempts > 1 && passed > p.passed {
		p.overtook++
	}
	p.passed = passed
	switch most := a.Retry.Attempts; {
	case most > 0:
		return p.attempts >= most
	case a.owner.rule.Mode == BestEffort || a == a.owner.onError:
		return p.attempts >= 3
	}
	return p.overtook >= overtaken
}

// giveUp hands a batch to OnError and the dead letters.
func (a *action) giveUp(ctx context.Context, batch []*parcel, cause error) bool {
	for _, p := range batch {
		d := *p.Delivery
		d.Error = cause.Error()
		status := Failed
		e := a.owner.onError
		if a == e {
			a.owner.tell(&d, status, cause, 0)
			continue // the dead letter, if the rule keeps any, is that of the action
		}
		if a.owner.rule.Mode == AtLeastOnce {
			if !a.bury(ctx, &d, p.attempts) {
				return false
			}
			status = DeadLetter
		}
		if e != nil {
			own := d
			own.Action = e.Name
			e.lane(0).push(&parcel{Delivery: &own, of: lone()})
		}
		a.owner.tell(&d, status, cause, 0)
		a.owner.taken(p.of)
	}
	return true
}

// lone is what a delivery belongs to that no place waits for.
func lone() *pending {
	p := &pending{}
	p.left.Store(2)
	return p
}

// bury writes a dead letter. Until that succeeds the rule does not go on.
func (a *action) bury(ctx context.Context, d *Delivery, attempts int) bool {
	for failures := 1; ; failures++ {
		err := a.owner.runner.bury(ctx, d, attempts)
		if err == nil {
			return true
		}
		if errors.Is(err, ctx.Err()) || tokens.Sleep(ctx, Retry{}.pause(failures)) != nil {
			return false
		}
	}
}
