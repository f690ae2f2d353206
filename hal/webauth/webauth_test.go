// SPDX-License-Identifier: Apache-2.0

package webauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mem"
	"github.com/openalink/iot/hal/webauth"
	"github.com/openalink/iot/hub"
	storemem "github.com/openalink/iot/store/mem"
)

// lab is device A of the wire facts, section 23.
var lab = iot.DeviceID{Product: "a1LabPk00001", Name: "lab_dev_01"}

const (
	labSecret  = "5f2c8b1e9a7d4c3fb0e6d1a2c4f80719"
	labProduct = "labProdSecret0001"
)

func serve(t testing.TB, hide bool, change func(*webauth.Config)) (*hub.Hub, *httptest.Server) {
	t.Helper()
	limits := hub.NoLimits()
	h, err := hub.Open(t.Context(), hub.Config{Store: storemem.New(), Limits: &limits, HideUnknown: hide})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	if _, err := h.CreateProduct(t.Context(), hub.Product{Key: lab.Product, Secret: auth.NewSecret(labProduct), DynamicRegister: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RegisterDevice(t.Context(), hub.Device{ID: lab, Secret: auth.NewSecret(labSecret)}); err != nil {
		t.Fatal(err)
	}
	cfg := webauth.Config{Platform: h, Host: "mqtt.example.com", Port: 1883}
	if change != nil {
		change(&cfg)
	}
	handler, err := webauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return h, s
}

func post(t *testing.T, s *httptest.Server, path, form string) (code int, body string) {
	t.Helper()
	resp, err := http.Post(s.URL+path, "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	var a struct{ Code int }
	if err := json.Unmarshal([]byte(b.String()), &a); err != nil {
		t.Fatalf("%s: %q", path, b.String())
	}
	return a.Code, b.String()
}

// What the SDKs really send, with the signatures of wire facts section 23 numbers
// 16, 17 and 8.
func TestVectors(t *testing.T) {
	_, s := serve(t, false, nil)
	device := "productKey=a1LabPk00001&deviceName=lab_dev_01"
	code, body := post(t, s, "/auth/register/device", device+"&random=8Ygb7ULYh53B6OA&signMethod=hmacsha256&sign=BCE3098D600E9539106CD2BE8AD7F5D0C0238666BD8FDAF39268D81A516B9A8B")
	want := `{"code":200,"data":{"productKey":"a1LabPk00001","deviceName":"lab_dev_01","deviceSecret":"5f2c8b1e9a7d4c3fb0e6d1a2c4f80719"},"message":"success"}`
	if code != 200 || body != want || len(body) > 256 {
		t.Errorf("registration: %s", body)
	}
	code, _ = post(t, s, "/auth/register/device", device+"&random=30xcrrzmu9s&signMethod=hmacsha1&sign=7184bb9013dae7b9d440dde78283024816c5db82")
	if code != 6289 {
		t.Errorf("registered again: %d", code)
	}
	code, body = post(t, s, "/auth/devicename", device+"&signmethod=hmacsha1&sign=321bd01682681ec242da71d883e4d15efb8743ec&version=default&clientId=a1LabPk00001.lab_dev_01&timestamp=2524608000000&resources=mqtt")
	if code != 200 || !strings.Contains(body, `"resources":{"mqtt":{"host":"mqtt.example.com","port":1883}}`) {
		t.Errorf("pre-authentication: %s", body)
	}
	code, body = post(t, s, "/auth/bootstrap", device+"&clientId=x&resources=mqtt")
	if want := `{"code":200,"data":{"resources":{"mqtt":{"host":"mqtt.example.com","port":1883}}},"id":1,"message":"success"}`; code != 200 || body != want {
		t.Errorf("bootstrap: %s", body)
	}
}

func TestCodes(t *testing.T) {
	sign := func(secret string, params ...string) string {
		var list []auth.Param
		v := url.Values{}
		for i := 0; i < len(params); i += 2 {
			list = append(list, auth.Param{Key: params[i], Value: params[i+1]})
			v.Set(params[i], params[i+1])
		}
		v.Set("sign", auth.Sign(auth.HMACMD5, auth.NewSecret(secret), list...))
		return v.Encode() // no method: HMAC-MD5
	}
	old := fmt.Sprint(time.Now().Add(-20 * time.Minute).UnixMilli())
	for _, tt := range []struct {
		name, path, form string
		code, hidden     int
	}{
		{"no parameters", "/auth/register/device", "", 460, 460},
		{"no random", "/auth/register/device", sign(labProduct, "productKey", lab.Product, "deviceName", lab.Name), 460, 460},
		{"unknown product", "/auth/register/device", sign(labProduct, "productKey", "a1Nowhere", "deviceName", lab.Name, "random", "1"), 6250, 401},
		{"unknown device", "/auth/register/device", sign(labProduct, "productKey", lab.Product, "deviceName", "nobody", "random", "1"), 6100, 401},
		{"wrong sign", "/auth/register/device", sign("guess", "productKey", lab.Product, "deviceName", lab.Name, "random", "1"), 6600, 401},
		{"sign method", "/auth/register/device", sign(labProduct, "productKey", lab.Product, "deviceName", lab.Name, "random", "1") + "&signMethod=md4", 6292, 6292},
		{"no client id", "/auth/devicename", sign(labSecret, "productKey", lab.Product, "deviceName", lab.Name), 460, 460},
		{"unknown device", "/auth/devicename", sign(labSecret, "productKey", lab.Product, "deviceName", "nobody", "clientId", "c"), 5001, 401},
		{"wrong sign", "/auth/devicename", sign("guess", "productKey", lab.Product, "deviceName", lab.Name, "clientId", "c"), 401, 401},
		{"replayed", "/auth/devicename", sign(labSecret, "productKey", lab.Product, "deviceName", lab.Name, "clientId", "c", "timestamp", old), 460, 460},
		{"longest client id", "/auth/devicename", sign(labSecret, "productKey", lab.Product, "deviceName", lab.Name, "clientId", strings.Repeat("\u706f", 64)), 200, 200},
		{"longer client id", "/auth/devicename", sign(labSecret, "productKey", lab.Product, "deviceName", lab.Name, "clientId", strings.Repeat("x", 65)), 460, 460},
		{"bootstrap without a name", "/auth/bootstrap", "productKey=x", 460, 460},
	} {
		for _, hide := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.path, " ", tt.name, " ", hide), func(t *testing.T) {
				_, s := serve(t, hide, func(c *webauth.Config) { c.TimestampWindow = 15 * time.Minute })
				want := tt.code
				if hide {
					want = tt.hidden
				}
				if code, body := post(t, s, tt.path, tt.form); code != want {
					t.Errorf("answer %s, want code %d", body, want)
				}
			})
		}
	}
	h, s := serve(t, false, nil)
	if _, err := h.UpdateProduct(t.Context(), lab.Product, func(p *hub.Product) { p.X509 = true }); err != nil {
		t.Fatal(err)
	}
	if code, body := post(t, s, "/auth/devicename", sign(labSecret, "productKey", lab.Product, "deviceName", lab.Name, "clientId", "c")); code != 6200 {
		t.Errorf("device with certificates: %s", body)
	}
}

// slot is a hal.Slot without power cuts.
type slot map[string][]byte

func (s slot) Load(_ context.Context, name string) ([]byte, error) {
	if v, ok := s[name]; ok {
		return v, nil
	}
	return nil, hal.ErrNoValue
}

func (s slot) Store(_ context.Context, name string, v []byte) error { s[name] = v; return nil }

// A device that has only its product's secret registers over HTTPS, then logs in
// with a token of the pre-authentication.
func TestDevice(t *testing.T) {
	h, s := serve(t, false, nil)
	web := &webauth.Client{URL: s.URL}
	kept := slot{}
	for range 2 {
		c, err := device.New(device.Config{
			Identity:  hal.Identity{Device: lab, ProductSecret: auth.NewSecret(labProduct)},
			Transport: mem.NewTransport(h), Slot: kept, Registrar: web, PreAuth: web,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Connect(t.Context()); err != nil || !h.Online(lab) {
			t.Fatalf("connect: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := web.Register(t.Context(), lab, auth.NewSecret(labProduct)); !errors.Is(err, &alink.CodeError{Code: alink.CodeAlreadyActive}) {
		t.Errorf("registered again: %v", err)
	}
	if host, port, err := web.Bootstrap(t.Context(), lab); host != "mqtt.example.com" || port != 1883 || err != nil {
		t.Errorf("bootstrap: %s:%d, %v", host, port, err)
	}
}

func FuzzForms(f *testing.F) {
	_, s := serve(f, false, nil)
	f.Add("/auth/register/device", "productKey=a1LabPk00001&deviceName=lab_dev_01&random=1&sign=00&signMethod=hmacmd5")
	f.Add("/auth/devicename", "productKey=%zz&deviceName=lab_dev_01&clientId=1;&sign=00")
	f.Add("/auth/bootstrap", "productKey=a&deviceName=b")
	f.Fuzz(func(t *testing.T, path, form string) {
		r := httptest.NewRequest(http.MethodPost, "/auth/x", strings.NewReader(form))
		r.URL.Path = path
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.Config.Handler.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), labSecret) {
			t.Errorf("%s %s gave the secret away", path, form)
		}
	})
}

// Wire facts section 1: the key of the answer is lower case, whatever the document
// shows.
func TestRow30ResourcesInLowerCase(t *testing.T) {
	_, s := serve(t, false, nil)
	_, body := post(t, s, "/auth/devicename", "productKey=a1LabPk00001&deviceName=lab_dev_01&signmethod=hmacsha1&sign=321bd01682681ec242da71d883e4d15efb8743ec&clientId=a1LabPk00001.lab_dev_01&timestamp=2524608000000&resources=mqtt")
	if !strings.Contains(body, `"resources":{"mqtt":{"host":`) || strings.Contains(body, "Resources") {
		t.Errorf("answer %s", body)
	}
}

// Wire facts section 1: the sign is over deviceName, productKey and random, with
// the random that was sent.
func TestRow35RandomIsSigned(t *testing.T) {
	_, s := serve(t, false, nil)
	form := "productKey=a1LabPk00001&deviceName=lab_dev_01&signMethod=hmacsha256&sign=BCE3098D600E9539106CD2BE8AD7F5D0C0238666BD8FDAF39268D81A516B9A8B&random="
	if code, body := post(t, s, "/auth/register/device", form+"123"); code != 6600 {
		t.Errorf("another random: %s", body)
	}
	if code, body := post(t, s, "/auth/register/device", form+"8Ygb7ULYh53B6OA"); code != 200 {
		t.Errorf("answer %s", body)
	}
}
