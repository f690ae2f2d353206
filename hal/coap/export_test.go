// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"crypto/aes"

	"github.com/pion/dtls/v3"

	"github.com/openalink/iot/alink"
)

// VendorSuites are those of vendor firmware, for clients of tests.
func VendorSuites() []dtls.CipherSuite { return customSuites() }

// Seal encrypts a text as requests do.
func Seal(key, text []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return seal(nil, block, text)
}

// Unseal undoes Seal.
func Unseal(key, text []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return unseal(block, text)
}

// ParseCBOR reads the body of a login.
func ParseCBOR(b []byte) (alink.Signed, bool) { return parseCBOR(b) }

// Window is a window.
type Window struct{ w window }

// Take takes n if it is fresh.
func (w *Window) Take(n uint64) bool {
	if !w.w.fresh(n) {
		return false
	}
	w.w.take(n)
	return true
}
