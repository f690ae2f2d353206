// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"hash"
	"sync/atomic"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/ciphersuite"
	"github.com/pion/dtls/v3/pkg/crypto/clientcertificate"
	"github.com/pion/dtls/v3/pkg/crypto/prf"
	"github.com/pion/dtls/v3/pkg/protocol/recordlayer"
)

// pskAES128SHA is TLS_PSK_WITH_AES_128_CBC_SHA, the one suite vendor firmware
// offers (wire facts section 1 row 33). The library lacks it.
type pskAES128SHA struct {
	cbc atomic.Pointer[ciphersuite.CBC]
}

const suitePSKAES128SHA dtls.CipherSuiteID = 0x008c

var errSuite = errors.New("coap: cipher suite has no keys yet")

func customSuites() []dtls.CipherSuite { return []dtls.CipherSuite{new(pskAES128SHA)} }

func (*pskAES128SHA) String() string                          { return "TLS_PSK_WITH_AES_128_CBC_SHA" }
func (*pskAES128SHA) ID() dtls.CipherSuiteID                  { return suitePSKAES128SHA }
func (*pskAES128SHA) CertificateType() clientcertificate.Type { return 0 }
func (*pskAES128SHA) ECC() bool                               { return false }

// HashFunc is that of the handshake, which in DTLS 1.2 is SHA-256; the records'
// is SHA-1.
func (*pskAES128SHA) HashFunc() func() hash.Hash { return sha256.New }

func (*pskAES128SHA) AuthenticationType() dtls.CipherSuiteAuthenticationType {
	return dtls.CipherSuiteAuthenticationTypePreSharedKey
}

func (*pskAES128SHA) KeyExchangeAlgorithm() dtls.CipherSuiteKeyExchangeAlgorithm {
	return dtls.CipherSuiteKeyExchangeAlgorithmPsk
}

func (c *pskAES128SHA) IsInitialized() bool { return c.cbc.Load() != nil }

func (c *pskAES128SHA) Init(masterSecret, clientRandom, serverRandom []byte, isClient bool) error {
	const mac, key, iv = sha1.Size, 16, 16
	k, err := prf.GenerateEncryptionKeys(masterSecret, clientRandom, serverRandom, mac, key, iv, sha256.New)
	if err != nil {
		return err
	}
	var cbc *ciphersuite.CBC
	if isClient {
		cbc, err = ciphersuite.NewCBC(k.ClientWriteKey, k.ClientWriteIV, k.ClientMACKey, k.ServerWriteKey, k.ServerWriteIV, k.ServerMACKey, sha1.New)
	} else {
		cbc, err = ciphersuite.NewCBC(k.ServerWriteKey, k.ServerWriteIV, k.ServerMACKey, k.ClientWriteKey, k.ClientWriteIV, k.ClientMACKey, sha1.New)
	}
	if err == nil {
		c.cbc.Store(cbc)
	}
	return err
}

func (c *pskAES128SHA) Encrypt(r *recordlayer.RecordLayer, raw []byte) ([]byte, error) {
	cbc := c.cbc.Load()
	if cbc == nil {
		return nil, errSuite
	}
	return cbc.Encrypt(r, raw)
}

func (c *pskAES128SHA) Decrypt(h recordlayer.Header, raw []byte) ([]byte, error) {
	cbc := c.cbc.Load()
	if cbc == nil {
		return nil, errSuite
	}
	return cbc.Decrypt(h, raw)
}
