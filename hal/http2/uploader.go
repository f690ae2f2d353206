// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// Uploader sends files of a device as the SDKs do (wire facts section 8.1), to a
// Handler or to Alibaba's platform. The zero value of every field but URL, Device and
// Secret is a good choice. It is safe for concurrent use.
type Uploader struct {
	URL    string      // as that of a Transport
	TLS    *tls.Config // verifies the server; nil does against the system's roots
	Net    hal.Net     // opens connections; nil is the operating system's
	Device iot.DeviceID
	Secret auth.Secret
	// Part is how many bytes go in one request; 0 is 4 MB.
	Part int64
}

const defaultPart = 4 << 20

// UploadOptions say how a file goes.
type UploadOptions struct {
	// Overwrite replaces a file of the same name; without it that is ErrExists.
	Overwrite bool
	// Resume goes on with an upload that was interrupted: UploadError.ID.
	Resume string
}

// UploadError is an upload that did not come to its end. What arrived of it is kept:
// with ID as UploadOptions.Resume it goes on.
type UploadError struct {
	ID  string
	Err error
}

// Error says what interrupted it.
func (e *UploadError) Error() string { return fmt.Sprintf("http2: upload %s: %v", e.ID, e.Err) }

// Unwrap returns the cause.
func (e *UploadError) Unwrap() error { return e.Err }

// errSum means a file that arrived as another one.
var errSum = errors.New("the platform has other bytes")

// Upload sends size bytes of file under a name, and returns when the platform has
// them. Errors before anything is sent are a *hal.RefusedError, ErrExists,
// ErrFileName, ErrTooManyFiles or, of Resume, ErrNoUpload; later ones are an
// *UploadError.
func (u *Uploader) Upload(ctx context.Context, name string, file io.ReaderAt, size int64, o UploadOptions) (Stored, error) {
	base, web, err := (&Transport{URL: u.URL, TLS: u.TLS, Net: u.Net}).client(0)
	if err != nil {
		return Stored{}, err
	}
	defer web.close()
	s := &sender{base: base, web: web, part: orDefault(u.Part, defaultPart)}
	header := u.login()
	if o.Resume != "" {
		header.Set(headerUpload, o.Resume)
	} else {
		header.Set(headerFileName, name)
		header.Set(headerOverwrite, "0")
		if o.Overwrite {
			header.Set(headerOverwrite, "1")
		}
	}
	open, err := s.ask(ctx, "open", header, http.NoBody, 0)
	if err != nil {
		return Stored{}, openError(err)
	}
	stored, err := s.send(ctx, open, file, size)
	if err != nil {
		return Stored{}, &UploadError{ID: open.Get(headerUpload), Err: err}
	}
	return stored, nil
}

func (u *Uploader) login() http.Header {
	client := u.Device.Product + "." + u.Device.Name
	h := http.Header{}
	h.Set(headerAuthName, authDeviceName)
	h.Set(headerClientID, client)
	h.Set(authPrefix+"Signmethod", auth.HMACSHA256.String())
	h.Set(authPrefix+"Product-Key", u.Device.Product)
	h.Set(authPrefix+"Device-Name", u.Device.Name)
	h.Set(authPrefix+"Sign", auth.Sign(auth.HMACSHA256, u.Secret, auth.Param{Key: "clientId", Value: client},
		auth.Param{Key: "deviceName", Value: u.Device.Name}, auth.Param{Key: "productKey", Value: u.Device.Product}))
	return h
}

// openError says in words of this package why a stream is not opened.
func openError(err error) error {
	e, ok := errors.AsType[*StatusError](err)
	if !ok {
		return err
	}
	switch e.Status {
	case http.StatusBadRequest:
		return ErrFileName
	case http.StatusNotFound:
		return ErrNoUpload
	case http.StatusConflict:
		return ErrExists
	case http.StatusInsufficientStorage:
		return ErrTooManyFiles
	}
	return refusal(e)
}

// sender is one upload.
type sender struct {
	base string
	web  *wires
	part int64
}

// send sends what is missing, and closes the stream.
func (s *sender) send(ctx context.Context, open http.Header, file io.ReaderAt, size int64) (Stored, error) {
	stream := http.Header{headerDataStream: open[headerDataStream], headerUpload: open[headerUpload]}
	at, err := strconv.ParseInt(open.Get(headerPosition), 10, 64)
	if err != nil || at < 0 || at > size {
		return Stored{}, fmt.Errorf("position %.32q of %d", open.Get(headerPosition), size)
	}
	for at < size {
		n := min(s.part, size-at)
		if _, err := s.ask(ctx, "send", stream, io.NewSectionReader(file, at, n), n); err != nil {
			return Stored{}, err
		}
		at += n
	}
	closed, err := s.ask(ctx, "close", stream, http.NoBody, 0)
	if err != nil {
		return Stored{}, err
	}
	sum := crc64.New(crcTable)
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, size)); err != nil {
		return Stored{}, err
	}
	theirs, err := strconv.ParseInt(closed.Get(headerCRC), 10, 64)
	if closed.Get(headerCRC) != "" && (err != nil || uint64(theirs) != sum.Sum64()) {
		return Stored{}, errSum
	}
	return Stored{ID: closed.Get(headerStore), Size: size, CRC: sum.Sum64()}, nil
}

// ask sends one request. A status other than 200 is a *StatusError.
func (s *sender) ask(ctx context.Context, verb string, header http.Header, body io.Reader, length int64) (http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+pathStream+verb+"/"+uploadService, body)
	if err != nil {
		return nil, err
	}
	r.Header, r.ContentLength = header.Clone(), length
	resp, err := s.web.RoundTrip(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp)
	}
	return resp.Header, nil
}
