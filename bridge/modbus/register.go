// SPDX-License-Identifier: Apache-2.0

package modbus

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// The errors of this package. What the wire says is an error of
// github.com/simonvetter/modbus.
var (
	// ErrMap means a map that cannot be right.
	ErrMap = errors.New("modbus: bad map")
	// ErrValue means a value that a register cannot hold, or no property of the map.
	ErrValue = errors.New("modbus: value cannot be written")
)

// Kind is one of the four tables of a Modbus device.
type Kind uint8

// The tables. Coils and Discretes hold bits, the others words of 16 bits.
const (
	Holding Kind = iota
	Input
	Coil
	Discrete
)

func (k Kind) bits() bool { return k == Coil || k == Discrete }

// Type says what words mean.
type Type uint8

// The types of numbers. Those of two and four words have the high word first.
const (
	Uint16 Type = iota
	Int16
	Uint32
	Int32
	Float32
	Float64
)

func (t Type) words() int {
	switch t {
	case Uint32, Int32, Float32:
		return 2
	case Float64:
		return 4
	default:
		return 1
	}
}

// Register maps a place of the device to a property.
type Register struct {
	Property string
	Kind     Kind
	Address  uint16 // as on the wire, from 0
	Type     Type   // of Holding and Input; bits are 0 or 1
	// LowFirst has the low word of a longer number first.
	LowFirst bool
	// Scale is what the number is multiplied with, Offset what is added then, to
	// make the property; a zero Scale is 1.
	Scale, Offset float64
	// Writable has the platform's property set written here: Holding and Coil only.
	Writable bool
}

func (r *Register) size() int {
	if r.Kind.bits() {
		return 1
	}
	return r.Type.words()
}

func (r *Register) check() error {
	switch {
	case r.Property == "":
		return fmt.Errorf("%w: a register without a property", ErrMap)
	case r.Kind > Discrete || r.Type > Float64:
		return fmt.Errorf("%w: %s has no such kind or type", ErrMap, r.Property)
	case int(r.Address)+r.size() > 1<<16:
		return fmt.Errorf("%w: %s ends behind the last address", ErrMap, r.Property)
	case r.Writable && r.Kind != Holding && r.Kind != Coil:
		return fmt.Errorf("%w: %s cannot be written", ErrMap, r.Property)
	}
	return nil
}

// value makes the property of words; a number that is none, as a sensor that is
// missing often sends, is false.
func (r *Register) value(words []uint16) (any, bool) {
	if r.Kind.bits() {
		return int(words[0]), true
	}
	var u uint64
	for i := range words {
		w := words[i]
		if r.LowFirst {
			w = words[len(words)-1-i]
		}
		u = u<<16 | uint64(w)
	}
	var n float64
	switch r.Type {
	case Int16:
		n = float64(int16(u))
	case Int32:
		n = float64(int32(u))
	case Float32:
		n = float64(math.Float32frombits(uint32(u)))
	case Float64:
		n = math.Float64frombits(u)
	default:
		n = float64(u)
	}
	n = n*r.scale() + r.Offset
	return n, !math.IsNaN(n) && !math.IsInf(n, 0)
}

func (r *Register) scale() float64 {
	if r.Scale == 0 {
		return 1
	}
	return r.Scale
}

// encode makes the words of a property's value.
func (r *Register) encode(v float64) ([]uint16, error) {
	n := (v - r.Offset) / r.scale()
	var u uint64
	low, high := 0.0, 0.0
	switch {
	case r.Kind.bits():
		high = 1
	case r.Type == Uint16:
		high = math.MaxUint16
	case r.Type == Int16:
		low, high = math.MinInt16, math.MaxInt16
	case r.Type == Uint32:
		high = math.MaxUint32
	case r.Type == Int32:
		low, high = math.MinInt32, math.MaxInt32
	case r.Type == Float32:
		u, low, high = uint64(math.Float32bits(float32(n))), -math.MaxFloat32, math.MaxFloat32
	default:
		u, low, high = math.Float64bits(n), -math.MaxFloat64, math.MaxFloat64
	}
	if r.Kind.bits() || r.Type != Float32 && r.Type != Float64 {
		n = math.Round(n)
		u = uint64(int64(n))
	}
	if !(n >= low && n <= high) {
		return nil, fmt.Errorf("%w: %v is no %s", ErrValue, v, r.Property)
	}
	out := make([]uint16, r.size())
	for i := range out {
		at := len(out) - 1 - i
		if r.LowFirst {
			at = i
		}
		out[at] = uint16(u >> (16 * i))
	}
	return out, nil
}

// block is what one request reads: places of one kind, one after the other.
type block struct {
	kind  Kind
	start uint16
	count int
	regs  []*Register
}

const (
	// maxWords and maxBits are how many one request may read (specification V1.1b3
	// sections 6.1 and 6.3).
	maxWords = 125
	maxBits  = 2000
)

// plan joins registers that follow one another. Places the map does not name are
// never read: some devices refuse a request that touches them.
func plan(regs []Register) []block {
	order := make([]*Register, 0, len(regs))
	for i := range regs {
		order = append(order, &regs[i])
	}
	slices.SortStableFunc(order, func(a, b *Register) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return int(a.Address) - int(b.Address)
	})
	var out []block
	for _, r := range order {
		most := maxWords
		if r.Kind.bits() {
			most = maxBits
		}
		if n := len(out); n > 0 {
			last := &out[n-1]
			end := int(r.Address) + r.size() - int(last.start)
			if last.kind == r.Kind && int(r.Address) <= int(last.start)+last.count && end <= most {
				last.count = max(last.count, end)
				last.regs = append(last.regs, r)
				continue
			}
		}
		out = append(out, block{r.Kind, r.Address, r.size(), []*Register{r}})
	}
	return out
}
