// SPDX-License-Identifier: Apache-2.0

package fileslot

import (
	"errors"
	"io/fs"
	"os"
)

// replace gives the file name the content value: the old or the new one is there
// at any moment. The same temporary file is used each time, so what a power cut
// left behind is overwritten by the next call.
func replace(root *os.Root, name string, value []byte) error {
	tmp := name + ".tmp"
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := root.Rename(tmp, name); err != nil {
		return err
	}
	return syncDir(root)
}

// remove deletes the file name; one that is not there is no error.
func remove(root *os.Root, name string) error {
	switch err := root.Remove(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return syncDir(root)
}
