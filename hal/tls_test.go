// SPDX-License-Identifier: Apache-2.0

package hal_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/openalink/iot/hal"
)

func selfSigned(t *testing.T, key crypto.Signer, usage x509.KeyUsage) tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     usage,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The suites LinkSDK C 4.1.0 and its elders offer, as far as Go has them.
var staticRSA = []uint16{
	tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA,
}

func TestServerTLS(t *testing.T) {
	cert := selfSigned(t, rsaKey(t), x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment)
	for _, c := range []struct {
		name     string
		lowest   uint16
		min, max uint16
		suites   []uint16
		want     uint16 // version, 0 for a refusal
	}{
		{"static RSA, TLS 1.2", 0, tls.VersionTLS12, tls.VersionTLS12, staticRSA, tls.VersionTLS12},
		{"static RSA, TLS 1.1", 0, tls.VersionTLS11, tls.VersionTLS11, staticRSA, tls.VersionTLS11},
		{"static RSA, TLS 1.0", 0, tls.VersionTLS10, tls.VersionTLS10, staticRSA, tls.VersionTLS10},
		{"one suite", 0, tls.VersionTLS10, tls.VersionTLS12, staticRSA[:1], tls.VersionTLS12},
		{"static RSA with GCM", 0, tls.VersionTLS12, tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}, tls.VersionTLS12},
		{"modern client", 0, tls.VersionTLS12, tls.VersionTLS13, nil, tls.VersionTLS13},
		{"ECDHE, TLS 1.2", 0, tls.VersionTLS12, tls.VersionTLS12, nil, tls.VersionTLS12},
		{"raised, old client", tls.VersionTLS12, tls.VersionTLS10, tls.VersionTLS11, staticRSA, 0},
		{"raised, new client", tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS12, staticRSA, tls.VersionTLS12},
		{"RC4", 0, tls.VersionTLS12, tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &tls.Config{InsecureSkipVerify: true, MinVersion: c.min, MaxVersion: c.max, CipherSuites: c.suites}
			got, err := handshake(t, hal.ServerTLS(c.lowest, cert), client)
			if got != c.want {
				t.Errorf("version %#x (%v), want %#x", got, err, c.want)
			}
		})
	}
}

// handshake returns the version agreed on.
func handshake(t *testing.T, server, client *tls.Config) (uint16, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	srv := tls.Server(b, server)
	go func() { done <- srv.Handshake() }()
	cl := tls.Client(a, client)
	if err := cl.Handshake(); err != nil {
		return 0, err
	}
	return cl.ConnectionState().Version, <-done
}

// signer is a key in a device that signs and nothing else.
type signer struct{ crypto.Signer }

func TestCheckCertificate(t *testing.T) {
	key := rsaKey(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withLeaf := selfSigned(t, key, x509.KeyUsageDigitalSignature)
	if withLeaf.Leaf, err = x509.ParseCertificate(withLeaf.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		cert tls.Certificate
		ok   bool
	}{
		{"RSA without KeyUsage", selfSigned(t, key, 0), true},
		{"RSA with keyEncipherment", selfSigned(t, key, x509.KeyUsageKeyEncipherment), true},
		{"RSA for signatures", selfSigned(t, key, x509.KeyUsageDigitalSignature), false},
		{"RSA for signatures, parsed", withLeaf, false},
		{"RSA, key only signs", selfSigned(t, signer{key}, 0), false},
		{"ECDSA", selfSigned(t, ec, 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := hal.CheckCertificate(c.cert)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, hal.ErrOldDevices) {
				t.Errorf("got %v, want ok %v", err, c.ok)
			}
		})
	}
	for _, cert := range []tls.Certificate{{}, {Certificate: [][]byte{{1, 2, 3}}}} {
		if err := hal.CheckCertificate(cert); err == nil || errors.Is(err, hal.ErrOldDevices) {
			t.Errorf("unreadable certificate: %v", err)
		}
	}
}
