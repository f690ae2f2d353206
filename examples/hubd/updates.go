// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
)

// folders are where hubd keeps firmware and what devices upload.
type folders struct{ firmware, uploads *os.Root }

func openFolders(data string) (f folders, err error) {
	f.firmware, err = openFolder(data, "firmware")
	if err == nil {
		f.uploads, err = openFolder(data, "uploads")
	}
	if err != nil {
		return f, errors.Join(err, f.Close())
	}
	return f, nil
}

func openFolder(data, name string) (*os.Root, error) {
	path := filepath.Join(data, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(path)
}

// Close closes both.
func (f folders) Close() error {
	var errs []error
	for _, r := range []*os.Root{f.firmware, f.uploads} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	return errors.Join(errs...)
}

// ota is how the hub keeps firmware.
func (f folders) ota(url string) *hub.OTA {
	return &hub.OTA{Blobs: ota.NewFolder(f.firmware), BaseURL: url}
}

// withDownloads serves downloads under their path, and everything else as rest.
func withDownloads(h *hub.Hub, rest http.Handler) http.Handler {
	if h.Downloads() == nil {
		return rest
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) >= len(ota.DefaultPath) && r.URL.Path[:len(ota.DefaultPath)] == ota.DefaultPath {
			h.Downloads().ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}
