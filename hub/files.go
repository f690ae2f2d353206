// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"os"

	iot "github.com/openalink/iot"
)

// FileFolder keeps uploads of devices in a folder, as product/device/name; a
// file of the same name is replaced when the new one is whole. It implements
// Files.
type FileFolder struct{ root *os.Root }

// NewFileFolder keeps uploads in root, which belongs to the caller and is closed
// by them.
func NewFileFolder(root *os.Root) *FileFolder { return &FileFolder{root} }

// Create implements Files.
func (f *FileFolder) Create(_ context.Context, device iot.DeviceID, name string) (File, error) {
	if err := device.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !fileName.MatchString(name) {
		return nil, fmt.Errorf("%w: file name %.100q", ErrInvalid, name)
	}
	dir := device.Product + "/" + device.Name
	if err := f.root.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	part := dir + "/." + name // no name of a device's begins so
	file, err := f.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	return &folderFile{File: file, root: f.root, part: part, name: dir + "/" + name}, nil
}

type folderFile struct {
	*os.File
	root       *os.Root
	part, name string
}

// Close implements File.
func (f *folderFile) Close() error {
	if err := errors.Join(f.Sync(), f.File.Close()); err != nil {
		return errors.Join(err, f.root.Remove(f.part))
	}
	return f.root.Rename(f.part, f.name)
}

// Discard implements File.
func (f *folderFile) Discard() error { return errors.Join(f.File.Close(), f.root.Remove(f.part)) }
