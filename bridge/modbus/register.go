// SPDX-License-Identifier: Apache-2.0

package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/openalink/iot/bridge"
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
	// Text is Length words with two bytes each, the first in the high half, until the
	// first zero; spaces at its end are left out.
	Text
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
	// Length is how many words a Text has.
	Length uint16
	// LowFirst has the low word of a longer number first.
	LowFirst bool
	// SwapBytes has the low byte of each word first.
	SwapBytes bool
	// Mask takes bits out of a whole number: the property is what they make when the
	// lowest of them is moved to 1, so that one bit is 0 or 1. When it is written, the
	// other bits are read and written back: what the device does to them in between is
	// lost.
	Mask uint32
	// Scale is what the number is multiplied with, Offset what is added then, to
	// make the property; a zero Scale is 1.
	Scale, Offset float64
	// Writable has the platform's property set written here: Holding and Coil only.
	Writable bool
}

func (r *Register) size() int {
	switch {
	case r.Kind.bits():
		return 1
	case r.Type == Text:
		return int(r.Length)
	}
	return r.Type.words()
}

func (r *Register) check() error {
	switch {
	case r.Property == "":
		return fmt.Errorf("%w: a register without a property", ErrMap)
	case r.Kind > Discrete || r.Type > Text:
		return fmt.Errorf("%w: %s has no such kind or type", ErrMap, r.Property)
	case r.Type == Text && (r.Kind.bits() || r.Length == 0 || r.Length > maxWrite || r.Scale != 0 || r.Offset != 0 || r.LowFirst):
		return fmt.Errorf("%w: %s is no text of 1 to %d words", ErrMap, r.Property, maxWrite)
	case r.Type != Text && r.Length != 0:
		return fmt.Errorf("%w: %s has a length and is no text", ErrMap, r.Property)
	case r.Mask != 0 && (r.Kind.bits() || r.Type > Int32 || uint64(r.Mask)>>(16*r.Type.words()) != 0):
		return fmt.Errorf("%w: %s has no bits %#x", ErrMap, r.Property, r.Mask)
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
	if r.Type == Text {
		return r.text(words), true
	}
	u := r.join(words)
	var n float64
	switch {
	case r.Mask != 0:
		n = float64(u & uint64(r.Mask) >> bits.TrailingZeros32(r.Mask))
	case r.Type == Int16:
		n = float64(int16(u))
	case r.Type == Int32:
		n = float64(int32(u))
	case r.Type == Float32:
		n = float64(math.Float32frombits(uint32(u)))
	case r.Type == Float64:
		n = math.Float64frombits(u)
	default:
		n = float64(u)
	}
	n = bridge.Scale(n, r.Scale) + r.Offset
	return n, !math.IsNaN(n) && !math.IsInf(n, 0)
}

// join makes a number of words.
func (r *Register) join(words []uint16) (u uint64) {
	for i := range words {
		w := words[i]
		if r.LowFirst {
			w = words[len(words)-1-i]
		}
		u = u<<16 | uint64(r.swapped(w))
	}
	return u
}

// split is the inverse of join.
func (r *Register) split(u uint64) []uint16 {
	out := make([]uint16, r.size())
	for i := range out {
		at := len(out) - 1 - i
		if r.LowFirst {
			at = i
		}
		out[at] = r.swapped(uint16(u >> (16 * i)))
	}
	return out
}

func (r *Register) swapped(w uint16) uint16 {
	if r.SwapBytes {
		return bits.ReverseBytes16(w)
	}
	return w
}

func (r *Register) text(words []uint16) string {
	var b []byte
	for _, w := range words {
		b = binary.BigEndian.AppendUint16(b, r.swapped(w))
	}
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.ToValidUTF8(strings.TrimRight(s, " "), "\uFFFD")
}

// encode makes the words of a property's value. Of a number with a Mask the other bits
// are 0.
func (r *Register) encode(v any) ([]uint16, error) {
	if r.Type == Text {
		s, ok := v.(string)
		if !ok || len(s) > 2*int(r.Length) {
			return nil, fmt.Errorf("%w: %v is no %s", ErrValue, v, r.Property)
		}
		b := append([]byte(s), make([]byte, 2*int(r.Length)-len(s))...)
		out := make([]uint16, r.Length)
		for i := range out {
			out[i] = r.swapped(binary.BigEndian.Uint16(b[2*i:]))
		}
		return out, nil
	}
	n, ok := bridge.Number(v)
	if !ok {
		return nil, fmt.Errorf("%w: %v is no %s", ErrValue, v, r.Property)
	}
	return r.number(n)
}

func (r *Register) number(v float64) ([]uint16, error) {
	n := bridge.Unscale(v-r.Offset, r.Scale)
	var u uint64
	low, high := 0.0, 0.0
	switch {
	case r.Kind.bits():
		high = 1
	case r.Mask != 0:
		high = float64(r.Mask >> bits.TrailingZeros32(r.Mask))
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
	if r.Mask != 0 {
		if u <<= bits.TrailingZeros32(r.Mask); u&^uint64(r.Mask) != 0 {
			return nil, fmt.Errorf("%w: %v has bits beyond those of %s", ErrValue, v, r.Property)
		}
	}
	return r.split(u), nil
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
	// maxWrite is how many words one request may write (section 6.12).
	maxWrite = 123
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
