// SPDX-License-Identifier: Apache-2.0

// Package durable replaces and removes files so that a power cut leaves the old
// or the new state.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// Write gives the file name what r yields, by way of the file tmp in the same
// folder. It returns how much that was. After an error the file name is what it
// was, and tmp is gone or will be overwritten by the next call.
func Write(root *os.Root, name, tmp string, r io.Reader) (int64, error) {
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return n, errors.Join(err, root.Remove(tmp))
	}
	if err := root.Rename(tmp, name); err != nil {
		return n, errors.Join(err, root.Remove(tmp))
	}
	return n, Sync(root)
}

// Remove deletes the file name; one that is not there is no error.
func Remove(root *os.Root, name string) error {
	switch err := root.Remove(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return Sync(root)
}
