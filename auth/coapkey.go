// SPDX-License-Identifier: Apache-2.0

package auth

import "crypto/sha256"

// CoAPKeySize is the length of a CoAPKey in bytes.
const CoAPKeySize = 16

// CoAPKey returns the AES-128 key of a CoAP session without DTLS: the middle of
// the SHA-256 of "{DeviceSecret},{random}", where random is the text the platform
// answered the login with (wire facts, section 7.3).
func CoAPKey(secret Secret, random string) []byte {
	sum := sha256.Sum256([]byte(secret.Reveal() + "," + random))
	return sum[8 : 8+CoAPKeySize : 8+CoAPKeySize]
}
