// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package fileslot

import (
	"errors"
	"os"
)

// syncDir makes the names in the folder durable.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
