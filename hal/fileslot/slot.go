// SPDX-License-Identifier: Apache-2.0

package fileslot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/durable"
)

const (
	// MaxName is the longest name of a value, in bytes.
	MaxName = 64
	// MaxValue is the largest value, in bytes.
	MaxValue = 1 << 20
)

// Slot keeps each value in a file of its own. It implements hal.Slot.
type Slot struct {
	root *os.Root
	mu   sync.Mutex // one writer: the temporary file has one name
}

// NewSlot keeps values in root, which belongs to the caller and is closed by
// them.
func NewSlot(root *os.Root) *Slot { return &Slot{root: root} }

// Load implements hal.Slot. The value belongs to the caller. Errors wrap
// hal.ErrNoValue or are the file system's.
func (s *Slot) Load(ctx context.Context, name string) ([]byte, error) {
	file, err := fileName(ctx, name)
	if err != nil {
		return nil, err
	}
	value, err := s.root.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("fileslot: %q: %w", name, hal.ErrNoValue)
	}
	if err != nil {
		return nil, fmt.Errorf("fileslot: load %q: %w", name, err)
	}
	return value, nil
}

// Store implements hal.Slot.
func (s *Slot) Store(ctx context.Context, name string, value []byte) error {
	file, err := fileName(ctx, name)
	if err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("fileslot: value of %q has %d bytes, at most %d", name, len(value), MaxValue)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if value == nil {
		err = durable.Remove(s.root, file)
	} else {
		_, err = durable.Write(s.root, file, file+".tmp", bytes.NewReader(value))
	}
	if err != nil {
		return fmt.Errorf("fileslot: store %q: %w", name, err)
	}
	return nil
}

// fileName turns the name of a value into that of its file. Any name is good:
// what is not a lower-case letter, a digit or one of "-_" is written in hex, so
// no name leaves the folder and no two meet on file systems without case.
func fileName(ctx context.Context, name string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if name == "" || len(name) > MaxName {
		return "", fmt.Errorf("fileslot: name %.80q is not 1 to %d bytes long", name, MaxName)
	}
	const hex = "0123456789ABCDEF"
	file := []byte("v-")
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			file = append(file, c)
		default:
			file = append(file, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(file), nil
}
