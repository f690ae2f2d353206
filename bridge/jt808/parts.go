// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"bytes"
	"slices"
	"sync"
	"time"
)

const (
	// maxParts is the most sub-packages a message may have.
	maxParts = 255
	// maxOpen is how many messages in parts a terminal may have begun.
	maxOpen = 4
	// maxHeld is how many bytes their parts may have.
	maxHeld = 512 << 10
)

// Parts is a message of which some sub-packages came (clause 4.4.3). It is safe for
// concurrent use.
type Parts struct {
	head Frame // serial of the first part, no body

	mu    sync.Mutex
	list  [][]byte
	have  int
	size  int
	heard time.Time // of a part that was not there
	over  bool      // whole or dropped
	whole bool
}

func newParts(f *Frame) *Parts {
	p := &Parts{head: *f, list: make([][]byte, f.Total)}
	p.head.Serial, p.head.Index, p.head.Body = f.Serial-f.Index+1, 0, nil
	return p
}

// Frame returns the header of the message: Serial is that of the first part, Index
// is 0, and there is no body.
func (p *Parts) Frame() Frame { return p.head }

// last is the serial of the last part, which answers name.
func (p *Parts) last() uint16 { return p.head.Serial + p.head.Total - 1 }

// Missing returns the indexes of the parts that miss, from 1, and when the latest of
// the others came. It returns none when the message is whole or was dropped.
func (p *Parts) Missing() (indexes []uint16, heard time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return nil, p.heard
	}
	for i, part := range p.list {
		if part == nil {
			indexes = append(indexes, uint16(i+1))
		}
	}
	return indexes, p.heard
}

// Whole reports whether all parts came.
func (p *Parts) Whole() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.whole
}

// Drop forgets the message, unless it is whole.
func (p *Parts) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over, p.list = true, nil
}

// held is how many bytes came of it.
func (p *Parts) held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

// closed reports whether it waits for no more.
func (p *Parts) closed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// add takes a part and returns the message when it is whole.
func (p *Parts) add(f *Frame) *Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.list[f.Index-1] != nil {
		return nil
	}
	p.list[f.Index-1] = append(make([]byte, 0, len(f.Body)), f.Body...)
	p.have, p.size, p.heard = p.have+1, p.size+len(f.Body), time.Now()
	if p.have < len(p.list) {
		return nil
	}
	whole := *f
	whole.Serial, whole.Total, whole.Index, whole.Body = p.last(), 0, 0, bytes.Join(p.list, nil)
	p.over, p.whole, p.list = true, true, nil
	return &whole
}

// join returns f if it is whole, the message it completes, or the *Parts it begins.
func (d *Decoder) join(f *Frame) any {
	switch {
	case f.Total == 0:
		return f
	case f.Total > maxParts:
		d.Bad++
		return nil
	}
	p := d.find(f)
	begins := p == nil
	if begins {
		p = newParts(f)
		d.open = append(d.open, p)
	}
	whole := p.add(f)
	d.trim()
	switch {
	case whole != nil:
		return whole
	case begins:
		return p
	}
	return nil
}

// find returns the message f is a part of, nil if it is new.
func (d *Decoder) find(f *Frame) *Parts {
	d.open = slices.DeleteFunc(d.open, (*Parts).closed)
	for _, p := range d.open {
		if h := &p.head; h.ID == f.ID && h.Serial == f.Serial-f.Index+1 && h.Total == f.Total && h.Phone == f.Phone {
			return p
		}
	}
	return nil
}

// trim drops what began first while there is too much.
func (d *Decoder) trim() {
	d.open = slices.DeleteFunc(d.open, (*Parts).closed)
	held := 0
	for _, p := range d.open {
		held += p.held()
	}
	for len(d.open) > maxOpen || held > maxHeld {
		held -= d.open[0].held()
		d.open[0].Drop()
		d.open = slices.Delete(d.open, 0, 1)
		d.Bad++
	}
	if len(d.open) == 0 {
		d.open = nil
	}
}
