// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"time"

	"github.com/openalink/iot/hal"
)

// secure makes l speak TLS 1.2 with an RSA certificate of its own.
func secure(l net.Listener) (net.Listener, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cfg := hal.ServerTLS(tls.VersionTLS12, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	cfg.MaxVersion = tls.VersionTLS12
	return tls.NewListener(l, cfg), nil
}
