// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math/big"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/party"
	"github.com/openalink/iot/store/mem"
)

func TestMain(m *testing.M) {
	if party.Role() != "" { // of BenchmarkPost
		os.Exit(party.Play(devices))
	}
	goleak.VerifyTestMain(m)
}

// lab is device A of the wire facts, section 23.
var lab = iot.DeviceID{Product: "a1LabPk00001", Name: "lab_dev_01"}

const (
	labSecret = "5f2c8b1e9a7d4c3fb0e6d1a2c4f80719"
	labPost   = "/topic/sys/a1LabPk00001/lab_dev_01/thing/event/property/post"
	onePost   = `{"id":"1","version":"1.0","params":{"a":1},"method":"thing.event.property.post"}`
)

// platform is a hub behind a server, with the lab device.
type platform struct {
	t             testing.TB
	hub           *hub.Hub
	server        *coap.Server
	plain, secure string // addresses
}

func serve(t testing.TB, limits hub.Limits, change func(*coap.Config)) *platform {
	t.Helper()
	return serveHub(t, hub.Config{Limits: &limits}, change)
}

func serveHub(t testing.TB, own hub.Config, change func(*coap.Config)) *platform {
	t.Helper()
	own.Store = mem.New()
	h, err := hub.Open(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: lab.Product}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RegisterDevice(t.Context(), hub.Device{ID: lab, Secret: auth.NewSecret(labSecret)}); err != nil {
		t.Fatal(err)
	}
	cfg := coap.Config{Platform: h, Certificates: []tls.Certificate{certificate(t)}}
	if change != nil {
		change(&cfg)
	}
	p := &platform{t: t, hub: h}
	p.server, p.plain, p.secure = listen(t, cfg)
	return p
}

// listen serves on two sockets until the test ends.
func listen(t testing.TB, cfg coap.Config) (s *coap.Server, plain, secure string) {
	t.Helper()
	s, err := coap.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan error, 2)
	addr := func(serve func(*net.UDPConn) error) string {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		go func() { ends <- serve(conn) }()
		return conn.LocalAddr().String()
	}
	plain, secure = addr(s.Serve), addr(s.ServeDTLS)
	t.Cleanup(func() {
		_ = s.Close()
		for range cap(ends) {
			if err := <-ends; !errors.Is(err, coap.ErrServerClosed) {
				t.Errorf("serve: %v", err)
			}
		}
	})
	return s, plain, secure
}

// certificate is one for 127.0.0.1.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// signed is the body of a login.
func signed(secret string, id iot.DeviceID, more ...auth.Param) string {
	params := append([]auth.Param{{Key: "clientId", Value: "c"}, {Key: "productKey", Value: id.Product}, {Key: "deviceName", Value: id.Name}}, more...)
	body := map[string]string{"sign": auth.Sign(auth.HMACMD5, auth.NewSecret(secret), params...)}
	for _, p := range params {
		body[p.Key] = p.Value
	}
	raw, _ := json.Marshal(body)
	return string(raw)
}

// speaker is a client that says whatever it likes.
type speaker struct {
	t    testing.TB
	conn net.Conn
	id   uint16
}

func (p *platform) speak(addr string) *speaker {
	p.t.Helper()
	return newSpeaker(p.t, addr)
}

func newSpeaker(t testing.TB, addr string) *speaker {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &speaker{t: t, conn: conn, id: 1000}
}

// message is a datagram taken apart or to be put together, without the library
// the server uses.
type message struct {
	typ, code byte
	id        uint16
	token     string
	options   []option
	payload   []byte
}

type option struct {
	id    int
	value string
}

const (
	con = 0
	non = 1
	ack = 2
	rst = 3
)

func (m message) bytes() []byte {
	b := []byte{1<<6 | m.typ<<4 | byte(len(m.token)), m.code, byte(m.id >> 8), byte(m.id)}
	b = append(b, m.token...)
	last := 0
	for _, o := range m.options {
		d, dx := nibble(o.id - last)
		l, lx := nibble(len(o.value))
		b = append(append(append(append(b, d<<4|l), dx...), lx...), o.value...)
		last = o.id
	}
	if len(m.payload) > 0 {
		b = append(append(b, 0xff), m.payload...)
	}
	return b
}

func nibble(n int) (byte, []byte) {
	switch {
	case n < 13:
		return byte(n), nil
	case n < 269:
		return 13, []byte{byte(n - 13)}
	}
	return 14, []byte{byte((n - 269) >> 8), byte(n - 269)}
}

// parse reads an answer, whose options are all short.
func parse(t testing.TB, b []byte) (m message) {
	t.Helper()
	if len(b) < 4 || len(b) < 4+int(b[0]&15) {
		t.Fatalf("answer of %d bytes", len(b))
	}
	m = message{typ: b[0] >> 4 & 3, code: b[1], id: uint16(b[2])<<8 | uint16(b[3])}
	n := int(b[0] & 15)
	m.token, b = string(b[4:4+n]), b[4+n:]
	for id := 0; len(b) > 0 && b[0] != 0xff; {
		n := 1 + int(b[0]&15)
		id += int(b[0] >> 4)
		m.options = append(m.options, option{id, string(b[1:n])})
		b = b[n:]
	}
	if len(b) > 0 {
		m.payload = append([]byte(nil), b[1:]...)
	}
	return m
}

// post is a request.
func post(path, token string, payload []byte) message {
	m := message{code: 2, token: "tok"}
	for segment := range strings.SplitSeq(path[1:], "/") {
		m.options = append(m.options, option{11, segment})
	}
	m.options = append(m.options, option{12, "\x32"})
	if token != "" {
		m.options = append(m.options, option{61, token})
	}
	m.payload = payload
	return m
}

// ask sends a message with a number of its own and returns the answer.
func (s *speaker) ask(m message) message {
	s.t.Helper()
	s.id++
	m.id = s.id
	return s.send(m)
}

// send sends a message as it is and returns the answer.
func (s *speaker) send(m message) message {
	s.t.Helper()
	if _, err := s.conn.Write(m.bytes()); err != nil {
		s.t.Fatal(err)
	}
	return s.receive()
}

func (s *speaker) receive() message {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, 4096)
	n, err := s.conn.Read(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return parse(s.t, b[:n])
}

// login is what a session without DTLS needs.
type login struct {
	token string
	block cipher.Block
	seq   int
}

// symmetric logs in without DTLS.
func (s *speaker) symmetric(secret string, id iot.DeviceID) *login {
	s.t.Helper()
	return s.symmetricAs("2787", secret, id)
}

// symmetricAs is symmetric with a number of choice.
func (s *speaker) symmetricAs(seq, secret string, id iot.DeviceID) *login {
	s.t.Helper()
	a := s.ask(post("/auth", "", []byte(signed(secret, id, auth.Param{Key: "seq", Value: seq}))))
	var g struct {
		Random, Token string
		SeqOffset     int
	}
	if err := json.Unmarshal(a.payload, &g); a.code != byte(coap.CodeContent) || err != nil || g.Token == "" {
		s.t.Fatalf("login: %v %s, %v", coap.Code(a.code), a.payload, err)
	}
	block, err := aes.NewCipher(auth.CoAPKey(auth.NewSecret(secret), g.Random))
	if err != nil {
		s.t.Fatal(err)
	}
	return &login{g.Token, block, g.SeqOffset}
}

// post makes the next request of a login without DTLS.
func (l *login) post(path string, payload []byte) message {
	m := post(path, l.token, nil)
	m.options = append(m.options, option{2089, string(encrypt(l.block, []byte(itoa(l.seq))))})
	if len(payload) > 0 {
		m.payload = encrypt(l.block, payload)
	}
	l.seq++
	return m
}

func (p *platform) token() string {
	p.t.Helper()
	g, err := p.hub.IssueToken(context.Background(), proof(), auth.UseRequests)
	if err != nil {
		p.t.Fatal(err)
	}
	return g.Token.Reveal()
}

func itoa(n int) string { return strconv.Itoa(n) }

// encrypt is the wire's encryption, written a second time.
func encrypt(block cipher.Block, text []byte) []byte {
	pad := 16 - len(text)%16
	text = append(append([]byte(nil), text...), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, []byte("543yhjy97ae7fyfg")).CryptBlocks(text, text)
	return text
}

func decrypt(t testing.TB, block cipher.Block, text []byte) []byte {
	t.Helper()
	if len(text) == 0 || len(text)%16 != 0 {
		t.Fatalf("ciphertext of %d bytes", len(text))
	}
	text = append([]byte(nil), text...)
	cipher.NewCBCDecrypter(block, []byte("543yhjy97ae7fyfg")).CryptBlocks(text, text)
	return text[:len(text)-int(text[len(text)-1])]
}

func proof() *hal.Proof {
	params := []auth.Param{{Key: "clientId", Value: "c"}, {Key: "productKey", Value: lab.Product}, {Key: "deviceName", Value: lab.Name}}
	return &hal.Proof{Device: lab, Method: auth.HMACMD5, Params: params, Sign: auth.Sign(auth.HMACMD5, auth.NewSecret(labSecret), params...)}
}

// messages returns what is kept of the lab device.
func (p *platform) messages() (payloads []string) {
	p.t.Helper()
	for m, err := range p.hub.Messages(p.t.Context(), hub.MessageQuery{Device: lab}) {
		if err != nil {
			p.t.Fatal(err)
		}
		payloads = append(payloads, string(m.Payload))
	}
	return payloads
}

func expect(t testing.TB, name string, a message, want coap.Code) {
	t.Helper()
	if coap.Code(a.code) != want {
		t.Errorf("%s: %v %q, want %v", name, coap.Code(a.code), a.payload, want)
	}
}

func tokenOf(t testing.TB, a message) string {
	t.Helper()
	var g struct{ Token string }
	if err := json.Unmarshal(a.payload, &g); err != nil || g.Token == "" {
		t.Fatalf("login: %v %q, %v", coap.Code(a.code), a.payload, err)
	}
	return g.Token
}
