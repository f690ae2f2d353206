// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/openalink/iot/internal/durable"
)

// ErrNoBlob is what Blobs answer for an id they do not have.
var ErrNoBlob = errors.New("ota: no such file")

// Blobs keep the bytes of packages. Ids are lower-case letters and digits, at
// most 64. Implementations are safe for concurrent use.
type Blobs interface {
	// Create stores what r yields under a new id and returns its size when it is
	// durable. After an error nothing is stored.
	Create(ctx context.Context, id string, r io.Reader) (int64, error)
	// Open returns the bytes of id, or ErrNoBlob. An *os.File is served fastest.
	Open(ctx context.Context, id string) (io.ReadSeekCloser, error)
	// Remove deletes id; one that is not there is no error. Files that are open stay
	// readable.
	Remove(ctx context.Context, id string) error
}

// Folder keeps each blob in a file of its own. It implements Blobs.
type Folder struct{ root *os.Root }

// NewFolder keeps blobs in root, which belongs to the caller and is closed by
// them.
func NewFolder(root *os.Root) *Folder { return &Folder{root} }

// Create implements Blobs. It ends with ctx's error when that comes first.
func (f *Folder) Create(ctx context.Context, id string, r io.Reader) (int64, error) {
	if !validID(id) {
		return 0, fmt.Errorf("%w: id %.80q", ErrNoBlob, id)
	}
	n, err := durable.Write(f.root, id, id+".part", readerFunc(func(b []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(b)
	}))
	if err != nil {
		return 0, fmt.Errorf("ota: %w", err)
	}
	return n, nil
}

// Open implements Blobs.
func (f *Folder) Open(_ context.Context, id string) (io.ReadSeekCloser, error) {
	if !validID(id) {
		return nil, fmt.Errorf("%w: id %.80q", ErrNoBlob, id)
	}
	file, err := f.root.Open(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoBlob, id)
	}
	if err != nil {
		return nil, fmt.Errorf("ota: %w", err)
	}
	return file, nil
}

// Remove implements Blobs.
func (f *Folder) Remove(_ context.Context, id string) error {
	if !validID(id) {
		return fmt.Errorf("%w: id %.80q", ErrNoBlob, id)
	}
	if err := durable.Remove(f.root, id); err != nil {
		return fmt.Errorf("ota: %w", err)
	}
	return nil
}

// validID keeps ids from being paths.
func validID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
