// SPDX-License-Identifier: Apache-2.0

package haltest

import (
	"flag"
	"strings"
	"testing"
)

// Option changes what a suite asks for.
type Option interface{ apply(*omissions) }

type optionFunc func(*omissions)

func (f optionFunc) apply(o *omissions) { f(o) }

// LeaveOut leaves a case out, by its name below that of the test, such as
// "Deliver/PacketIDAndDupAsGiven", because the door cannot do it: reason says why
// and stands in the test's output. A name that no case has fails the suite.
func LeaveOut(name, reason string) Option {
	return optionFunc(func(o *omissions) { o.reasons[name] = reason })
}

// omissions are the cases left out.
type omissions struct {
	reasons map[string]string
	met     map[string]bool
}

func leftOut(options []Option) *omissions {
	o := &omissions{reasons: map[string]string{}, met: map[string]bool{}}
	for _, option := range options {
		option.apply(o)
	}
	return o
}

func (o *omissions) skip(t *testing.T, name string) {
	t.Helper()
	if reason, ok := o.reasons[name]; ok {
		o.met[name] = true
		t.Skipf("LEFT OUT, %s: %s", name, reason)
	}
}

// check looks for names that no case has. It is silent when only some cases ran.
func (o *omissions) check(t *testing.T) {
	t.Helper()
	if runsSome() {
		return
	}
	for name := range o.reasons {
		if !o.met[name] {
			t.Errorf("left out is %s, which is no case", name)
		}
	}
}

// runsSome reports whether -run picks cases.
func runsSome() bool {
	f := flag.Lookup("test.run")
	return f != nil && strings.Contains(f.Value.String(), "/")
}
