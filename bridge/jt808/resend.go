// SPDX-License-Identifier: Apache-2.0

package jt808

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Resend asks for sub-packages that miss (clauses 8.4 and 8.5): the body of
// PartsAgain, and of 2019 PartsAgainUp.
type Resend struct {
	First uint16   // serial of the message's first part
	Parts []uint16 // the indexes that miss, from 1
}

// ParseResend reads the body of PartsAgain or PartsAgainUp.
func ParseResend(v Version, b []byte) (Resend, error) {
	head := 3
	if v == V2019 {
		head = 4
	}
	if len(b) < head {
		return Resend{}, short("question for parts", b)
	}
	r := Resend{First: binary.BigEndian.Uint16(b)}
	n := int(b[2])
	if v == V2019 {
		n = int(binary.BigEndian.Uint16(b[2:]))
	}
	if b = b[head:]; len(b) != 2*n {
		return Resend{}, short("question for parts", b)
	}
	for ; len(b) > 0; b = b[2:] {
		r.Parts = append(r.Parts, binary.BigEndian.Uint16(b))
	}
	return r, nil
}

// Append appends the body. It fails with ErrValue for more than 255 parts, 65,535
// in 2019.
func (r Resend) Append(dst []byte, v Version) ([]byte, error) {
	n := len(r.Parts)
	if n > 255 && v == V2013 || n > 0xffff {
		return dst, fmt.Errorf("%w: %d parts", ErrValue, n)
	}
	dst = binary.BigEndian.AppendUint16(dst, r.First)
	if v == V2019 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	} else {
		dst = append(dst, byte(n))
	}
	for _, i := range r.Parts {
		dst = binary.BigEndian.AppendUint16(dst, i)
	}
	return dst, nil
}

const (
	// partsWait is how long to wait for the next part before those that miss are
	// asked for.
	partsWait = 5 * time.Second
	// partsAsks is how often they are asked for before the message is dropped.
	partsAsks = 3
)

// gaps asks for the parts that miss.
type gaps struct {
	wait time.Duration
	ask  func(ctx context.Context, r Resend) error
	lost func(ctx context.Context, p *Parts, missing []uint16) // after the last attempt
}

func newGaps(wait time.Duration, ask func(context.Context, Resend) error, lost func(context.Context, *Parts, []uint16)) *gaps {
	if wait <= 0 {
		wait = partsWait
	}
	return &gaps{wait, ask, lost}
}

// watch has the parts of p asked for, in the background, as long as ctx lasts.
func (g *gaps) watch(ctx context.Context, p *Parts) { g.after(ctx, p, g.wait, 0) }

func (g *gaps) after(ctx context.Context, p *Parts, wait time.Duration, asked int) {
	time.AfterFunc(wait, func() { g.look(ctx, p, asked) })
}

func (g *gaps) look(ctx context.Context, p *Parts, asked int) {
	missing, heard := p.Missing()
	silent := time.Since(heard)
	switch {
	case ctx.Err() != nil || p.Whole():
	case len(missing) == 0: // the decoder dropped it
		g.lost(ctx, p, nil)
	case silent < g.wait:
		g.after(ctx, p, g.wait-silent, asked)
	case asked == partsAsks:
		p.Drop()
		g.lost(ctx, p, missing)
	default:
		if g.ask(ctx, Resend{First: p.head.Serial, Parts: missing}) == nil {
			g.after(ctx, p, g.wait, asked+1)
		}
	}
}

// maxKept is how many messages in parts are kept for who asks again.
const maxKept = 2

// kept are messages in parts as they were sent, the latest last.
type kept [][]Frame

// keep remembers the parts of a message.
func (k *kept) keep(parts []Frame) {
	if len(parts) < 2 {
		return
	}
	if len(*k) == maxKept {
		*k = slices.Delete(*k, 0, 1)
	}
	*k = append(*k, parts)
}

// again returns the parts r asks for, none when they are not kept.
func (k kept) again(r Resend) (parts []Frame) {
	for _, m := range k {
		if m[0].Serial != r.First {
			continue
		}
		for i := range m {
			if slices.Contains(r.Parts, m[i].Index) {
				parts = append(parts, m[i])
			}
		}
	}
	return parts
}
