// SPDX-License-Identifier: Apache-2.0

package haltest

import "testing"

// promise is one thing that must hold, tried with a fixture F of its own.
type promise[F any] struct {
	name string
	test func(f F)
}

// group is promises about one subject.
type group[F any] struct {
	name  string
	cases []promise[F]
}

// runGroups tries every promise that is not left out.
func runGroups[F any](t *testing.T, options []Option, groups []group[F], open func(t *testing.T) F) {
	left := leftOut(options)
	defer left.check(t)
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) {
					left.skip(t, g.name+"/"+c.name)
					c.test(open(t))
				})
			}
		})
	}
}
