// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"errors"
	"io"
	"regexp"

	iot "github.com/openalink/iot"
)

// Blobs keep the files that devices upload. Methods are safe for concurrent use;
// calls about one upload come one at a time.
type Blobs interface {
	// Create begins an upload of a file and returns its id: at most 39 letters,
	// digits and underscores, because devices have no room for more. An unfinished
	// upload of the same name is given up. ErrExists means that the device has such a
	// file and does not want it replaced, ErrTooManyFiles that it may have no further one.
	Create(ctx context.Context, device iot.DeviceID, name string, overwrite bool) (id string, err error)
	// Append adds what r yields behind what an upload has and returns how long it is
	// then; it will not be shorter after a power cut. When r fails, what came before
	// counts, and the error is r's. A nil r adds nothing. ErrNoUpload means that the
	// device has no such upload, or no more.
	Append(ctx context.Context, device iot.DeviceID, id string, r io.Reader) (size int64, err error)
	// Finish gives the file its name, whole and durable, in place of an older one. An
	// upload may go on after that, and be finished again. Errors wrap ErrNoUpload, and
	// ErrExists or ErrTooManyFiles when somebody else was first.
	Finish(ctx context.Context, device iot.DeviceID, id string) (Stored, error)
}

// Stored is a file that is there.
type Stored struct {
	ID   string // how the device may call it from now on
	Size int64
	CRC  uint64 // CRC-64 with the ECMA polynomial
}

// The errors of Blobs.
var (
	ErrExists   = errors.New("http2: there is such a file, and it is not to be replaced")
	ErrNoUpload = errors.New("http2: no such upload")
	// ErrTooManyFiles means that a device has as many files as it may. Documents know no
	// code for that; it is answered with the status 507.
	ErrTooManyFiles = errors.New("http2: the device has too many files")
	// ErrFileName means a name that files may not have: 1 to 100 bytes of letters,
	// digits, dots, hyphens and underscores, the first one no dot or hyphen.
	ErrFileName = errors.New("http2: not a name for a file")
)

var fileName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]{0,99}$`)

// uploadID is what an id of an upload looks like.
var uploadID = regexp.MustCompile(`^[0-9A-Za-z_]{1,39}$`)
