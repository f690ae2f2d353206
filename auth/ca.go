// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	iot "github.com/openalink/iot"
)

// CA issues certificates to devices. It is safe for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// NewCA makes a certificate authority with a new RSA key, which devices of every
// age can check.
func NewCA(name string, validity time.Duration) (*CA, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("auth: CA key: %w", err)
	}
	template := certTemplate(name, validity)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	template.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("auth: CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return &CA{cert, key}, err
}

func certTemplate(name string, validity time.Duration) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial) // never fails since Go 1.24
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// ParseCA reads a certificate and its key in PEM.
func ParseCA(certPEM, keyPEM []byte) (*CA, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, errors.New("auth: CA: no PEM")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("auth: CA certificate: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("auth: CA key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok || !cert.IsCA {
		return nil, errors.New("auth: CA: not the certificate and key of an authority")
	}
	return &CA{cert, signer}, nil
}

// PEM returns the certificate and the key. The key is secret.
func (ca *CA) PEM() (cert, key []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, nil, fmt.Errorf("auth: CA key: %w", err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Pool returns the roots a listener verifies clients against.
func (ca *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.cert)
	return p
}

// Issue makes the certificate of a device for its public key. The common name is
// the device's text form.
func (ca *CA) Issue(id iot.DeviceID, public crypto.PublicKey, validity time.Duration) (*x509.Certificate, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, certTemplate(id.String(), validity), ca.cert, public, ca.key)
	if err != nil {
		return nil, fmt.Errorf("auth: certificate of %v: %w", id, err)
	}
	return x509.ParseCertificate(der)
}

// String hides the key.
func (ca *CA) String() string { return "CA " + ca.cert.Subject.CommonName }

// Format implements fmt.Formatter, so that no verb shows the key.
func (ca *CA) Format(f fmt.State, _ rune) { fmt.Fprint(f, ca.String()) }

// Device returns whom the leaf names in its common name: the text form of a
// device. The error wraps ErrBadUserName.
func (c Certificate) Device() (iot.DeviceID, error) {
	if len(c) == 0 {
		return iot.DeviceID{}, fmt.Errorf("%w: no certificate", ErrBadUserName)
	}
	pk, dn, ok := strings.Cut(c[0].Subject.CommonName, "/")
	id := iot.DeviceID{Product: pk, Name: dn}
	if err := id.Validate(); !ok || err != nil {
		return iot.DeviceID{}, fmt.Errorf("%w: common name %.64q names no device", ErrBadUserName, c[0].Subject.CommonName)
	}
	return id, nil
}

// Fingerprint returns the SHA-256 of the leaf in lower-case hex, nothing without
// one.
func (c Certificate) Fingerprint() string {
	if len(c) == 0 {
		return ""
	}
	sum := sha256.Sum256(c[0].Raw)
	return hex.EncodeToString(sum[:])
}

// ParseFingerprint reads a fingerprint as tools print it: hex of either case,
// with or without colons.
func ParseFingerprint(s string) (string, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(raw) != sha256.Size || bytes.Equal(raw, make([]byte, sha256.Size)) {
		return "", errors.New("auth: not the SHA-256 fingerprint of a certificate")
	}
	return hex.EncodeToString(raw), nil
}
