// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/internal/bar"
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
	t   testing.TB
	hub *hub.Hub
	web *httptest.Server
}

func serve(t testing.TB, limits hub.Limits, change func(*https.Config)) *platform {
	t.Helper()
	h, err := hub.Open(t.Context(), hub.Config{Store: mem.New(), Limits: &limits})
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
	cfg := https.Config{Platform: h}
	if change != nil {
		change(&cfg)
	}
	handler, err := https.NewHandler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, hub: h, web: httptest.NewServer(handler)}
	t.Cleanup(p.web.Close)
	return p
}

// answer is what a device reads.
type answer struct {
	Code    https.Code
	Message string
	Info    struct {
		Token     string
		MessageID int64
		Data      []byte
	}
	raw string
}

// do sends a request; bodies are answered with HTTP 200 and JSON, always.
func (p *platform) do(r *http.Request) answer {
	p.t.Helper()
	resp, err := p.web.Client().Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %s: %q, %v", r.Method, r.URL.Path, resp.Status, raw, err)
	}
	a.raw = string(raw)
	return a
}

func (p *platform) post(path, token string, body []byte) answer {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.web.URL+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("password", token)
	}
	return p.do(r)
}

// signed is the body of a login.
func signed(secret string, id iot.DeviceID, more ...auth.Param) string {
	params := append([]auth.Param{{Key: "clientId", Value: "c"}, {Key: "productKey", Value: id.Product}, {Key: "deviceName", Value: id.Name}}, more...)
	body := map[string]string{"version": "default", "signmethod": "hmacsha1", "sign": auth.Sign(auth.HMACSHA1, auth.NewSecret(secret), params...)}
	for _, p := range params {
		body[p.Key] = p.Value
	}
	raw, _ := json.Marshal(body)
	return string(raw)
}

func (p *platform) token() string {
	p.t.Helper()
	a := p.post("/auth", "", []byte(signed(labSecret, lab)))
	if a.Code != https.CodeOK || a.Info.Token == "" {
		p.t.Fatalf("login: %s", a.raw)
	}
	return a.Info.Token
}

func (p *platform) expect(name string, a answer, want https.Code) {
	p.t.Helper()
	if a.Code != want || a.Message != want.String() {
		p.t.Errorf("%s: %s, want code %d", name, a.raw, want)
	}
}

// What the SDKs really send, with the signatures of wire facts section 23 numbers
// 9 and 10: C3 with a blank behind the first comma, L4 with a query.
func TestVectors(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	if _, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: "a1KqSriAwh0"}); err != nil {
		t.Fatal(err)
	}
	c3 := iot.DeviceID{Product: "a1KqSriAwh0", Name: "basic_test_01"}
	if _, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: c3, Secret: auth.NewSecret("5gme06iFl3W1g8non2ksVs5e8Qlus4Hw")}); err != nil {
		t.Fatal(err)
	}
	a := p.post("/auth?_v=sdk-c-4.1.0&lan=C", "", []byte(`{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","clientId":"a1LabPk00001.lab_dev_01","signmethod":"hmacsha256","sign":"330269C13217615789E02799FE2B56EF55A70633ABFFF164ACE75D2E9F866FE5"}`))
	p.expect("L4", a, https.CodeOK)
	a = p.post("/auth", "", []byte(`{"version":"default", "clientId":"a1KqSriAwh0.basic_test_01","signmethod":"hmacsha1","sign":"76913d145fc41cc36d7719f43d87fc817fd1331a","productKey":"a1KqSriAwh0","deviceName":"basic_test_01"}`))
	p.expect("C3", a, https.CodeOK)
	for _, path := range []string{"sys/a1KqSriAwh0/basic_test_01/thing/deviceinfo/update", "ota/device/inform/a1KqSriAwh0/basic_test_01", "a1KqSriAwh0/basic_test_01/user/update"} {
		body := `{"id":"1","version":"1.0","params":[{"attrKey":"abc","attrValue":"hello"}],"method":"thing.deviceinfo.update"}`
		if strings.HasPrefix(path, "ota") {
			body = `{"id":"1","params":{"version":"app-1.0.0"}}`
		}
		got := p.post("/topic/"+path, a.Info.Token, []byte(body))
		if p.expect(path, got, https.CodeOK); got.Info.MessageID == 0 {
			t.Errorf("%s: no message id: %s", path, got.raw)
		}
	}
	if d, err := p.hub.Device(t.Context(), c3); err != nil || d.Versions["default"] != "app-1.0.0" {
		t.Errorf("version not kept: %v, %v", d.Versions, err)
	}
}

func TestReplyIsInTheResponse(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	a := p.post(labPost, p.token(), []byte(onePost))
	if want := `{"id":"1","code":200,"message":"success","version":"1.0","method":"thing.event.property.post","data":{}}`; string(a.Info.Data) != want {
		t.Errorf("data %s, want %s", a.Info.Data, want)
	}
	if want := fmt.Sprintf(`{"code":0,"message":"success","info":{"messageId":%d,"data":"`, a.Info.MessageID); !strings.HasPrefix(a.raw, want) {
		t.Errorf("answer %s", a.raw)
	}
}

func TestRow16TimestampOnlyWhenPresent(t *testing.T) {
	at := func(offset time.Duration) []byte {
		return []byte(signed(labSecret, lab, auth.Param{Key: "timestamp", Value: fmt.Sprint(time.Now().Add(offset).UnixMilli())}))
	}
	p := serve(t, hub.NoLimits(), nil)
	p.expect("none", p.post("/auth", "", []byte(signed(labSecret, lab))), https.CodeOK)
	p.expect("fresh", p.post("/auth", "", at(-14*time.Minute)), https.CodeOK)
	p.expect("old", p.post("/auth", "", at(-16*time.Minute)), https.CodeParam)
	p.expect("to come", p.post("/auth", "", at(16*time.Minute)), https.CodeParam)
	p = serve(t, hub.NoLimits(), func(cfg *https.Config) { cfg.TimestampWindow = -1 })
	p.expect("any", p.post("/auth", "", []byte(signed(labSecret, lab, auth.Param{Key: "timestamp", Value: "2524608000000"}))), https.CodeOK)
}

func TestRow27LowerCaseKeys(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	login := p.post("/auth", "", []byte(signed(labSecret, lab)))
	if !strings.HasPrefix(login.raw, `{"code":0,"message":"success","info":{"token":"`) {
		t.Errorf("login: %s", login.raw)
	}
	if post := p.post(labPost, login.Info.Token, []byte(onePost)); !strings.Contains(post.raw, `"info":{"messageId":`) {
		t.Errorf("post: %s", post.raw)
	}
}

func TestRow28ShortAnswers(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	long := iot.DeviceID{Product: "a1LabPkLong0123456", Name: strings.Repeat("n", 32)}
	if _, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: long.Product}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.hub.RegisterDevice(t.Context(), hub.Device{ID: long, Secret: auth.NewSecret(labSecret)}); err != nil {
		t.Fatal(err)
	}
	a := p.post("/auth", "", []byte(signed(labSecret, long)))
	if a.Code != https.CodeOK || len(a.raw) > 256 || len(a.Info.Token) > 192 {
		t.Errorf("%d bytes, a token of %d: %s", len(a.raw), len(a.Info.Token), a.raw)
	}
}

func TestRow29TrailingNUL(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	p.expect("login", p.post("/auth", "", []byte(signed(labSecret, lab)+"\x00")), https.CodeOK)
	token := p.token()
	p.expect("system topic", p.post(labPost, token, []byte(onePost+"\x00\x00")), https.CodeOK)
	for body, want := range map[string]string{"{\"a\":1}\x00": `{"a":1}`, "\x01\x02\x00": "\x01\x02\x00", "\x00": "\x00"} {
		p.expect("custom topic", p.post("/topic/a1LabPk00001/lab_dev_01/user/update", token, []byte(body)), https.CodeOK)
		if got := p.last(); got != want {
			t.Errorf("%q was kept as %q, want %q", body, got, want)
		}
	}
}

// last returns the payload that came last.
func (p *platform) last() (payload string) {
	p.t.Helper()
	for m, err := range p.hub.Messages(p.t.Context(), hub.MessageQuery{Device: lab}) {
		if err != nil {
			p.t.Fatal(err)
		}
		payload = string(m.Payload)
	}
	return payload
}

func TestCodes(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	token := p.token()
	for name, tt := range map[string]struct {
		path, token, body string
		want              https.Code
	}{
		"not JSON":            {"/auth", "", "hello", https.CodeParam},
		"no sign":             {"/auth", "", `{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","clientId":"c"}`, https.CodeParam},
		"no client id":        {"/auth", "", `{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","sign":"00"}`, https.CodeParam},
		"long client id":      {"/auth", "", `{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","sign":"00","clientId":"` + strings.Repeat("c", 65) + `"}`, https.CodeParam},
		"bad name":            {"/auth", "", `{"productKey":"a1LabPk00001","deviceName":"l/b","sign":"00","clientId":"c"}`, https.CodeParam},
		"unknown sign method": {"/auth", "", `{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","sign":"00","clientId":"c","signmethod":"md4"}`, https.CodeParam},
		"large login":         {"/auth", "", `{"x":"` + strings.Repeat("x", 9<<10) + `"}`, https.CodeParam},
		"wrong sign":          {"/auth", "", signed("guess", lab), https.CodeAuth},
		"unknown device":      {"/auth", "", signed(labSecret, iot.DeviceID{Product: lab.Product, Name: "nobody"}), https.CodeAuth},
		"no token":            {labPost, "", onePost, https.CodeTokenNull},
		"wrong token":         {labPost, token[:len(token)-2] + "AA", onePost, https.CodeToken},
		"foreign topic":       {"/topic/sys/a1LabPk00001/lab_dev_02/thing/event/property/post", token, onePost, https.CodePublish},
		"not a topic":         {"/topic/sys//x", token, onePost, https.CodePublish},
		"no topic":            {"/topic/", token, onePost, https.CodeParam},
		"post is no JSON":     {labPost, token, "hello", https.CodePublish},
		"large body":          {labPost, token, strings.Repeat("x", 128<<10+1), https.CodeParam},
		"largest body":        {"/topic/a1LabPk00001/lab_dev_01/user/update", token, strings.Repeat("x", 128<<10), https.CodeOK},
		"token in its place":  {labPost, token, onePost, https.CodeOK},
	} {
		p.expect(name, p.post(tt.path, tt.token, []byte(tt.body)), tt.want)
	}
	for _, path := range []string{"/auth", labPost} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.expect("GET "+path, p.do(r), https.CodeCommon)
	}
	resp, err := p.web.Client().Get(p.web.URL + "/other")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %s", resp.Status)
	}
}

func TestCodeOfALimit(t *testing.T) {
	p := serve(t, hub.DefaultLimits(), nil)
	token := p.token()
	codes := map[https.Code]int{}
	for range 12 {
		codes[p.post(labPost, token, []byte(onePost)).Code]++
	}
	if codes[https.CodeOK] < 10 || codes[https.CodeTooMany] == 0 {
		t.Errorf("posts: %v", codes)
	}
	clear(codes)
	for range 6 {
		codes[p.post("/auth", "", []byte(signed(labSecret, lab))).Code]++
	}
	if codes[https.CodeOK] != 4 || codes[https.CodeTooMany] != 2 {
		t.Errorf("logins: %v", codes)
	}
}

func TestCodeOfAnExpiredToken(t *testing.T) {
	limits := hub.NoLimits()
	limits.TokenTTL = time.Nanosecond
	p := serve(t, limits, nil)
	p.expect("expired", p.post(labPost, p.token(), []byte(onePost)), https.CodeTokenExpired)
}

// A platform that cannot keep what it is told.
func TestCodesOfAPlatformThatStops(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	token := p.token()
	if err := p.hub.Close(); err != nil {
		t.Fatal(err)
	}
	p.expect("login", p.post("/auth", "", []byte(signed(labSecret, lab))), https.CodeUpdateSession)
	p.expect("post", p.post(labPost, token, []byte(onePost)), https.CodeCommon)
}

func TestDisabledWithin100ms(t *testing.T) {
	bar.Within(t, 100*time.Millisecond, func() time.Duration { return disable(t) })
}

// disable returns how long after the order a token was good.
func disable(t *testing.T) time.Duration {
	p := serve(t, hub.NoLimits(), nil)
	token := p.token()
	p.expect("before", p.post(labPost, token, []byte(onePost)), https.CodeOK)
	start := time.Now()
	if _, err := p.hub.DisableDevice(t.Context(), lab); err != nil {
		t.Fatal(err)
	}
	p.expect("after", p.post(labPost, token, []byte(onePost)), https.CodeToken)
	took := time.Since(start)
	p.expect("login", p.post("/auth", "", []byte(signed(labSecret, lab))), https.CodeAuth)
	return took
}

// HTTP/1.0 as old clients speak it: no Host, no keep-alive.
func TestHTTP10(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	nc, err := net.Dial("tcp", p.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprintf(nc, "POST %s HTTP/1.0\r\nPASSWORD: %s\r\nContent-Length: %d\r\n\r\n%s", labPost, p.token(), len(onePost), onePost)
	raw, err := io.ReadAll(nc)
	if err != nil || !strings.HasPrefix(string(raw), "HTTP/1.0 200 OK") || !strings.Contains(string(raw), `{"code":0,`) {
		t.Errorf("%s, %v", raw, err)
	}
}

// A body that never arrives costs its own connection, and that not for long.
func TestSlowBody(t *testing.T) {
	p := serve(t, hub.NoLimits(), func(cfg *https.Config) { cfg.ReadTimeout = 50 * time.Millisecond })
	nc, err := net.Dial("tcp", p.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprintf(nc, "POST %s HTTP/1.1\r\nHost: x\r\nPassword: %s\r\nContent-Length: 100\r\n\r\n{", labPost, p.token())
	raw, err := io.ReadAll(nc)
	if err != nil || !strings.Contains(string(raw), `{"code":10001,`) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestNewHandlerWithoutPlatform(t *testing.T) {
	if _, err := https.NewHandler(https.Config{}); err == nil {
		t.Error("no platform")
	}
}

// door is the Handler as the contract sees it.
type door struct{ web *httptest.Server }

func (d door) Post(ctx context.Context, token, topic string, payload []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.web.URL, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	r.URL.Path = "/topic" + topic
	r.Header.Set("password", token)
	resp, err := d.web.Client().Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return nil, err
	}
	if a.Code != https.CodeOK {
		return nil, errors.New(a.Message)
	}
	return a.Info.Data, nil
}

func (d door) Close() error {
	d.web.Close()
	return nil
}

// noTokens completes a platform that only lets in.
type noTokens struct{ hal.Access }

func (noTokens) IssueToken(context.Context, *hal.Proof, auth.Use) (hal.TokenGrant, error) {
	return hal.TokenGrant{}, errors.New("none")
}

func (noTokens) VerifyToken(context.Context, auth.Token, auth.Use) (iot.DeviceID, error) {
	return iot.DeviceID{}, errors.New("none")
}

func (noTokens) RevokeTokens(context.Context, iot.DeviceID) error { return nil }

func TestContract(t *testing.T) {
	haltest.TestRequestDoor(t, func(t *testing.T, a hal.Access) haltest.RequestDoor {
		h, err := https.NewHandler(https.Config{Platform: noTokens{a}})
		if err != nil {
			t.Fatal(err)
		}
		return door{httptest.NewServer(h)}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		haltest.TestRequestDoor(t, func(t *testing.T, a hal.Access) haltest.RequestDoor {
			h, err := https.NewHandler(https.Config{Platform: noTokens{a}})
			if err != nil {
				t.Fatal(err)
			}
			web := httptest.NewUnstartedServer(h)
			web.EnableHTTP2 = true
			web.StartTLS()
			return door{web}
		})
	})
}
