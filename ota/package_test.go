// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/openalink/iot/ota"
)

func folder(t testing.TB) (*ota.Folder, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return ota.NewFolder(root), dir
}

func files(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestUpload(t *testing.T) {
	blobs, dir := folder(t)
	p, err := ota.Upload(t.Context(), blobs, ota.Package{Product: "a1Lamps0001", Version: "2.0"}, strings.NewReader("firmware"), ota.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const md5Hex = "74b5b5e9570efc5c0553bb327cd41940"
	if p.Size != 8 || p.MD5 != md5Hex || len(p.SHA256) != 64 || p.Module != "default" || p.ID == "" || p.Created.IsZero() {
		t.Errorf("uploaded %+v", p)
	}
	f, err := blobs.Open(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, _ := io.ReadAll(f); string(got) != "firmware" {
		t.Errorf("kept %q", got)
	}
	again, err := ota.Upload(t.Context(), blobs, ota.Package{Version: "2.0", Size: 8, MD5: strings.ToUpper(p.MD5), SHA256: p.SHA256}, strings.NewReader("firmware"), ota.UploadOptions{})
	if err != nil || again.ID == p.ID {
		t.Errorf("with digests given: %v", err)
	}
	if err := blobs.Remove(t.Context(), p.ID); err != nil {
		t.Error(err)
	}
	if _, err := blobs.Open(t.Context(), p.ID); !errors.Is(err, ota.ErrNoBlob) {
		t.Errorf("removed: %v", err)
	}
	if n := files(t, dir); n != 1 {
		t.Errorf("%d files", n)
	}
}

func TestUploadRefuses(t *testing.T) {
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	cut := errors.New("cut")
	good := ota.Package{Version: "2"}
	foreign := ota.Package{Product: "p", Module: "default", Version: "2", Size: 8}
	foreign.Signature, _ = ota.Sign(&foreign, stranger)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		p    ota.Package
		r    io.Reader
		o    ota.UploadOptions
		want error
	}{
		{"wrong size", nil, ota.Package{Version: "2", Size: 9}, nil, ota.UploadOptions{}, ota.ErrDigest},
		{"wrong MD5", nil, ota.Package{Version: "2", MD5: strings.Repeat("0", 32)}, nil, ota.UploadOptions{}, ota.ErrDigest},
		{"wrong SHA-256", nil, ota.Package{Version: "2", SHA256: strings.Repeat("0", 64)}, nil, ota.UploadOptions{}, ota.ErrDigest},
		{"too large", nil, good, nil, ota.UploadOptions{MaxSize: 7}, ota.ErrTooLarge},
		{"empty", nil, good, strings.NewReader(""), ota.UploadOptions{}, ota.ErrPackage},
		{"cut", nil, good, io.MultiReader(strings.NewReader("firm"), iotest.ErrReader(cut)), ota.UploadOptions{}, cut},
		{"not signed", nil, good, nil, ota.UploadOptions{Trusted: []crypto.PublicKey{public}}, ota.ErrSignature},
		{"signed by a stranger", nil, foreign, nil, ota.UploadOptions{Trusted: []crypto.PublicKey{public}}, ota.ErrSignature},
		{"no version", nil, ota.Package{}, nil, ota.UploadOptions{}, ota.ErrPackage},
		{"from itself", nil, ota.Package{Version: "2", From: "2"}, nil, ota.UploadOptions{}, ota.ErrPackage},
		{"cancelled", cancelled, good, nil, ota.UploadOptions{}, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			blobs, dir := folder(t)
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			if c.r == nil {
				c.r = strings.NewReader("firmware")
			}
			if _, err := ota.Upload(c.ctx, blobs, c.p, c.r, c.o); !errors.Is(err, c.want) {
				t.Errorf("Upload = %v, want %v", err, c.want)
			}
			if n := files(t, dir); n != 0 {
				t.Errorf("%d files stay", n)
			}
		})
	}
}

func TestSignatures(t *testing.T) {
	edPublic, ed, _ := ed25519.GenerateKey(rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := ota.Package{Product: "a1", Module: "default", Version: "2.0", Size: 8, MD5: "m", SHA256: "s"}
	trusted := []crypto.PublicKey{edPublic, &rsaKey.PublicKey}
	for _, key := range []crypto.Signer{ed, rsaKey} {
		if p.Signature, err = ota.Sign(&p, key); err != nil {
			t.Fatal(err)
		}
		if err := ota.Verify(&p, trusted); err != nil {
			t.Errorf("%T: %v", key, err)
		}
		for what, change := range map[string]func(*ota.Package){
			"product": func(p *ota.Package) { p.Product = "a2" },
			"module":  func(p *ota.Package) { p.Module = "mcu" },
			"version": func(p *ota.Package) { p.Version = "2.1" },
			"from":    func(p *ota.Package) { p.From = "1.0" },
			"size":    func(p *ota.Package) { p.Size++ },
			"md5":     func(p *ota.Package) { p.MD5 = "n" },
			"sha256":  func(p *ota.Package) { p.SHA256 = "t" },
			"none":    func(p *ota.Package) { p.Signature = "" },
			"garbage": func(p *ota.Package) { p.Signature = "!!" },
		} {
			changed := p
			change(&changed)
			if err := ota.Verify(&changed, trusted); !errors.Is(err, ota.ErrSignature) {
				t.Errorf("%T, other %s: %v", key, what, err)
			}
		}
		if err := ota.Verify(&p, nil); !errors.Is(err, ota.ErrSignature) {
			t.Errorf("no trusted key: %v", err)
		}
	}
}

func TestFolderPaths(t *testing.T) {
	blobs, _ := folder(t)
	for _, id := range []string{"", ".", "..", "../x", "a/b", `a\b`, "A", "a.part", "a\x00", strings.Repeat("a", 65)} {
		if _, err := blobs.Create(t.Context(), id, bytes.NewReader(nil)); err == nil {
			t.Errorf("Create(%q) succeeds", id)
		}
		if _, err := blobs.Open(t.Context(), id); !errors.Is(err, ota.ErrNoBlob) {
			t.Errorf("Open(%q): %v", id, err)
		}
		if err := blobs.Remove(t.Context(), id); err == nil {
			t.Errorf("Remove(%q) succeeds", id)
		}
	}
}
