// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/store"
)

// UploadPackage keeps a firmware file: p says product and version, and may say
// module, size, digests and signature, which must then be so. It returns the
// package with its id. Errors wrap ErrUnknownProduct, ErrInvalid, ErrTooLarge,
// ota.ErrDigest or ota.ErrSignature.
func (h *Hub) UploadPackage(ctx context.Context, p ota.Package, r io.Reader) (ota.Package, error) {
	if h.ota.cfg.Blobs == nil {
		return p, fmt.Errorf("%w: the hub was opened without Config.OTA", ErrInvalid)
	}
	if _, err := h.product(p.Product); err != nil {
		return p, err
	}
	p, err := ota.Upload(ctx, h.ota.cfg.Blobs, p, r, ota.UploadOptions{MaxSize: h.ota.cfg.MaxPackage, Trusted: h.ota.cfg.Trusted})
	switch {
	case errors.Is(err, ota.ErrTooLarge):
		return p, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, ota.ErrPackage):
		return p, fmt.Errorf("%w: %w", ErrInvalid, err)
	case err != nil:
		return p, err
	}
	p.Stream = h.ids.next(time.Now())
	var b store.Batch
	b.Check([]byte(prefixPackage+p.ID), 0)
	b.Put([]byte(prefixPackage+p.ID), encodeJSON(p))
	b.Put([]byte(prefixStream+strconv.FormatInt(p.Stream, 10)), append([]byte{recordFormat}, p.ID...))
	if err := store.Commit(ctx, h.store, &b); err != nil {
		return p, errors.Join(err, h.ota.cfg.Blobs.Remove(context.WithoutCancel(ctx), p.ID))
	}
	return p, nil
}

// Package returns a package. The error wraps ErrUnknownPackage.
func (h *Hub) Package(ctx context.Context, id string) (ota.Package, error) {
	var p ota.Package
	e, err := h.store.Get(ctx, []byte(prefixPackage+id))
	if errors.Is(err, store.ErrNotFound) {
		return p, fmt.Errorf("%w %.64q", ErrUnknownPackage, id)
	}
	if err != nil {
		return p, err
	}
	return p, decodeJSON(e.Value, &p)
}

// Packages yields all packages, or those of a product, in the order of their ids.
func (h *Hub) Packages(ctx context.Context, product string) iter.Seq2[ota.Package, error] {
	return func(yield func(ota.Package, error) bool) {
		for e, err := range h.store.Range(ctx, []byte(prefixPackage), []byte("ota/p0")) {
			var p ota.Package
			if err == nil {
				err = decodeJSON(e.Value, &p)
			}
			if err == nil && product != "" && p.Product != product {
				continue
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// DeletePackage removes a package no campaign in memory uses. The error wraps
// ErrUnknownPackage or ErrInvalid.
func (h *Hub) DeletePackage(ctx context.Context, id string) error {
	p, err := h.Package(ctx, id)
	if err != nil {
		return err
	}
	h.ota.mu.Lock()
	for _, r := range h.ota.byProduct[p.Product] {
		if !r.over() && slices.Contains(r.rec.Packages, id) {
			h.ota.mu.Unlock()
			return fmt.Errorf("%w: campaign %s uses package %s", ErrInvalid, r.rec.ID, id)
		}
	}
	h.ota.mu.Unlock()
	var b store.Batch
	b.Delete([]byte(prefixPackage + id))
	b.Delete([]byte(prefixStream + strconv.FormatInt(p.Stream, 10)))
	if err := store.Commit(ctx, h.store, &b); err != nil {
		return err
	}
	return h.ota.cfg.Blobs.Remove(ctx, id)
}

// fileSource is what the download handler asks: packages are in the embedder's
// Blobs, configurations in the store.
type fileSource updates

// Permit implements ota.Permission: a device may fetch what an update it has not
// ended is about, and its own configuration.
func (f *fileSource) Permit(ctx context.Context, g ota.Grant) (string, error) {
	u := (*updates)(f)
	if isConfigID(g.File) {
		c, err := u.h.configByID(ctx, g.File)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ota.ErrNoBlob, err)
		}
		if c.Product != g.Device.Product || c.Device != "" && c.Device != g.Device.Name {
			return "", ota.ErrNotAllowed
		}
		return c.SHA256, nil
	}
	if p, ok := u.openPackage(g.Device, g.File); ok {
		return p.SHA256, nil
	}
	if _, err := u.h.Package(ctx, g.File); errors.Is(err, ErrUnknownPackage) {
		return "", ota.ErrNoBlob
	}
	return "", ota.ErrNotAllowed
}

// openPackage finds a package among those a device is being updated with.
func (u *updates) openPackage(id iot.DeviceID, file string) (ota.Package, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range u.byProduct[id.Product] {
		if j, ok := r.engine.Job(id.Name); ok && j.State.Open() {
			for _, p := range r.packages {
				if p.ID == file {
					return p, true
				}
			}
		}
	}
	return ota.Package{}, false
}

// Create implements ota.Blobs.
func (f *fileSource) Create(ctx context.Context, id string, r io.Reader) (int64, error) {
	return f.cfg.Blobs.Create(ctx, id, r)
}

// Remove implements ota.Blobs.
func (f *fileSource) Remove(ctx context.Context, id string) error { return f.cfg.Blobs.Remove(ctx, id) }

// Open implements ota.Blobs.
func (f *fileSource) Open(ctx context.Context, id string) (io.ReadSeekCloser, error) {
	if !isConfigID(id) {
		return f.cfg.Blobs.Open(ctx, id)
	}
	c, err := f.h.configByID(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ota.ErrNoBlob, err)
	}
	return nopCloser{strings.NewReader(string(c.Content))}, nil
}

type nopCloser struct{ io.ReadSeeker }

// Close implements io.Closer.
func (nopCloser) Close() error { return nil }
