// SPDX-License-Identifier: Apache-2.0

package modbus

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestValues(t *testing.T) {
	for name, c := range map[string]struct {
		r     Register
		words []uint16
		want  any
	}{
		"word":            {Register{}, []uint16{0xfffe}, 65534.0},
		"signed":          {Register{Type: Int16}, []uint16{0xfffe}, -2.0},
		"scaled":          {Register{Type: Int16, Scale: 0.5, Offset: -40}, []uint16{100}, 10.0},
		"long":            {Register{Type: Uint32}, []uint16{1, 2}, 65538.0},
		"long, low first": {Register{Type: Uint32, LowFirst: true}, []uint16{1, 2}, 131073.0},
		"signed long":     {Register{Type: Int32}, []uint16{0xffff, 0xffff}, -1.0},
		"float":           {Register{Type: Float32}, []uint16{0x3fc0, 0}, 1.5},
		"double":          {Register{Type: Float64}, []uint16{0x3ff8, 0, 0, 0}, 1.5},
		"bit":             {Register{Kind: Coil}, []uint16{1}, 1},
		"tenths":          {Register{Scale: 0.1}, []uint16{3}, 0.3},
		"one of a word":   {Register{Mask: 1 << 15}, []uint16{0x8001}, 1.0},
		"two of a word":   {Register{Mask: 3 << 8, Scale: 50}, []uint16{0x8200}, 100.0},
		"of a long":       {Register{Type: Uint32, Mask: 0xff << 16}, []uint16{0x12ab, 0x3400}, 171.0},
		"swapped":         {Register{Type: Uint32, SwapBytes: true}, []uint16{0x0100, 0x0200}, 65538.0},
		"all swapped":     {Register{Type: Uint32, SwapBytes: true, LowFirst: true}, []uint16{0x0200, 0x0100}, 65538.0},
		"text":            {Register{Type: Text, Length: 4}, []uint16{0x4142, 0x4320, 0, 0x4444}, "ABC"},
		"text, swapped":   {Register{Type: Text, Length: 2, SwapBytes: true}, []uint16{0x4241, 0x2043}, "ABC"},
		"no text":         {Register{Type: Text, Length: 1}, []uint16{0xffff}, "\uFFFD"},
	} {
		got, ok := c.r.value(c.words)
		if !ok || got != c.want {
			t.Errorf("%s: %v %v, want %v", name, got, ok, c.want)
		}
	}
	if _, ok := (&Register{Type: Float32}).value([]uint16{0x7fc0, 0}); ok {
		t.Error("no number is a number")
	}
}

func TestEncodeIsInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Register{
			Type: Type(rapid.Uint8Range(0, uint8(Float64)).Draw(t, "type")), LowFirst: rapid.Bool().Draw(t, "low first"), SwapBytes: rapid.Bool().Draw(t, "swapped"),
			Scale: rapid.SampledFrom([]float64{0, 0.5, 2, -4}).Draw(t, "scale"), Offset: float64(rapid.IntRange(-5, 5).Draw(t, "offset")),
		}
		words := rapid.SliceOfN(rapid.Uint16(), r.size(), r.size()).Draw(t, "words")
		v, ok := r.value(words)
		if !ok || math.Abs(v.(float64)) > 1e100 || math.Abs(v.(float64)) < 1e-30 && v != 0.0 {
			return
		}
		again, err := r.encode(v.(float64))
		if err != nil {
			t.Fatal(err)
		}
		back, _ := r.value(again)
		if d := math.Abs(back.(float64) - v.(float64)); d > 1e-6*math.Abs(v.(float64)) {
			t.Fatalf("%v became %v", v, back)
		}
	})
}

func TestTextIsInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Register{Type: Text, Length: 8, SwapBytes: rapid.Bool().Draw(t, "swapped")}
		v := rapid.StringMatching("[a-zä]{0,8}").Draw(t, "text")
		words, err := r.encode(v)
		if got, ok := r.value(words); err != nil || !ok || got != v {
			t.Fatalf("%q became %v, %v", v, got, err)
		}
	})
}

func TestOutOfRange(t *testing.T) {
	for name, c := range map[string]struct {
		r Register
		v any
	}{
		"a word":         {Register{}, "1"},
		"long text":      {Register{Type: Text, Length: 1}, "abc"},
		"number as text": {Register{Type: Text, Length: 1}, 1.0},
		"wide bits":      {Register{Mask: 3}, 4.0},
		"between bits":   {Register{Mask: 5}, 2.0},
		"negative word":  {Register{}, -1.0},
		"too much":       {Register{Type: Int16}, 32768.0},
		"not a number":   {Register{Type: Uint32}, math.NaN()},
		"infinite":       {Register{Type: Float64}, math.Inf(1)},
		"two for a coil": {Register{Kind: Coil}, 2.0},
	} {
		if _, err := c.r.encode(c.v); !errors.Is(err, ErrValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What follows one another is one request; gaps and limits part.
func TestPlan(t *testing.T) {
	regs := []Register{
		{Property: "c", Kind: Coil, Address: 5},
		{Property: "b", Address: 11, Type: Uint32},
		{Property: "a", Address: 10},
		{Property: "d", Address: 14},
		{Property: "same", Address: 10},
		{Property: "i", Kind: Input, Address: 10},
	}
	for i := range 130 {
		regs = append(regs, Register{Property: "many", Address: uint16(1000 + i)})
	}
	type shape struct {
		Kind         Kind
		Start, Count int
	}
	var got []shape
	for _, b := range plan(regs) {
		got = append(got, shape{b.kind, int(b.start), b.count})
	}
	want := []shape{{Holding, 10, 3}, {Holding, 14, 1}, {Holding, 1000, 125}, {Holding, 1125, 5}, {Input, 10, 1}, {Coil, 5, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
