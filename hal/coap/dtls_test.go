// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/pion/logging"

	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
)

// labIdentity and labKey are number 27 of the wire facts, section 23.
const (
	labIdentity = "devicename|hmacsha256|a1LabPk00001&lab_dev_01|2524608000000"
	labKey      = "77726B82CB90CA198FC22F75A9F060E05C6500431B6EE2EF1C5DA515F2C620C2"
)

func silent() dtls.Option {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled
	return dtls.WithLoggerFactory(f)
}

// withPSK are the options of a client that has the lab device's key; without
// suites it speaks as vendor firmware does.
func withPSK(suites ...dtls.CipherSuiteID) []dtls.ClientOption {
	o := []dtls.ClientOption{
		silent(), dtls.WithPSK(func([]byte) ([]byte, error) { return []byte(labKey), nil }), dtls.WithPSKIdentityHint([]byte(labIdentity)),
	}
	if len(suites) > 0 {
		return append(o, dtls.WithCipherSuites(suites...))
	}
	return append(o, dtls.WithCustomCipherSuites(coap.VendorSuites))
}

// patience is how long what must succeed may take, and impatience how long what
// must not does: a handshake with the wrong key is never answered.
const (
	patience   = 10 * time.Second
	impatience = 300 * time.Millisecond
)

// dialDTLS makes a session.
func dialDTLS(patience time.Duration, conn net.Conn, options ...dtls.ClientOption) (*dtls.Conn, error) {
	c, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(conn), conn.RemoteAddr(), options...)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err = c.HandshakeContext(ctx)
	}
	if err != nil {
		_ = conn.Close()
	}
	return c, err
}

func tryPSK(wait time.Duration, addr string, suites ...dtls.CipherSuiteID) (*dtls.Conn, error) {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return nil, err
	}
	return dialDTLS(wait, conn, withPSK(suites...)...)
}

// dialPSK makes a session with the lab device's key.
func dialPSK(t testing.TB, addr string, suites ...dtls.CipherSuiteID) *speaker {
	t.Helper()
	c, err := tryPSK(patience, addr, suites...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &speaker{t: t, conn: c, id: 2000}
}

// logsInAndPosts does what every session is for.
func (s *speaker) logsInAndPosts(name string) {
	s.t.Helper()
	a := s.ask(post("/auth", "", []byte(signed(labSecret, lab))))
	expect(s.t, name+": login", a, coap.CodeContent)
	expect(s.t, name+": post", s.ask(post(labPost, tokenOf(s.t, a), []byte(onePost))), coap.CodeContent)
}

// TestRow33Suites: the suite of vendor firmware, and what others offer.
func TestRow33Suites(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	for _, suites := range [][]dtls.CipherSuiteID{
		nil,
		{dtls.TLS_PSK_WITH_AES_128_GCM_SHA256},
		{dtls.TLS_PSK_WITH_AES_128_CBC_SHA256},
		{dtls.TLS_PSK_WITH_AES_128_CCM_8},
		{dtls.TLS_PSK_WITH_AES_128_CCM},
		{dtls.TLS_PSK_WITH_CHACHA20_POLY1305_SHA256},
		{dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256},
	} {
		c, err := tryPSK(patience, p.secure, suites...)
		if err != nil {
			t.Errorf("%x: %v", suites, err)
			continue
		}
		s := &speaker{t: t, conn: c}
		s.logsInAndPosts(c.LocalAddr().String())
		_ = c.Close()
	}
}

func TestWrongKey(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	for name, change := range map[string]dtls.ClientOption{
		"key":        dtls.WithPSK(func([]byte) ([]byte, error) { return []byte("guess"), nil }),
		"identity":   dtls.WithPSKIdentityHint([]byte("devicename|hmacsha256|a1LabPk00001&nobody|1")),
		"no product": dtls.WithPSKIdentityHint([]byte("devicename|hmacsha256|nothing&nobody|1")),
		"rubbish":    dtls.WithPSKIdentityHint([]byte("x")),
	} {
		conn, err := net.Dial("udp", p.secure)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := dialDTLS(impatience, conn, append(withPSK(), change)...); err == nil {
			t.Errorf("%s: let in", name)
			_ = c.Close()
		}
	}
}

func TestServerCertificate(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	conn, err := net.Dial("udp", p.secure)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialDTLS(patience, conn, silent(), dtls.WithInsecureSkipVerify(true))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	(&speaker{t: t, conn: c}).logsInAndPosts("certificate")
}

// A device that was restarted uses the port it had, and begins anew.
func TestRestartAtTheSameAddress(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	addr, err := net.ResolveUDPAddr("udp", p.secure)
	if err != nil {
		t.Fatal(err)
	}
	var local *net.UDPAddr
	for range 3 {
		conn, err := net.DialUDP("udp", local, addr)
		if err != nil {
			t.Fatal(err)
		}
		local, _ = conn.LocalAddr().(*net.UDPAddr)
		c, err := dialDTLS(patience, conn, withPSK()...)
		if err != nil {
			t.Fatal(err)
		}
		(&speaker{t: t, conn: c}).logsInAndPosts("again")
		_ = conn.Close() // no goodbye
		_ = c.Close()
	}
}
