// SPDX-License-Identifier: Apache-2.0

package mqttd_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/mqttd"
)

// device makes a certificate of a device, signed by ca unless that is nil.
func deviceCert(t *testing.T, name string, ca *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		IsCA:         ca == nil, BasicConstraintsValid: true,
	}
	parent, signer := tmpl, any(key)
	if ca != nil {
		if parent, err = x509.ParseCertificate(ca.Certificate[0]); err != nil {
			t.Fatal(err)
		}
		signer = ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestClientCertificate: a verified certificate is the credential, whatever
// password comes with it; one that nobody verified is not.
func TestClientCertificate(t *testing.T) {
	ca := deviceCert(t, "ca", nil)
	cert := deviceCert(t, "device", &ca)
	root, err := x509.ParseCertificate(ca.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	for _, c := range []struct {
		name     string
		auth     tls.ClientAuthType
		show     []tls.Certificate
		verified bool
	}{
		{"verified", tls.VerifyClientCertIfGiven, []tls.Certificate{cert}, true},
		{"none shown", tls.VerifyClientCertIfGiven, nil, false},
		{"not verified", tls.RequestClientCert, []tls.Certificate{cert}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := new(haltest.FakeAccess)
			s := newServer(t, a)
			defer s.Close()
			cfg := hal.ServerTLS(0, serverKey())
			cfg.ClientAuth, cfg.ClientCAs = c.auth, roots
			l := listen(t)
			wait := serve(t, s, tls.NewListener(l, cfg))
			defer wait()
			defer s.Close()

			client := clientTLS()
			client.Certificates = c.show
			nc, err := tls.Dial("tcp", l.Addr().String(), client)
			if err != nil {
				t.Fatal(err)
			}
			newPeer(t, nc).connect()
			r := a.Next(t).Request
			if r.TLS == nil || !r.TLS.HandshakeComplete {
				t.Error("TLS state is missing")
			}
			chain, ok := r.Credential.(auth.Certificate)
			if ok != c.verified {
				t.Fatalf("credential is a %T", r.Credential)
			}
			if ok && chain[0].Subject.CommonName != "device" {
				t.Errorf("certificate is of %q", chain[0].Subject.CommonName)
			}
		})
	}
}

// pskConn stands for a connection secured by other means than crypto/tls.
type pskConn struct{ net.Conn }

func (pskConn) PSKIdentity() string { return "identity" }

// wrapped hides the abilities of a connection, but says where they are.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

func TestPSK(t *testing.T) {
	a := new(haltest.FakeAccess)
	s, err := mqttd.New(mqttd.Config{Access: a})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ours, theirs := mem.Pipe(4096)
	s.ServeConn(wrapped{pskConn{theirs}})
	newPeer(t, ours).connect()
	if got := a.Next(t).Request.Credential; got != auth.PSK("identity") {
		t.Errorf("credential is %v, want the PSK", got)
	}
}

// TestNoTLS: bytes that are no handshake end the connection.
func TestNoTLS(t *testing.T) {
	a := new(haltest.FakeAccess)
	s, l := newServer(t, a), listen(t)
	wait := serve(t, s, tls.NewListener(l, serverTLS()))
	defer wait()
	defer s.Close()
	p := dialTCP(t, l.Addr().String())
	p.send(connectPacket())
	p.expectEnd()
	if a.Asked() > 0 {
		t.Error("the platform was asked")
	}
}
