// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
)

// The encryption without DTLS is AES-128 in CBC mode with PKCS #7 padding and one
// initial vector for everything (wire facts section 7.3): equal texts look equal,
// and nothing proves that a text was not changed but that it still means
// something. Devices that can should use DTLS.
const aesIV = "543yhjy97ae7fyfg"

var errCiphertext = errors.New("coap: ciphertext cannot be decrypted")

// seal appends the ciphertext of text to dst.
func seal(dst []byte, block cipher.Block, text []byte) []byte {
	start := len(dst)
	dst = append(dst, text...)
	for pad := aes.BlockSize - len(text)%aes.BlockSize; len(dst) < start+len(text)+pad; {
		dst = append(dst, byte(pad))
	}
	cipher.NewCBCEncrypter(block, []byte(aesIV)).CryptBlocks(dst[start:], dst[start:])
	return dst
}

// unseal decrypts text in place and returns it without padding. The error is
// errCiphertext.
func unseal(block cipher.Block, text []byte) ([]byte, error) {
	if len(text) == 0 || len(text)%aes.BlockSize != 0 {
		return nil, errCiphertext
	}
	cipher.NewCBCDecrypter(block, []byte(aesIV)).CryptBlocks(text, text)
	pad := int(text[len(text)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, errCiphertext
	}
	end := len(text) - pad
	if !bytes.Equal(text[end:], bytes.Repeat(text[len(text)-1:], pad)) {
		return nil, errCiphertext
	}
	return text[:end], nil
}
