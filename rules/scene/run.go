// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
)

// run is one start of a scene on its way.
type run struct {
	set       *Set
	key       string
	by        string // topic, "time" or "hand"
	device    iot.DeviceID
	messageID int64
	time      time.Time
	memory    *memory
}

// memory is what a run that is tried again must not do again. One attempt at a
// time uses it.
type memory struct {
	judged map[string]bool  // by the place of the scene: whether its conditions held
	done   map[string]bool  // by the place of the action
	failed map[string]error // for good, by the place of the action
}

func newMemory() *memory {
	return &memory{judged: map[string]bool{}, done: map[string]bool{}, failed: map[string]error{}}
}

// lasting joins the errors of actions that failed for good.
func (m *memory) lasting() error {
	var errs []error
	for _, place := range slices.Sorted(maps.Keys(m.failed)) {
		errs = append(errs, m.failed[place])
	}
	return errors.Join(errs...)
}

// attempt does what is left to do. The error is that of what may succeed another
// time; what failed for good is in the memory.
func (r *run) attempt(ctx context.Context, c *compiled) (held bool, err error) {
	err = r.scene(ctx, c, "")
	return r.memory.judged[""], err
}

// scene runs a scene; place is where it stands among the actions of others. The
// error is that of what may succeed another time.
func (r *run) scene(ctx context.Context, c *compiled, place string) error {
	held, known := r.memory.judged[place]
	if !known {
		var err error
		if held, err = c.holds(ctx, r.set.config.Platform.Latest, r.time, r.device); err != nil {
			return err
		}
		r.memory.judged[place] = held
	}
	if !held {
		return nil
	}
	var errs []error
	for i := range c.Actions {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		if err := r.action(ctx, c, &c.Actions[i], place+strconv.Itoa(i+1)); err != nil {
			errs = append(errs, fmt.Errorf("action %d of scene %s: %w", i+1, c.ID, err))
		}
	}
	return errors.Join(errs...)
}

// holds judges window and conditions.
func (c *compiled) holds(ctx context.Context, from latest, at time.Time, by iot.DeviceID) (bool, error) {
	if c.window != nil && !c.window.holds(at) {
		return false, nil
	}
	if c.when == nil {
		return true, nil
	}
	return c.when.holds(ctx, from, by)
}

// action carries an action out unless an earlier attempt did.
func (r *run) action(ctx context.Context, c *compiled, a *Action, place string) error {
	if a.Type == "scene" {
		inner := r.set.runnable(a.Scene)
		if inner == nil {
			r.memory.failed[place] = fmt.Errorf("%w: %s", ErrUnknownScene, a.Scene)
			return nil
		}
		return r.scene(ctx, inner, place+"/")
	}
	if r.memory.done[place] || r.memory.failed[place] != nil {
		return nil
	}
	err := r.act(ctx, c, a, place)
	if rules.IsPermanent(err) {
		r.memory.failed[place] = fmt.Errorf("action %s of scene %s: %w", place, c.ID, err)
		return nil
	}
	r.memory.done[place] = err == nil
	return err
}

func (r *run) act(ctx context.Context, c *compiled, a *Action, place string) error {
	if a.Type == "alarm" {
		return r.set.raise(ctx, Alarm{
			Time: time.Now(), Key: r.key + "/" + place, Scene: c.ID, Level: a.Level, Text: a.Text,
			By: r.by, Device: r.device, MessageID: r.messageID,
		})
	}
	id := a.Device
	if id.IsZero() {
		id = r.device
	}
	if id.Name == "" {
		return rules.Permanent(fmt.Errorf("%w: no device triggered", ErrInvalid))
	}
	if a.Type == "set" {
		return r.set.config.Platform.Set(ctx, id, slices.Clone(a.Items))
	}
	args := slices.Clone(a.Args)
	if len(args) == 0 {
		args = []byte("{}")
	}
	return r.set.config.Platform.Invoke(ctx, id, a.Service, args)
}

// sink runs a scene for the messages of its rules.
type sink struct {
	set  *Set
	e    *entry
	mu   sync.Mutex
	runs map[string]*memory // of failed attempts
	keys []string           // of runs, oldest first
}

// keptRuns is how many failed runs a scene remembers: more than there are lanes, so
// that one that is tried again is among them.
const keptRuns = 64

// Send implements rules.Sink.
func (k *sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	for _, d := range batch {
		r := &run{
			set: k.set, key: d.Key, by: d.Message.Topic, device: d.Message.Device, messageID: d.Message.ID,
			time: d.Message.Time, memory: k.take(d.Key),
		}
		held, err := r.attempt(ctx, k.e.compiled)
		k.set.tell(k.e, r, held, errors.Join(err, r.memory.lasting()))
		if err == nil {
			err = rules.Permanent(r.memory.lasting())
			clear(r.memory.failed) // a replay tries them
		}
		if err != nil {
			k.keep(d.Key, r.memory)
			return err
		}
	}
	return nil
}

func (k *sink) take(key string) *memory {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.runs[key]
	if m == nil {
		return newMemory()
	}
	delete(k.runs, key)
	k.keys = slices.DeleteFunc(k.keys, func(other string) bool { return other == key })
	return m
}

func (k *sink) keep(key string, m *memory) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) == keptRuns {
		delete(k.runs, k.keys[0])
		k.keys = k.keys[1:]
	}
	if k.runs == nil {
		k.runs = map[string]*memory{}
	}
	k.runs[key], k.keys = m, append(k.keys, key)
}
