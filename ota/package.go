// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // devices compare MD5; SHA-256 and signatures are beside it
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

// Package describes an uploaded file.
type Package struct {
	ID      string    `json:"id"` // given by Upload: lower-case letters and digits
	Product string    `json:"product"`
	Module  string    `json:"module"`
	Version string    `json:"version"`
	From    string    `json:"from,omitempty"` // of a difference: the version it starts from
	Name    string    `json:"name,omitempty"` // for people
	Size    int64     `json:"size"`
	MD5     string    `json:"md5"` // lower-case hex, as is SHA256
	SHA256  string    `json:"sha256"`
	Created time.Time `json:"created"`
	// Signature is base64 of an Ed25519 or RSA (PKCS #1 v1.5, SHA-256) signature over
	// Manifest; empty when it is not signed.
	Signature string `json:"signature,omitempty"`
	// Stream is the number of the file for downloads over MQTT.
	Stream int64 `json:"stream,string,omitempty"`
}

// DefaultMaxSize is the documented bound of a package (wire facts section 22).
const DefaultMaxSize = 1000 << 20

// The errors of an upload and of a verification.
var (
	// ErrTooLarge means that a file is larger than allowed.
	ErrTooLarge = errors.New("ota: file is too large")
	// ErrDigest means that a file has another size or digest than was said.
	ErrDigest = errors.New("ota: size or digest does not match")
	// ErrSignature means that a signature is missing, wrong, or of no trusted key.
	ErrSignature = errors.New("ota: signature does not match")
	// ErrPackage means that the description of a package is not usable.
	ErrPackage = errors.New("ota: bad package")
)

// Manifest is the text a signature is made over: lines of what must not be
// exchanged.
func (p *Package) Manifest() []byte {
	return fmt.Appendf(nil, "openalink firmware 1\nproduct %s\nmodule %s\nversion %s\nfrom %s\nsize %d\nmd5 %s\nsha256 %s\n",
		p.Product, p.Module, p.Version, p.From, p.Size, p.MD5, p.SHA256)
}

// Sign returns the signature of p by a key: an ed25519.PrivateKey or
// *rsa.PrivateKey, or a crypto.Signer of theirs in hardware.
func Sign(p *Package, key crypto.Signer) (string, error) {
	text, opts := p.Manifest(), crypto.SignerOpts(crypto.Hash(0))
	if _, isRSA := key.Public().(*rsa.PublicKey); isRSA {
		sum := sha256.Sum256(text)
		text, opts = sum[:], crypto.SHA256
	}
	sig, err := key.Sign(rand.Reader, text, opts)
	if err != nil {
		return "", fmt.Errorf("ota: sign: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}

// Verify checks the signature of p against the trusted keys, ed25519.PublicKey or
// *rsa.PublicKey: one must have made it. The error is ErrSignature.
func Verify(p *Package, trusted []crypto.PublicKey) error {
	sig, err := base64.StdEncoding.DecodeString(p.Signature)
	if err != nil || len(sig) == 0 {
		return fmt.Errorf("%w: package of version %s is not signed", ErrSignature, p.Version)
	}
	text := p.Manifest()
	sum := sha256.Sum256(text)
	for _, key := range trusted {
		switch key := key.(type) {
		case ed25519.PublicKey:
			if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, text, sig) {
				return nil
			}
		case *rsa.PublicKey:
			if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: version %s, no trusted key of %d made it", ErrSignature, p.Version, len(trusted))
}

// Describe reads a file and returns p with size and digests filled in: what a
// build signs before it uploads. An empty module is DefaultModule. What p says
// must be so; the error wraps ErrDigest or ErrPackage, or is that of r.
func Describe(p Package, r io.Reader) (Package, error) {
	if p.Module == "" {
		p.Module = DefaultModule
	}
	d := newDigests()
	size, err := io.Copy(d, r)
	if err == nil {
		err = p.fill(size, d)
	}
	return p, err
}

// UploadOptions say what Upload insists on.
type UploadOptions struct {
	// MaxSize is the largest file; zero is DefaultMaxSize.
	MaxSize int64
	// Trusted are the keys one of which must have signed; nil takes what is not
	// signed too, and does not look at signatures.
	Trusted []crypto.PublicKey
}

// Upload streams a file into blobs and returns p with ID, Size, digests and
// Created filled in. What p says about size, digests and signature must be so;
// otherwise nothing is kept and the error wraps ErrDigest, ErrSignature,
// ErrTooLarge or ErrPackage. The memory used does not depend on the size.
func Upload(ctx context.Context, blobs Blobs, p Package, r io.Reader, o UploadOptions) (Package, error) {
	if p.Module == "" {
		p.Module = DefaultModule
	}
	if !ValidVersion(p.Version) || !ValidModule(p.Module) || p.From != "" && !ValidVersion(p.From) || p.From == p.Version {
		return Package{}, fmt.Errorf("%w: version %.80q of module %.80q from %.80q", ErrPackage, p.Version, p.Module, p.From)
	}
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	p.ID, p.Created = strings.ToLower(rand.Text()), time.Now().UTC().Truncate(time.Millisecond)
	d := newDigests()
	size, err := blobs.Create(ctx, p.ID, io.TeeReader(&bounded{r: r, left: o.MaxSize}, d))
	if err != nil {
		return Package{}, fmt.Errorf("ota: upload: %w", err)
	}
	if err = p.fill(size, d); err == nil && o.Trusted != nil {
		err = Verify(&p, o.Trusted)
	}
	if err != nil {
		return Package{}, errors.Join(err, blobs.Remove(context.WithoutCancel(ctx), p.ID))
	}
	return p, nil
}

// fill writes size and digests into p, or says what p has otherwise.
func (p *Package) fill(size int64, d *digests) error {
	md5Hex, shaHex := d.hex()
	switch {
	case size == 0:
		return fmt.Errorf("%w: the file is empty", ErrPackage)
	case p.Size != 0 && p.Size != size:
		return fmt.Errorf("%w: %d bytes, not %d", ErrDigest, size, p.Size)
	case p.MD5 != "" && !strings.EqualFold(p.MD5, md5Hex):
		return fmt.Errorf("%w: MD5 is %s", ErrDigest, md5Hex)
	case p.SHA256 != "" && !strings.EqualFold(p.SHA256, shaHex):
		return fmt.Errorf("%w: SHA-256 is %s", ErrDigest, shaHex)
	}
	p.Size, p.MD5, p.SHA256 = size, md5Hex, shaHex
	return nil
}

// digests computes both at once.
type digests struct{ md5, sha hash.Hash }

func newDigests() *digests { return &digests{md5.New(), sha256.New()} } //nolint:gosec // see the import

// Write implements io.Writer.
func (d *digests) Write(b []byte) (int, error) {
	d.md5.Write(b)
	return d.sha.Write(b)
}

func (d *digests) hex() (md5Hex, shaHex string) {
	return hex.EncodeToString(d.md5.Sum(nil)), hex.EncodeToString(d.sha.Sum(nil))
}

// bounded fails instead of reading more than is left.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
