// SPDX-License-Identifier: Apache-2.0

package hal

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// ErrOldDevices is wrapped by CheckCertificate when devices in the field could
// not connect.
var ErrOldDevices = errors.New("hal: devices that know RSA key exchange only cannot use the certificate")

// suites are those of TLS 1.0 to 1.2; the suites of TLS 1.3 are always on. The
// SDKs in the field offer nothing but RSA key exchange, which crypto/tls
// leaves out unless it is asked for (wire facts, section 1 row 1).
var suites = [...]uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

// ServerTLS returns a configuration for listeners that old and new devices can
// use: TLS 1.0 to 1.3, with RSA key exchange below 1.3. minVersion, such as
// tls.VersionTLS12, raises the lowest version; 0 means TLS 1.0. The caller may
// change the result, for example to ask for client certificates.
//
// Old devices need an RSA certificate, see CheckCertificate.
func ServerTLS(minVersion uint16, certs ...tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: certs,
		MinVersion:   max(minVersion, tls.VersionTLS10), // devices in the field know no better
		CipherSuites: slices.Clone(suites[:]),
	}
}

// CheckCertificate reports whether devices that know RSA key exchange only can
// connect to a server with this certificate: it needs an RSA key that can
// decrypt, and a KeyUsage, if it has one, with keyEncipherment. The error
// wraps ErrOldDevices or is one of parsing the certificate.
func CheckCertificate(cert tls.Certificate) error {
	leaf := cert.Leaf
	if leaf == nil {
		if len(cert.Certificate) == 0 {
			return errors.New("hal: no certificate")
		}
		var err error
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return fmt.Errorf("hal: certificate: %w", err)
		}
	}
	if leaf.PublicKeyAlgorithm != x509.RSA {
		return fmt.Errorf("%w: its key is %v, not RSA", ErrOldDevices, leaf.PublicKeyAlgorithm)
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
		return fmt.Errorf("%w: its KeyUsage lacks keyEncipherment", ErrOldDevices)
	}
	if _, ok := cert.PrivateKey.(crypto.Decrypter); !ok {
		return fmt.Errorf("%w: its private key cannot decrypt", ErrOldDevices)
	}
	return nil
}
