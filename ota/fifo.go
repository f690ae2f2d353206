// SPDX-License-Identifier: Apache-2.0

package ota

// fifo is a queue that gives memory back as it empties.
type fifo[T any] struct {
	list []T
	head int
}

func (f *fifo[T]) push(v T) { f.list = append(f.list, v) }

func (f *fifo[T]) len() int { return len(f.list) - f.head }

// first returns the oldest; there must be one.
func (f *fifo[T]) first() T { return f.list[f.head] }

func (f *fifo[T]) drop() {
	f.head++
	if f.head > 1024 && f.head > len(f.list)/2 {
		f.list = append([]T(nil), f.list[f.head:]...)
		f.head = 0
	}
}
