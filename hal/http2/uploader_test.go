// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hub"
)

// shaky is a network whose connections break after some bytes.
type shaky struct{ after int }

func (s *shaky) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &shakyConn{nc, s}, nil
}

type shakyConn struct {
	net.Conn
	s *shaky
}

func (c *shakyConn) Write(b []byte) (int, error) {
	if c.s.after -= len(b); c.s.after < 0 {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func TestUploader(t *testing.T) {
	p := serve(t, hub.NoLimits(), func(cfg *http2.Config) { cfg.Blobs.(*http2.Folder).MaxFiles = 1 })
	lines := &shaky{after: 1 << 30}
	u := &http2.Uploader{URL: p.url(), Net: lines, Device: lab, Secret: auth.NewSecret(labSecret), Part: 100_000}
	file := bytes.Repeat([]byte("some bytes\n"), 100_000)
	upload := func(name string, o http2.UploadOptions) (http2.Stored, error) {
		return u.Upload(t.Context(), name, bytes.NewReader(file), int64(len(file)), o)
	}
	holds := func(name string) {
		t.Helper()
		if got, err := os.ReadFile(filepath.Join(p.folder, lab.Product, lab.Name, name)); err != nil || !bytes.Equal(got, file) {
			t.Errorf("%s holds %d bytes, %v", name, len(got), err)
		}
	}
	if s, err := upload("a", http2.UploadOptions{}); err != nil || s.Size != int64(len(file)) || s.ID != "a1LabPk00001/lab_dev_01/a" {
		t.Errorf("stored %+v, %v", s, err)
	}
	holds("a")
	if _, err := upload("a", http2.UploadOptions{}); !errors.Is(err, http2.ErrExists) {
		t.Errorf("there is one: %v", err)
	}
	for name, want := range map[string]error{"../a": http2.ErrFileName, strings.Repeat("a", 101): http2.ErrFileName} {
		if _, err := upload(name, http2.UploadOptions{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if _, err := upload("", http2.UploadOptions{Resume: "UL1"}); !errors.Is(err, http2.ErrNoUpload) {
		t.Errorf("no upload: %v", err)
	}
	if _, err := upload("second", http2.UploadOptions{}); !errors.Is(err, http2.ErrTooManyFiles) {
		t.Errorf("one more than it may have: %v", err)
	}
	tries, o := 0, http2.UploadOptions{Overwrite: true}
	for ; ; tries++ {
		lines.after = 300_000
		_, err := upload("a", o)
		if err == nil {
			break
		}
		e, ok := errors.AsType[*http2.UploadError](err)
		if !ok || tries > 20 {
			t.Fatalf("try %d: %v", tries, err)
		}
		o.Resume = e.ID
	}
	holds("a")
	if tries < 3 {
		t.Errorf("%d tries for 1.1 MB, 300 KB at once", tries)
	}
	lines.after = 1 << 30
	u.Secret = auth.NewSecret("wrong")
	_, err := upload("b", http2.UploadOptions{})
	if refused, ok := errors.AsType[*hal.RefusedError](err); !ok || refused.Reason != hal.BadCredentials {
		t.Errorf("wrong secret: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Upload(ctx, "b", bytes.NewReader(file), 5, http2.UploadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
