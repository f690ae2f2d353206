// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
)

// What the vendor's SDK really sends, with the numbers of wire facts section 23.

func TestVectorsOverDTLS(t *testing.T) { // 11 and 27
	p := serve(t, hub.NoLimits(), nil)
	s := dialPSK(t, p.secure)
	in := post("/auth", "", []byte(`{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","clientId":"a1LabPk00001.lab_dev_01","sign":"f31fa81a3ded89ae5f2633a2f09f62f9"}`))
	in = with(in, option{17, "\x32"})
	in.token = "\x04\x03\x02\x01"
	a := s.ask(in)
	if expect(t, "login", a, coap.CodeContent); a.token != in.token || string(a.payload) != `{"token":"`+tokenOf(t, a)+`"}` {
		t.Errorf("answer %+v", a)
	}
	report := post("/topic/sys/a1LabPk00001/lab_dev_01/thing/deviceinfo/update", tokenOf(t, a), []byte(`{"id":"1","version":"1.0","params":[{"attrKey":"abc","attrValue":"hello"}],"method":"thing.deviceinfo.update"}`))
	report = with(report, option{17, "\x2a"})
	report.typ = non
	if a := s.ask(report); a.typ != non || a.id == s.id {
		t.Errorf("NON is answered %+v", a)
	}
}

func TestVectorsWithAES(t *testing.T) { // 12 to 15
	p := serve(t, hub.NoLimits(), func(cfg *coap.Config) { cfg.Platform = fixedKey{cfg.Platform} })
	s := p.speak(p.plain)
	a := s.ask(post("/auth", "", []byte(`{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","clientId":"a1LabPk00001.lab_dev_01","sign":"e71293ade1ea447be02bfe45db0a9a81","seq":"2787"}`)))
	var g map[string]any
	if err := json.Unmarshal(a.payload, &g); err != nil || len(g) != 3 || g["seqOffset"] != 1.0 || len(fmt.Sprint(g["random"])) != 16 {
		t.Fatalf("login: %v %s, %v", coap.Code(a.code), a.payload, err)
	}
	for n, seq := range []string{"54ec3f77eb87f5d3cb9497e22e189c0d", "167a78d0aeb2056c73b5c09374dfc089", "a873e4f8efaefe9342748f1bd9d50bb9"} {
		m := post("/topic/a1LabPk00001/lab_dev_01/user/update/", fmt.Sprint(g["token"]), unhex("56d3f9098c22b82c4a43e98cc2fa49dc10957602798def7fed90c1ff3892295d"))
		m.options = append(m.options, option{2089, string(unhex(seq))})
		if a := s.ask(m); a.code != byte(coap.CodeContent) || len(a.payload) > 0 {
			t.Errorf("%d: %v %q", n, coap.Code(a.code), a.payload)
		}
	}
	for _, m := range p.messages() {
		if m != `{"name":"hello world"}` {
			t.Errorf("kept %q", m)
		}
	}
}

// fixedKey makes the key of number 13, whatever is random.
type fixedKey struct{ coap.Platform }

func (f fixedKey) CoAPKey(ctx context.Context, id iot.DeviceID, _ string) ([]byte, error) {
	key, err := f.Platform.CoAPKey(ctx, id, "ad2b3a5eb51d64f7")
	if err == nil && !bytes.Equal(key, unhex("ef636cd5bedbc7ee60a931a14ea635d8")) {
		err = fmt.Errorf("key %x", key)
	}
	return key, err
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// TestRow31Ports: each port speaks its own language, and a client at the wrong one
// is not answered as if it were right.
func TestRow31Ports(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := p.speak(p.plain)
	expect(t, "AES", s.ask(s.symmetric(labSecret, lab).post(labPost, []byte(onePost))), coap.CodeContent)
	dialPSK(t, p.secure).logsInAndPosts("DTLS")
	if _, err := tryPSK(impatience, p.plain); err == nil {
		t.Error("DTLS where there is none")
	}
	lost := p.speak(p.secure)
	if _, err := lost.conn.Write(post("/auth", "", []byte(signed(labSecret, lab))).bytes()); err != nil {
		t.Fatal(err)
	}
	_ = lost.conn.SetReadDeadline(time.Now().Add(impatience))
	if n, err := lost.conn.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes in clear from the DTLS port", n)
	}
}

// TestRow32TokenOption is in TestCodes too: 2088 is read before 61.
func TestRow32TokenOption(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := p.speak(p.plain)
	l := s.symmetric(labSecret, lab)
	m := without(l.post(labPost, []byte(onePost)), 61)
	seq := m.options[len(m.options)-1]
	m.options = append(m.options[:len(m.options)-1], option{2088, l.token}, seq)
	a := s.ask(m)
	expect(t, "2088", a, coap.CodeContent)
	if want := `{"id":"1","code":200,`; !bytes.HasPrefix(decrypt(t, l.block, a.payload), []byte(want)) {
		t.Errorf("answer %q", decrypt(t, l.block, a.payload))
	}
}

// TestRow34PSKKeyIsText: the key is 64 characters, not the 32 bytes they stand for.
func TestRow34PSKKeyIsText(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	conn, err := net.Dial("udp", p.secure)
	if err != nil {
		t.Fatal(err)
	}
	raw := dtls.WithPSK(func([]byte) ([]byte, error) { return unhex(labKey), nil })
	if c, err := dialDTLS(impatience, conn, append(withPSK(), raw)...); err == nil {
		_ = c.Close()
		t.Error("32 bytes do")
	}
	dialPSK(t, p.secure).logsInAndPosts("64 characters")
}

// TestSequence: each number once, in about its order.
func TestSequence(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := p.speak(p.plain)
	l := s.symmetric(labSecret, lab)
	for _, tt := range []struct {
		seq  int
		want coap.Code
	}{
		{1, coap.CodeContent},
		{1, coap.CodeUnauthorized},
		{3, coap.CodeContent},
		{2, coap.CodeContent},
		{2, coap.CodeUnauthorized},
		{100, coap.CodeContent},
		{37, coap.CodeContent},
		{36, coap.CodeUnauthorized},
		{3, coap.CodeUnauthorized},
		{101, coap.CodeContent},
	} {
		l.seq = tt.seq
		expect(t, itoa(tt.seq), s.ask(l.post("/topic/a1LabPk00001/lab_dev_01/user/update", []byte(itoa(tt.seq)))), tt.want)
	}
	good := l.post(labPost, []byte(onePost))
	for name, m := range map[string]message{
		"no sequence":     without(good, 2089),
		"not decryptable": with(without(good, 2089), option{2089, "0123456789abcdef"}),
		"short sequence":  with(without(good, 2089), option{2089, "1"}),
		"no number":       with(without(good, 2089), option{2089, string(encrypt(l.block, []byte("one")))}),
		"below zero":      with(without(good, 2089), option{2089, string(encrypt(l.block, []byte("-1")))}),
		"unknown session": with(without(good, 61), option{61, "nobody"}),
	} {
		expect(t, name, s.ask(m), coap.CodeUnauthorized)
	}
	clear := good
	clear.payload = []byte(onePost)
	expect(t, "payload in clear", s.ask(clear), coap.CodeBadRequest)
	expect(t, "then right", s.ask(good), coap.CodeContent)
	if got := p.messages(); len(got) != 7 {
		t.Errorf("%d messages: %q", len(got), got)
	}
	// A name of a session is no token anywhere else.
	d := dialPSK(t, p.secure)
	expect(t, "over DTLS", d.ask(post(labPost, l.token, []byte(onePost))), coap.CodeUnauthorized)
}

// TestOTARequest: what the firmware service answers is in the response (wire facts
// section 7.7).
func TestOTARequest(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := serveHub(t, hub.Config{OTA: &hub.OTA{Blobs: ota.NewFolder(root), BaseURL: "https://iot.example.com"}}, nil)
	s := dialPSK(t, p.secure)
	token := tokenOf(t, s.ask(post("/auth", "", []byte(signed(labSecret, lab)))))
	expect(t, "inform", s.ask(post("/topic/ota/device/inform/a1LabPk00001/lab_dev_01", token, []byte(`{"id":"1","params":{"version":"app-1.0.0"}}`))), coap.CodeContent)
	if d, err := p.hub.Device(t.Context(), lab); err != nil || d.Versions["default"] != "app-1.0.0" {
		t.Errorf("version not kept: %v, %v", d.Versions, err)
	}
	a := s.ask(post("/topic/ota/device/request/a1LabPk00001/lab_dev_01", token, []byte(`{"id":"0","params":{"version":"app-1.0.0"}}`)))
	if expect(t, "nothing new", a, coap.CodeContent); bytes.Contains(a.payload, []byte(`"url"`)) {
		t.Errorf("answer %s", a.payload)
	}
	pkg, err := p.hub.UploadPackage(t.Context(), ota.Package{Product: lab.Product, Version: "app-2.0.0"}, strings.NewReader("code"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.hub.CreateCampaign(t.Context(), hub.Campaign{Product: lab.Product, Packages: []string{pkg.ID}})
	if err == nil {
		_, err = p.hub.ControlCampaign(t.Context(), c.ID, hub.StartCampaign, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	a = s.ask(post("/topic/ota/device/request/a1LabPk00001/lab_dev_01", token, []byte(`{"id":"0","params":{"version":"app-1.0.0"}}`)))
	var told struct {
		Message string
		Data    struct{ Version, URL string }
	}
	if err := json.Unmarshal(a.payload, &told); err != nil || told.Message != "success" || told.Data.Version != "app-2.0.0" || !strings.HasPrefix(told.Data.URL, "https://iot.example.com/") {
		t.Errorf("answer %v %s, %v", coap.Code(a.code), a.payload, err)
	}
}

// TestCBOR: a login in CBOR, and its answer.
func TestCBOR(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := dialPSK(t, p.secure)
	body := []byte("\xa4\x6aproductKey\x6ca1LabPk00001\x6adeviceName\x6alab_dev_01\x68clientId\x77a1LabPk00001.lab_dev_01\x64sign\x78\x20f31fa81a3ded89ae5f2633a2f09f62f9")
	in := with(without(post("/auth", "", body), 12), option{12, "\x3c"})
	a := s.ask(in)
	if expect(t, "login", a, coap.CodeContent); len(a.options) != 1 || a.options[0] != (option{12, "\x3c"}) || !bytes.HasPrefix(a.payload, []byte("\xa1\x65token\x78")) {
		t.Fatalf("answer %q, format %v", a.payload, a.options)
	}
	token := string(a.payload[9:])
	if len(token) != int(a.payload[8]) {
		t.Fatalf("token of %d characters, %d said", len(token), a.payload[8])
	}
	raw := "\xa1\x61a\x01"
	m := with(without(post("/topic/a1LabPk00001/lab_dev_01/user/update", token, []byte(raw)), 12), option{12, "\x3c"})
	expect(t, "post", s.ask(m), coap.CodeContent)
	if got := p.messages(); len(got) != 1 || got[0] != raw {
		t.Errorf("kept %q", got)
	}
	a = s.ask(with(in, option{17, "\x32"}))
	if expect(t, "JSON wanted", a, coap.CodeContent); tokenOf(t, a) == "" || a.options[0] != (option{12, "\x32"}) {
		t.Errorf("answer %q, format %v", a.payload, a.options)
	}
}

func TestTrailingNUL(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	s := dialPSK(t, p.secure)
	a := s.ask(post("/auth", "", []byte(signed(labSecret, lab)+"\x00")))
	expect(t, "login", a, coap.CodeContent)
	token := tokenOf(t, a)
	for _, tt := range [][2]string{{"{\"a\":1}\x00", `{"a":1}`}, {"\x01\x02\x00", "\x01\x02\x00"}, {"\x00", "\x00"}} {
		expect(t, "post", s.ask(post("/topic/a1LabPk00001/lab_dev_01/user/update", token, []byte(tt[0]))), coap.CodeContent)
		if got := p.messages(); got[len(got)-1] != tt[1] {
			t.Errorf("%q was kept as %q, want %q", tt[0], got[len(got)-1], tt[1])
		}
	}
}

// TestKeysAreTheDevicesOwn: numbers 13, 14 and 27, from the hub.
func TestKeysAreTheDevicesOwn(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	key, err := p.hub.CoAPKey(t.Context(), lab, "ad2b3a5eb51d64f7")
	if err != nil || hex.EncodeToString(key) != "ef636cd5bedbc7ee60a931a14ea635d8" {
		t.Errorf("key %x, %v", key, err)
	}
	for seq, want := range map[string]string{"1": "54ec3f77eb87f5d3cb9497e22e189c0d", "2": "167a78d0aeb2056c73b5c09374dfc089", "3": "a873e4f8efaefe9342748f1bd9d50bb9"} {
		got := coap.Seal(key, []byte(seq))
		if hex.EncodeToString(got) != want {
			t.Errorf("sealed %x, want %s", got, want)
		}
		if back, err := coap.Unseal(key, got); err != nil || string(back) != seq {
			t.Errorf("unsealed %q, %v", back, err)
		}
	}
	psk, err := p.hub.PSK(t.Context(), auth.PSK(labIdentity))
	if err != nil || string(psk) != labKey {
		t.Errorf("PSK %s, %v", psk, err)
	}
}

// forwarder is a NAT that may lose its memory.
type forwarder struct {
	in, server *net.UDPConn
	to         *net.UDPAddr
	client     atomic.Pointer[netip.AddrPort]
	mu         sync.Mutex
	all        sync.WaitGroup
}

func forward(t *testing.T, addr string) *forwarder {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{to: to}
	if f.in, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	f.rebind(t)
	f.all.Go(func() {
		b := make([]byte, 4096)
		for {
			n, from, err := f.in.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			f.client.Store(&from)
			f.mu.Lock()
			_, _ = f.server.Write(b[:n])
			f.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = f.in.Close()
		_ = f.server.Close()
		f.all.Wait()
	})
	return f
}

// rebind has everything come from another port, and the old one lead nowhere.
func (f *forwarder) rebind(t *testing.T) {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, f.to)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	if f.server != nil {
		_ = f.server.Close()
	}
	f.server = conn
	f.mu.Unlock()
	f.all.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			_, _ = f.in.WriteToUDPAddrPort(b[:n], *f.client.Load())
		}
	})
}

// TestConnectionID: a client whose port changes on the way keeps its session.
func TestConnectionID(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	f := forward(t, p.secure)
	conn, err := net.Dial("udp", f.in.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialDTLS(patience, conn, append(withPSK(dtls.TLS_PSK_WITH_AES_128_GCM_SHA256), dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &speaker{t: t, conn: c}
	token := tokenOf(t, s.ask(post("/auth", "", []byte(signed(labSecret, lab)))))
	for n := range 4 {
		expect(t, itoa(n), s.ask(post(labPost, token, []byte(onePost))), coap.CodeContent)
		f.rebind(t)
	}
	if got := p.messages(); len(got) != 4 {
		t.Errorf("%d messages", len(got))
	}
}
