// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"pgregory.net/rapid"
)

// judge is a condition said plainly, over numbers that may be missing.
func judge(c *Condition, values map[string]int) bool {
	switch {
	case len(c.All) > 0:
		return !slices.ContainsFunc(c.All, func(p Condition) bool { return !judge(&p, values) })
	case len(c.Any) > 0:
		return slices.ContainsFunc(c.Any, func(p Condition) bool { return judge(&p, values) })
	}
	have, ok := values[c.Device.Name+c.Property]
	var want int
	if err := json.Unmarshal(c.Value, &want); err != nil || !ok {
		return false
	}
	return map[string]bool{"=": have == want, "!=": have != want, "<": have < want, "<=": have <= want, ">": have > want, ">=": have >= want}[c.Op]
}

func draw(t *rapid.T, depth int) Condition {
	if depth == 0 || rapid.Bool().Draw(t, "leaf") {
		return Condition{
			Device:   iot.DeviceID{Product: "p", Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "device")},
			Property: rapid.SampledFrom([]string{"X", "Y"}).Draw(t, "property"),
			Op:       rapid.SampledFrom([]string{"=", "!=", "<", "<=", ">", ">="}).Draw(t, "op"),
			Value:    json.RawMessage(fmt.Sprint(rapid.IntRange(-2, 2).Draw(t, "value"))),
		}
	}
	parts := make([]Condition, rapid.IntRange(1, 3).Draw(t, "parts"))
	for i := range parts {
		parts[i] = draw(t, depth-1)
	}
	if rapid.Bool().Draw(t, "all") {
		return Condition{All: parts}
	}
	return Condition{Any: parts}
}

// Conditions hold when they say so, and Explain, which judges all of them, agrees.
func TestConditionsAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := draw(rt, 3)
		left := MaxConditions
		j, err := c.compile(&left, 0)
		if err != nil {
			rt.Fatal(err)
		}
		values := rapid.MapOf(rapid.SampledFrom([]string{"aX", "aY", "bX", "bY"}), rapid.IntRange(-2, 2)).Draw(rt, "values")
		from := func(_ context.Context, id iot.DeviceID, property string) ([]byte, error) {
			if v, ok := values[id.Name+property]; ok {
				return fmt.Append(nil, v), nil
			}
			return nil, nil
		}
		want := judge(&c, values)
		got, err := j.holds(rt.Context(), from, iot.DeviceID{})
		why, explainErr := j.explain(rt.Context(), from, iot.DeviceID{})
		if err != nil || explainErr != nil || got != want || why.Holds != want {
			rt.Errorf("%+v of %v: %v, explained %v, want %v (%v, %v)", c, values, got, why.Holds, want, err, explainErr)
		}
	})
}

// A time that passed while the process stood still is missed, a little delay is not.
func TestDue(t *testing.T) {
	x := &entry{compiled: &compiled{starts: []start{{every: time.Minute}, {sql: "a statement is never due"}}}}
	begin := time.Unix(0, 0)
	for _, step := range []struct {
		after time.Duration
		due   time.Duration // zero for nothing
	}{
		{0, 0},
		{59 * time.Second, 0},
		{60 * time.Second, time.Minute},
		{61 * time.Second, 0},
		{179 * time.Second, 2 * time.Minute}, // 59 s late
		{10 * time.Minute, 0},                // missed
		{11 * time.Minute, 11 * time.Minute},
	} {
		at := x.due(begin.Add(step.after))
		if at.IsZero() != (step.due == 0) || step.due != 0 && !at.Equal(begin.Add(step.due)) {
			t.Errorf("after %v: due %v, want %v", step.after, at.UTC(), step.due)
		}
	}
	if x.account.stats.Missed != 1 {
		t.Errorf("%d missed, want 1", x.account.stats.Missed)
	}
}
