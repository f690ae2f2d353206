// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openalink/iot/rules/sql"
)

// running is a rule that runs.
type running struct {
	runner    *Runner
	rule      Rule
	statement *sql.Statement
	actions   []*action
	onError   *action
	ctx       context.Context // ends when the rule is removed
	stop      context.CancelFunc
	account   account
	wait      sync.WaitGroup // lanes and catchUp

	mu      sync.Mutex
	window  []*pending // in order of the log; those in front that are done are taken out
	bytes   int        // of what is in it
	next    uint64     // what is below was judged, while the rule reads by itself
	synced  bool       // the common reading judges for it
	room    chan struct{}
	at      uint64 // offset of the entry being judged
	part    int    // rows of it so far
	stopped bool

	written written // guarded by Runner.changes
}

// start runs f, which ends soon after the rule does.
func (ru *running) start(f func()) {
	ru.wait.Add(1)
	ru.runner.wait.Go(func() {
		defer ru.wait.Done()
		f()
	})
}

// maxWindowBytes bounds what a rule holds in memory, in bytes.
const maxWindowBytes = 16 << 20

// pending is a message that some action has not taken yet.
type pending struct {
	offset uint64
	size   int
	left   atomic.Int32
}

// seed spreads devices over lanes.
var seed = maphash.MakeSeed()

// offer takes a row of the entry at offset. It reports false when there is no room:
// the entry must be offered again then, from its first row on. Once an entry has
// begun all its rows find room.
func (ru *running) offer(offset uint64, m *sql.Message, row *sql.Row) bool {
	ru.mu.Lock()
	defer ru.mu.Unlock()
	if offset < ru.next || ru.stopped {
		return true
	}
	if ru.at != offset {
		if len(ru.window) >= ru.runner.config.Window || ru.bytes >= maxWindowBytes {
			return false
		}
		ru.at, ru.part = offset, 0
	}
	ru.part++
	ru.account.matched()
	d := Delivery{
		Key:  ru.key(m.ID, ru.part),
		Rule: ru.rule.ID, Message: *m, Payload: row.AppendPayload(make([]byte, 0, 128)),
	}
	p := &pending{offset: offset, size: len(m.Payload) + len(d.Payload)}
	p.left.Store(int32(len(ru.actions)))
	ru.window = append(ru.window, p)
	ru.bytes += p.size
	lane := maphash.String(seed, m.Device.Name)
	for _, a := range ru.actions {
		own := d
		own.Action = a.Name
		a.lane(lane).push(&parcel{Delivery: &own, of: p})
	}
	return true
}

// key is the idempotency key of a row.
func (ru *running) key(id int64, part int) string {
	b := make([]byte, 0, len(ru.rule.ID)+32)
	b = append(append(b, ru.rule.ID...), '/')
	b = strconv.AppendInt(b, int64(ru.rule.Version), 10)
	b = strconv.AppendInt(append(b, '/'), id, 10)
	if part > 1 {
		b = strconv.AppendInt(append(b, '/'), int64(part), 10)
	}
	return string(b)
}

// taken tells that one action is through with p.
func (ru *running) taken(p *pending) {
	if p.left.Add(-1) > 0 {
		return
	}
	ru.mu.Lock()
	defer ru.mu.Unlock()
	done := 0
	for done < len(ru.window) && ru.window[done].left.Load() == 0 {
		ru.bytes -= ru.window[done].size
		ru.window[done] = nil
		done++
	}
	if ru.window = ru.window[done:]; len(ru.window) == 0 {
		ru.window = nil // give the memory back
	}
	if ru.room != nil && ru.roomy() {
		close(ru.room)
		ru.room = nil
	}
}

// place returns from where on the log must be read again after a crash; synced
// when that is where the common reading is.
func (ru *running) place() (offset uint64, synced bool) {
	ru.mu.Lock()
	defer ru.mu.Unlock()
	if len(ru.window) > 0 {
		return ru.window[0].offset, false
	}
	return ru.next, ru.synced
}

// roomy reports whether half of the window is free.
func (ru *running) roomy() bool {
	return len(ru.window) <= ru.runner.config.Window/2 && ru.bytes <= maxWindowBytes/2
}

// waitRoom waits until half of the window is free.
func (ru *running) waitRoom(ctx context.Context) error {
	ru.mu.Lock()
	if ru.roomy() {
		ru.mu.Unlock()
		return nil
	}
	if ru.room == nil {
		ru.room = make(chan struct{})
	}
	room := ru.room
	ru.mu.Unlock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell reports an outcome.
func (ru *running) tell(d *Delivery, status Status, err error, took time.Duration) {
	o := Outcome{
		Time: time.Now(), Rule: ru.rule.ID, Action: d.Action, MessageID: d.Message.ID, Device: d.Message.Device,
		Topic: d.Message.Topic, Status: status, Took: took,
	}
	if err != nil {
		o.Cause = err.Error()
	}
	ru.account.add(o)
	if f := ru.runner.config.Observe; f != nil {
		f(o)
	}
}

// drop counts a message of a BestEffort rule that is not delivered.
func (ru *running) drop(m *sql.Message, status Status) {
	ru.account.matched()
	ru.tell(&Delivery{Message: *m}, status, nil, 0)
}
