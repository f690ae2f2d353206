// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// ErrRefusedLink means that the server refused a link: it expired, or is not for
// this device. A fresh one may do.
var ErrRefusedLink = errors.New("ota: server refused the link")

// Source brings the bytes of a firmware.
type Source interface {
	// Open returns the bytes of n, whose size may be unknown (0), from an offset on. The stream may break off at any
	// point; whoever reads it opens another. ErrRefusedLink asks for a fresh notice.
	Open(ctx context.Context, n *Notice, from int64) (io.ReadCloser, error)
}

// HTTP is the Source of notices with a URL. The zero value uses
// http.DefaultClient.
type HTTP struct{ Client *http.Client }

// Open implements Source: a GET with a range.
func (h HTTP) Open(ctx context.Context, n *Notice, from int64) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("ota: %w", err)
	}
	r.Header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
	r.Header.Set("Accept-Encoding", "identity")
	client := h.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ota: %w", err)
	}
	if err := check(answer, n, from); err != nil {
		_ = answer.Body.Close() // nobody reads it
		return nil, err
	}
	if answer.StatusCode == http.StatusOK && from > 0 { // a server without ranges
		if _, err := io.CopyN(io.Discard, answer.Body, from); err != nil {
			_ = answer.Body.Close()
			return nil, fmt.Errorf("ota: %w", err)
		}
	}
	return answer.Body, nil
}

// check looks whether an answer is what was asked for.
func check(answer *http.Response, n *Notice, from int64) error {
	switch answer.StatusCode {
	case http.StatusOK:
		if answer.ContentLength >= 0 && n.Size > 0 && answer.ContentLength != n.Size {
			return fmt.Errorf("%w: server has %d bytes, not %d", ErrDigest, answer.ContentLength, n.Size)
		}
		return nil
	case http.StatusPartialContent:
		span := answer.Header.Get("Content-Range")
		if n.Size > 0 && span != fmt.Sprintf("bytes %d-%d/%d", from, n.Size-1, n.Size) {
			return fmt.Errorf("%w: server sends %.60q of a file of %d bytes", ErrDigest, strings.TrimSpace(span), n.Size)
		}
		return nil
	case http.StatusForbidden, http.StatusGone, http.StatusNotFound, http.StatusUnauthorized:
		return fmt.Errorf("%w: HTTP %d", ErrRefusedLink, answer.StatusCode)
	case http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: server has fewer than %d bytes", ErrDigest, n.Size)
	}
	return fmt.Errorf("ota: HTTP %d", answer.StatusCode)
}
