// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A window and the one between its ends the other way round are the whole week
// together, and have no minute in common.
func TestWindowAndItsRest(t *testing.T) {
	clockText := func(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }
	rapid.Check(t, func(rt *rapid.T) {
		from := rapid.IntRange(0, 24*60-1).Draw(rt, "from")
		to := rapid.IntRange(0, 24*60-1).Filter(func(m int) bool { return m != from }).Draw(rt, "to")
		a, err := (&Window{From: clockText(from), To: clockText(to)}).compile(time.UTC)
		if err != nil {
			rt.Fatal(err)
		}
		b, err := (&Window{From: clockText(to), To: clockText(from)}).compile(time.UTC)
		if err != nil {
			rt.Fatal(err)
		}
		at := time.Date(2026, 1, 1, 0, rapid.IntRange(0, 7*24*60).Draw(rt, "minute"), 0, 0, time.UTC)
		if a.holds(at) == b.holds(at) {
			rt.Errorf("%v: %v and %v", at, a, b)
		}
	})
}

// A night belongs to the day it begins on: on one weekday it is as long as it says.
func TestWindowOfOneDay(t *testing.T) {
	for _, c := range []struct {
		w       Window
		minutes int
	}{
		{Window{From: "22:00", To: "06:00", Days: []string{"sun"}}, 8 * 60},
		{Window{From: "06:00", To: "22:00", Days: []string{"sat", "7"}}, 2 * 16 * 60},
		{Window{From: "06:00", To: "24:00", Days: []string{"Wed"}}, 18 * 60},
		{Window{Days: []string{"mon-fri"}}, 5 * 24 * 60},
		{Window{Zone: "Asia/Kathmandu"}, 7 * 24 * 60},
	} {
		w, err := c.w.compile(time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for m := range 7 * 24 * 60 {
			if w.holds(time.Date(2026, 1, 1, 0, m, 0, 0, time.UTC)) {
				n++
			}
		}
		if n != c.minutes {
			t.Errorf("%+v: %d minutes a week, want %d", c.w, n, c.minutes)
		}
	}
}
