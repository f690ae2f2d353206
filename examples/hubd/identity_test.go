// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/fileslot"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hal/webauth"
)

const identityFleet = `{
  "products": [
    {"productKey": "a1HubdCerts", "x509": true},
    {"productKey": "a1HubdDyn01", "productSecret": "dyn-product-secret", "dynamicRegister": true}],
  "devices": [
    {"productKey": "a1HubdCerts", "deviceName": "cert-1", "deviceSecret": "unused-secret-of-cert-1"},
    {"productKey": "a1HubdDyn01", "deviceName": "dyn-1", "deviceSecret": "sealed-secret-of-dyn-1"}],
  "applications": [{"accessKey": "reader", "accessSecret": "secret-of-the-reader", "rights": {"a1HubdDyn01": "read"}}]
}`

func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// One process with everything: a device with a certificate, one that registers
// over HTTPS and logs in with a token, an application, and a store in which no
// secret can be read.
func TestIdentities(t *testing.T) {
	dir := t.TempDir()
	ca, err := auth.NewCA("devices", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	caPEM, _, err := ca.PEM()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	args := []string{
		"-data", data, "-provision", write(t, dir, "fleet.json", []byte(identityFleet)), "-api-key", apiKey, "-any", "127.0.0.1:0", "-http", "127.0.0.1:0",
		"-client-ca", write(t, dir, "ca.pem", caPEM), "-seal-key", write(t, dir, "seal", []byte(strings.Repeat("0a", 32)+"\n")),
	}
	h := startHubd(t, args...)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := iot.DeviceID{Product: "a1HubdCerts", Name: "cert-1"}
	leaf, err := ca.Issue(id, key.Public(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	transport := mqtt.New("tls://" + h.addr["any"])
	transport.TLS = &tls.Config{
		InsecureSkipVerify: true, // hubd made its own certificate
		Certificates:       []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}},
	}
	h.speak(t, device.Config{Identity: hal.Identity{Device: id}, Transport: transport})

	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	web := &webauth.Client{URL: "https://" + h.addr["any"], HTTP: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second,
	}}
	t.Cleanup(web.HTTP.CloseIdleConnections)
	dyn := device.Config{
		Identity:  hal.Identity{Device: iot.DeviceID{Product: "a1HubdDyn01", Name: "dyn-1"}, ProductSecret: auth.NewSecret("dyn-product-secret")},
		Transport: mqtt.New("tcp://" + h.addr["any"]), Slot: fileslot.NewSlot(root), Registrar: web, PreAuth: web,
	}
	for range 2 { // the second time with what the slot has
		h.speak(t, dyn)
	}

	for path, want := range map[string]int{"/api/v1/products/a1HubdDyn01": 200, "/api/v1/products/a1HubdCerts": 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.addr["http"]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		auth.SignRequest(r, nil, "reader", auth.NewSecret("secret-of-the-reader"), time.Now())
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, want)
		}
	}
	h.kill()
	file, err := os.ReadFile(filepath.Join(data, "hub.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"dyn-product-secret", "unused-secret-of-cert-1", "sealed-secret-of-dyn-1", "secret-of-the-reader"} {
		if bytes.Contains(file, []byte(secret)) || bytes.Contains(h.stderr.Bytes(), []byte(secret)) {
			t.Errorf("%s can be read in the store or the log", secret)
		}
	}
}

// speak connects a device, has it post and ends it.
func (h *hubd) speak(t *testing.T, cfg device.Config) {
	t.Helper()
	c, err := device.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Connect(t.Context()); err != nil {
		t.Fatalf("connect: %v", err)
	}
	if err := c.PostProperties(t.Context(), map[string]int{"Power": 1}); err != nil {
		t.Errorf("%v: %v", c.Device(), err)
	}
}

func TestReadSealer(t *testing.T) {
	dir := t.TempDir()
	one, two := strings.Repeat("01", 32), strings.Repeat("02", 32)
	old, err := readSealer(write(t, dir, "old", []byte(one)))
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := readSealer(write(t, dir, "new", []byte(two+"\n"+one+"\n")))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fresh.Open(old.Seal(auth.NewSecret("x"), "p"), "p"); err != nil || got.Reveal() != "x" {
		t.Errorf("an older key: %q, %v", got.Reveal(), err)
	}
	for _, bad := range []string{"", "0102", one + "zz", strings.Repeat("zz", 32)} {
		if _, err := readSealer(write(t, dir, "bad", []byte(bad))); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
	if s, err := readSealer(""); s != nil || err != nil {
		t.Errorf("no file: %v, %v", s, err)
	}
}
