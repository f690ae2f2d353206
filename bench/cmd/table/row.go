// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// row is a line of the table. It passes when its value is not beyond must, in
// the direction that matters.
type row struct {
	what       string
	ours, base string // what was measured, and what it is compared with
	value      float64
	unit       string
	must, aim  float64
	least      bool // value should be high
	free       bool // no bar
}

func (r *row) reaches(bar float64) bool {
	if r.least {
		return r.value >= bar
	}
	return r.value <= bar
}

func (r *row) missed() bool { return !r.free && !r.reaches(r.must) }

func (r *row) verdict() string {
	switch {
	case r.free:
		return ""
	case r.missed():
		return "MISSED"
	case r.aim != 0 && r.reaches(r.aim):
		return "pass, aim too"
	}
	return "pass"
}

func (r *row) bar(v float64) string {
	if r.free || v == 0 && r.must != 0 {
		return ""
	}
	sign := "<= "
	if r.least {
		sign = ">= "
	}
	return sign + number(v) + r.unit
}

// number prints three digits that matter.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.4f", v)
}

func (b *bench) print(w io.Writer) {
	fmt.Fprintln(w, b.machine.facts())
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprintln(t, " what\t ours\t compared with\t result\t must\t aim\t ")
	fmt.Fprintln(t, strings.Repeat(" ---\t", 7))
	for _, r := range b.rows {
		fmt.Fprintf(t, " %s\t %s\t %s\t %s\t %s\t %s\t %s\n",
			r.what, r.ours, r.base, number(r.value)+r.unit, r.bar(r.must), r.bar(r.aim), r.verdict())
	}
	_ = t.Flush()
	for _, n := range b.notes {
		fmt.Fprintln(w, "\n"+n)
	}
}
