// SPDX-License-Identifier: Apache-2.0

package store

import "fmt"

// Validate checks b against the bounds every engine keeps: keys and the keys of
// appends have 1 to MaxKey bytes, stream names 1 to MaxStream, values at most
// maxValue. Engines call it in Submit. The error wraps ErrTooLarge or ErrEmpty.
func (b *Batch) Validate(maxValue int) error {
	for i := range b.Checks {
		if err := checkLen("key", len(b.Checks[i].Key), MaxKey); err != nil {
			return err
		}
	}
	for i := range b.Writes {
		w := &b.Writes[i]
		if err := checkLen("key", len(w.Key), MaxKey); err != nil {
			return err
		}
		if len(w.Value) > maxValue {
			return tooLarge("value", len(w.Value), maxValue)
		}
	}
	for i := range b.Appends {
		if err := b.Appends[i].validate(maxValue); err != nil {
			return err
		}
	}
	return nil
}

func (a *Append) validate(maxValue int) error {
	if err := checkLen("stream name", len(a.Stream), MaxStream); err != nil {
		return err
	}
	if err := checkLen("key", len(a.Key), MaxKey); err != nil {
		return err
	}
	if len(a.Value) > maxValue {
		return tooLarge("value", len(a.Value), maxValue)
	}
	return nil
}

func checkLen(what string, n, limit int) error {
	switch {
	case n == 0:
		return fmt.Errorf("%w: %s", ErrEmpty, what)
	case n > limit:
		return tooLarge(what, n, limit)
	}
	return nil
}

func tooLarge(what string, n, limit int) error {
	return fmt.Errorf("%w: %s of %d bytes, at most %d are allowed", ErrTooLarge, what, n, limit)
}
