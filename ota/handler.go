// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// ErrNotAllowed is what Permit answers when a device may not fetch a file: its
// update is over, or it was never asked to.
var ErrNotAllowed = errors.New("ota: the device has no use for this file now")

// Permission says whether a device may fetch a file at this moment.
type Permission interface {
	// Permit returns the digest of the file for the ETag, or an error: ErrNotAllowed,
	// or ErrNoBlob. A link that was used until the update ended is of no further use.
	Permit(ctx context.Context, g Grant) (sha256 string, err error)
}

// Served is one request of a Handler, for the log.
type Served struct {
	Grant  Grant // as far as it could be read
	Status int
	Range  string // as asked
	Bytes  int64  // of the body
	Took   time.Duration
	Err    error // why it was refused
}

// HandlerConfig is what a Handler is made of; Links, Blobs and Permission are
// required.
type HandlerConfig struct {
	Links      *Links
	Blobs      Blobs
	Permission Permission
	// Served, when not nil, hears of every request, from many goroutines at once.
	Served func(Served)
}

// Handler serves files to whoever shows a good link: GET and HEAD, one byte
// range, ETag. It refuses with 403 a link that is not valid, is another device's,
// or whose update is over; with 410 an expired one; with 404 a file that is gone;
// with 405 other methods. It implements http.Handler, is to be mounted at
// DefaultPath, and is safe for concurrent use.
type Handler struct{ cfg HandlerConfig }

// NewHandler makes a Handler.
func NewHandler(cfg HandlerConfig) (*Handler, error) {
	if cfg.Links == nil || cfg.Blobs == nil || cfg.Permission == nil {
		return nil, errors.New("ota: HandlerConfig needs Links, Blobs and Permission")
	}
	return &Handler{cfg}, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &counter{ResponseWriter: w, status: http.StatusOK}
	grant, err := h.serve(c, r, start)
	if err != nil {
		c.Header().Set("Cache-Control", "no-store")
		http.Error(c, http.StatusText(statusOf(err)), statusOf(err))
	}
	if h.cfg.Served != nil {
		h.cfg.Served(Served{
			Grant: grant, Status: c.status, Range: r.Header.Get("Range"), Bytes: c.bytes, Took: time.Since(start), Err: err,
		})
	}
}

var errMethod = errors.New("ota: only GET and HEAD")

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrLink), errors.Is(err, ErrNotAllowed):
		return http.StatusForbidden
	case errors.Is(err, ErrExpired):
		return http.StatusGone
	case errors.Is(err, ErrNoBlob):
		return http.StatusNotFound
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed
	}
	return http.StatusInternalServerError
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, now time.Time) (Grant, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return Grant{}, errMethod
	}
	g, err := h.cfg.Links.Check(r.URL, now)
	if err != nil {
		return g, err
	}
	digest, err := h.cfg.Permission.Permit(r.Context(), g)
	if err != nil {
		return g, err
	}
	file, err := h.cfg.Blobs.Open(r.Context(), g.File)
	if err != nil {
		return g, err
	}
	defer file.Close()
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range") // several ranges cost more than they help
	}
	head := w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Cache-Control", "private, no-transform")
	if digest != "" {
		head.Set("ETag", `"`+digest+`"`)
	}
	http.ServeContent(w, r, "", time.Time{}, file)
	return g, nil
}

// counter counts what is written and keeps the way of sendfile open.
type counter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (c *counter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.bytes += n
	return n, err
}

// Unwrap is for http.ResponseController.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
