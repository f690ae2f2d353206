// SPDX-License-Identifier: Apache-2.0

package mem

// An Option changes one default of New.
type Option interface{ apply(*Engine) }

type optionFunc func(*Engine)

func (f optionFunc) apply(e *Engine) { f(e) }

// WithMaxBytes bounds the memory of keys, values and records, counted with an
// allowance of 128 bytes for each. A batch that would go over it gets ErrFull.
// Without the option, and with n < 1, nothing is bounded.
func WithMaxBytes(n int64) Option {
	return optionFunc(func(e *Engine) { e.max = n })
}
