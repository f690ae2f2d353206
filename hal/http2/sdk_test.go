// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	frames "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"pgregory.net/rapid"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/hal/sniff"
	"github.com/openalink/iot/hub"
)

// sdk speaks as the C SDK was recorded (wire facts section 8.1): HTTP/2 inside TLS
// 1.2 with a suite of its own time, without ALPN, no authority, DATA of 10240 bytes
// and no END_STREAM.
type sdk struct {
	tb     fataler
	nc     net.Conn
	f      *frames.Framer
	block  bytes.Buffer
	enc    *hpack.Encoder
	next   uint32
	conn   int64            // what may be sent on the connection
	stream int64            // and on the stream now
	first  int64            // and on a new stream
	acks   int              // of PING
	resets map[uint32]error // streams the server reset before it answered
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

func dialSDK(tb fataler, addr string) *sdk {
	tb.Helper()
	nc, err := tls.Dial("tcp", addr, &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA256},
	})
	if err != nil {
		tb.Fatalf("TLS: %v", err)
	}
	s := &sdk{tb: tb, nc: nc, f: frames.NewFramer(nc, nc), next: 1, conn: 65535, first: 65535, resets: map[uint32]error{}}
	s.enc = hpack.NewEncoder(&s.block)
	s.f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = io.WriteString(nc, frames.ClientPreface)
	if err := errors.Join(err, s.f.WriteSettings(), s.f.WritePing(false, [8]byte{})); err != nil {
		tb.Fatalf("preface: %v", err)
	}
	return s
}

// frame reads and does what every client does. It returns the answer's headers when
// they came.
func (s *sdk) frame() (stream uint32, answer map[string]string, err error) {
	_ = s.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	f, err := s.f.ReadFrame()
	if err != nil {
		return 0, nil, err
	}
	switch f := f.(type) {
	case *frames.SettingsFrame:
		if f.IsAck() {
			break
		}
		if v, ok := f.Value(frames.SettingInitialWindowSize); ok {
			s.first = int64(v)
		}
		err = s.f.WriteSettingsAck()
	case *frames.PingFrame:
		if f.IsAck() {
			s.acks++
		}
	case *frames.WindowUpdateFrame:
		if f.StreamID == 0 {
			s.conn += int64(f.Increment)
		} else {
			s.stream += int64(f.Increment)
		}
	case *frames.MetaHeadersFrame:
		answer = map[string]string{}
		for _, h := range f.Fields {
			answer[h.Name] = h.Value
		}
		return f.StreamID, answer, nil
	case *frames.RSTStreamFrame:
		s.resets[f.StreamID] = fmt.Errorf("stream reset: %v", f.ErrCode)
	case *frames.GoAwayFrame:
		err = fmt.Errorf("GOAWAY %v", f.ErrCode)
	}
	return 0, nil, err
}

// head sends the headers of a request.
func (s *sdk) head(method, path string, end bool, headers ...string) uint32 {
	s.tb.Helper()
	s.block.Reset()
	headers = append([]string{":method", method, ":path", path, ":scheme", "https"}, headers...)
	headers = append(headers, "x-sdk-version", "320", "x-sdk-version-name", "3.2.0", "x-sdk-platform", "c")
	for i := 0; i < len(headers); i += 2 {
		_ = s.enc.WriteField(hpack.HeaderField{Name: headers[i], Value: headers[i+1]})
	}
	id := s.next
	s.next += 2
	s.stream = s.first
	if err := s.f.WriteHeaders(frames.HeadersFrameParam{StreamID: id, BlockFragment: s.block.Bytes(), EndHeaders: true, EndStream: end}); err != nil {
		s.tb.Fatalf("headers: %v", err)
	}
	return id
}

// data sends bytes as windows allow, and never the end of the stream.
func (s *sdk) data(id uint32, b []byte) error {
	for len(b) > 0 {
		n := min(10240, len(b))
		for s.conn < int64(n) || s.stream < int64(n) {
			if _, _, err := s.frame(); err != nil {
				return err
			}
			if err := s.resets[id]; err != nil {
				return err
			}
		}
		if err := s.f.WriteData(id, false, b[:n]); err != nil {
			return err
		}
		s.conn, s.stream, b = s.conn-int64(n), s.stream-int64(n), b[n:]
	}
	return nil
}

// answer waits for the headers of an answer.
func (s *sdk) answer(id uint32) map[string]string {
	s.tb.Helper()
	for {
		stream, headers, err := s.frame()
		if err == nil {
			err = s.resets[id]
		}
		if err != nil {
			s.tb.Fatalf("stream %d: %v", id, err)
		}
		if stream == id && headers != nil {
			return headers
		}
	}
}

const uploadPath = "c/iot/sys/thing/file/upload"

// open opens a data stream as a device.
func (s *sdk) open(service string, id iot.DeviceID, secret string, more ...string) map[string]string {
	s.tb.Helper()
	client := id.Product + "." + id.Name
	sign := auth.Sign(auth.HMACSHA1, auth.NewSecret(secret), auth.Param{Key: "clientId", Value: client},
		auth.Param{Key: "deviceName", Value: id.Name}, auth.Param{Key: "productKey", Value: id.Product})
	return s.answer(s.head("POST", "/stream/open/"+service, true, append([]string{
		"x-auth-name", "devicename", "x-auth-param-client-id", client, "x-auth-param-signmethod", "hmacsha1",
		"x-auth-param-product-key", id.Product, "x-auth-param-device-name", id.Name, "x-auth-param-sign", sign, "content-length", "0",
	}, more...)...))
}

// send sends a part and waits for its answer.
func (s *sdk) send(open map[string]string, part []byte) map[string]string {
	s.tb.Helper()
	id := s.head("POST", "/stream/send/"+uploadPath, false, "content-length", strconv.Itoa(len(part)),
		"x-data-stream-id", open["x-data-stream-id"], "x-file-upload-id", open["x-file-upload-id"])
	if err := s.data(id, part); err != nil {
		s.tb.Fatalf("data: %v", err)
	}
	return s.answer(id)
}

func (s *sdk) close(service string, open map[string]string) map[string]string {
	s.tb.Helper()
	return s.answer(s.head("POST", "/stream/close/"+service, true, "x-data-stream-id", open["x-data-stream-id"]))
}

// expect checks the headers that the SDK waits for, and others.
func (s *sdk) expect(what string, got map[string]string, status int, more ...string) {
	s.tb.Helper()
	want := append([]string{":status", strconv.Itoa(status), "x-response-status", strconv.Itoa(status)}, more...)
	for i := 0; i < len(want); i += 2 {
		if got[want[i]] != want[i+1] {
			s.tb.Errorf("%s: %s is %q, want %q: %v", what, want[i], got[want[i]], want[i+1], got)
		}
	}
	if got["x-data-stream-id"] == "" {
		s.tb.Errorf("%s: no x-data-stream-id: the SDK waits 10 s for it: %v", what, got)
	}
}

// secured serves the platform as hubd -https does and returns the address.
func (p *platform) secured() string {
	p.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	cfg := hal.ServerTLS(0, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	cfg.NextProtos = []string{"h2", "http/1.1", "http/1.0"}
	s, err := sniff.New(sniff.Config{HTTP: p.handler, TLS: cfg, Secure: true})
	if err != nil {
		p.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	p.t.Cleanup(func() {
		_, _ = p.handler.Close(), s.Close()
		if err := <-ended; !errors.Is(err, sniff.ErrServerClosed) {
			p.t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// TestRow40UploadOfTheSDK is row 40 of wire facts section 1 and the recording of
// section 8.1, with the signature of section 23 number 28.
func TestRow40UploadOfTheSDK(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	fs := iot.DeviceID{Product: "a1IgnOND7vI", Name: "H2_FS01"}
	if _, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: fs.Product}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: fs, Secret: auth.NewSecret("r9XSyeZOu6swgV8etCcCGmgQhBSpGBau")}); err != nil {
		t.Fatal(err)
	}
	s := dialSDK(t, p.secured())
	defer s.nc.Close()
	open := s.answer(s.head("POST", "/stream/open/"+uploadPath, true,
		"x-auth-name", "devicename", "x-auth-param-client-id", "a1IgnOND7vI.H2_FS01", "x-auth-param-signmethod", "hmacsha1",
		"x-auth-param-product-key", "a1IgnOND7vI", "x-auth-param-device-name", "H2_FS01",
		"x-auth-param-sign", "8d6b80749ed63823dc16b2c1e7f049bbdd00bf2b", "content-length", "0", "x-file-name", "upload1M", "x-file-overwrite", "1"))
	s.expect("open", open, 200, "x-next-append-position", "0")
	if id := open["x-file-upload-id"]; id == "" || len(id) > 39 {
		t.Errorf("upload id %q does not fit the SDK", id)
	}
	file := make([]byte, 3<<20)
	if _, err := rand.Read(file); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(file); at += 1 << 20 {
		s.expect("send", s.send(open, file[at:at+1<<20]), 200, "x-next-append-position", strconv.Itoa(at+1<<20), "x-data-stream-id", open["x-data-stream-id"])
	}
	sum := strconv.FormatInt(int64(crc64.Checksum(file, crc64.MakeTable(crc64.ECMA))), 10)
	s.expect("close", s.close(uploadPath, open), 200, "x-file-crc64ecma", sum, "x-file-store-id", "a1IgnOND7vI/H2_FS01/upload1M")
	if s.acks != 1 {
		t.Errorf("%d answers to one PING", s.acks)
	}
	got, err := os.ReadFile(filepath.Join(p.folder, "a1IgnOND7vI/H2_FS01/upload1M"))
	if err != nil || !bytes.Equal(got, file) {
		t.Errorf("file of %d bytes, %v, is not what was sent", len(got), err)
	}
	if d, err := p.hub.Device(t.Context(), fs); err != nil || d.Activated.IsZero() {
		t.Errorf("not activated: %v", err)
	}
	s.expect("closed twice", s.close(uploadPath, open), 404)
}

// TestUploadRefused provokes what the SDK knows: it fails at once.
func TestUploadRefused(t *testing.T) {
	p := serve(t, hub.NoLimits(), func(cfg *http2.Config) { cfg.MaxFile = 1000 })
	s := dialSDK(t, p.secured())
	defer s.nc.Close()
	s.expect("secret", s.open(uploadPath, lab, "wrong", "x-file-name", "a"), 401)
	s.expect("device", s.open(uploadPath, iot.DeviceID{Product: lab.Product, Name: "nobody"}, labSecret, "x-file-name", "a"), 401)
	s.expect("login", s.answer(s.head("POST", "/stream/open/"+uploadPath, true, "x-auth-name", "token")), 401)
	s.expect("service", s.open("iotx/vision/voice/intercom/live", lab, labSecret), 404)
	for _, name := range []string{"", "../a", "a/b", `a\b`, ".a", "..", strings.Repeat("a", 101)} {
		s.expect("name "+name, s.open(uploadPath, lab, labSecret, "x-file-name", name), 400)
	}
	s.expect("resume", s.open(uploadPath, lab, labSecret, "x-file-upload-id", "UL1"), 404)
	s.expect("resume", s.open(uploadPath, lab, labSecret, "x-file-upload-id", "../UL1"), 404)
	open := s.open(uploadPath, lab, labSecret, "x-file-name", "a")
	s.expect("part", s.send(open, make([]byte, 600)), 200, "x-next-append-position", "600")
	s.expect("too long", s.send(open, make([]byte, 401)), 413)
	s.expect("position", s.answer(s.head("GET", "/stream/send/"+uploadPath, true, "x-data-stream-id", open["x-data-stream-id"])), 200, "x-next-append-position", "600")
	s.expect("close", s.close(uploadPath, open), 200)
	s.expect("exists", s.open(uploadPath, lab, labSecret, "x-file-name", "a", "x-file-overwrite", "0"), 409)
	open = s.open(uploadPath, lab, labSecret, "x-file-name", "a", "x-file-overwrite", "1")
	s.expect("overwrite", open, 200)
	if _, err := p.hub.DisableDevice(t.Context(), lab); err != nil {
		t.Fatal(err)
	}
	s.expect("disabled", s.send(open, make([]byte, 10)), 403)
	s.expect("disabled", s.open(uploadPath, lab, labSecret, "x-file-name", "a"), 403)
}

// An upload that is cut off anywhere and goes on gives the same bytes.
func TestUploadResumes(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	addr := p.secured()
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "file")
		file = bytes.Repeat(file, rapid.IntRange(1, 1000).Draw(t, "times"))
		part := rapid.IntRange(1000, 100_000).Draw(t, "part")
		s := dialSDK(t, addr)
		defer func() { s.nc.Close() }()
		open := s.open(uploadPath, lab, labSecret, "x-file-name", "f", "x-file-overwrite", "1")
		s.expect("open", open, 200)
		upload, sure := open["x-file-upload-id"], 0
		for cuts := rapid.IntRange(0, 4).Draw(t, "cuts"); ; cuts-- {
			at, err := strconv.Atoi(open["x-next-append-position"])
			if err != nil || at < sure || at > len(file) {
				t.Fatalf("position %v, %d were answered", open, sure)
			}
			if cuts == 0 {
				for ; at < len(file); at = min(at+part, len(file)) {
					end := min(at+part, len(file))
					s.expect("send", s.send(open, file[at:end]), 200, "x-next-append-position", strconv.Itoa(end))
				}
				break
			}
			n := min(part, len(file)-at)
			some := rapid.IntRange(0, n).Draw(t, "some")
			id := s.head("POST", "/stream/send/"+uploadPath, false, "content-length", strconv.Itoa(n),
				"x-data-stream-id", open["x-data-stream-id"], "x-file-upload-id", upload)
			if err := s.data(id, file[at:at+some]); err != nil {
				t.Fatalf("data: %v", err)
			}
			if some == n {
				s.expect("send", s.answer(id), 200)
				sure = at + n
			}
			switch rapid.SampledFrom([]string{"connection", "stream", "nothing", "close"}).Draw(t, "what ends") {
			case "connection":
				s.nc.Close()
				s = dialSDK(t, addr)
			case "stream":
				_ = s.f.WriteRSTStream(id, frames.ErrCodeNo)
			case "nothing": // a new connection while the old one hangs
				old := s.nc
				defer old.Close()
				s = dialSDK(t, addr)
			case "close":
				if some == n { // as the SDK does with a length of its own
					s.expect("close", s.close(uploadPath, open), 200)
				}
			}
			open = s.open(uploadPath, lab, labSecret, "x-file-upload-id", upload)
			s.expect("resume", open, 200, "x-file-upload-id", upload)
		}
		sum := strconv.FormatInt(int64(crc64.Checksum(file, crc64.MakeTable(crc64.ECMA))), 10)
		s.expect("close", s.close(uploadPath, open), 200, "x-file-crc64ecma", sum)
		got, err := os.ReadFile(filepath.Join(p.folder, lab.Product, lab.Name, "f"))
		if err != nil || !bytes.Equal(got, file) {
			t.Fatalf("%d bytes, %v, want %d", len(got), err, len(file))
		}
	})
}
