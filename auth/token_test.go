// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

func TestTokenKeys(t *testing.T) {
	now := time.UnixMilli(1524448722000)
	one, two := auth.TokenKey{ID: 1, Secret: auth.NewSecret("one")}, auth.TokenKey{ID: 2, Secret: auth.NewSecret("two")}
	want := auth.Claims{
		Device: iot.DeviceID{Product: strings.Repeat("p", 20), Name: strings.Repeat("n", 32)},
		Use:    auth.UseRequests, Version: 3, Epoch: 4, Expires: now.Add(time.Hour),
	}
	token := auth.TokenKeys{one}.Issue(want)
	if n := len(token.Reveal()); n > 192 {
		t.Errorf("a token of the longest names has %d characters", n)
	}
	check := func(keys auth.TokenKeys, text string, at time.Time, target error) {
		t.Helper()
		got, err := keys.Check([]byte(text), at)
		if !errors.Is(err, target) || err == nil && (got.Device != want.Device || got.Version != 3 || got.Epoch != 4 || got.Use != want.Use) {
			t.Errorf("%+v, %v, want %v", got, err, target)
		}
	}
	text := token.Reveal()
	check(auth.TokenKeys{two, one}, text, now, nil) // after a change of keys
	check(auth.TokenKeys{two}, text, now, auth.ErrBadSign)
	check(nil, text, now, auth.ErrBadSign)
	check(auth.TokenKeys{one}, text, now.Add(time.Hour), auth.ErrTokenExpired)
	check(auth.TokenKeys{one}, text[:len(text)-1]+"_", now, auth.ErrBadSign)
	check(auth.TokenKeys{one}, strings.Repeat("A", 1000), now, auth.ErrBadSign)
	if !(auth.TokenKeys{}).Issue(want).IsZero() {
		t.Error("a token without a key")
	}
}

func TestSealer(t *testing.T) {
	old, fresh := auth.SealKey{Version: 1, Key: [32]byte{1}}, auth.SealKey{Version: 2, Key: [32]byte{2}}
	before, err := auth.NewSealer(old)
	if err != nil {
		t.Fatal(err)
	}
	after, err := auth.NewSealer(fresh, old)
	if err != nil {
		t.Fatal(err)
	}
	secret := auth.NewSecret("s3cret")
	sealed := before.Seal(secret, "here")
	if !auth.IsSealed(sealed) || strings.Contains(sealed, "s3cret") || before.Seal(secret, "here") == sealed {
		t.Errorf("sealed as %q", sealed)
	}
	if got, err := after.Open(sealed, "here"); err != nil || !got.Equal(secret) {
		t.Errorf("opens with the newer keys as %q, %v", got.Reveal(), err)
	}
	if got, err := after.Open("plain", "here"); err != nil || got.Reveal() != "plain" {
		t.Errorf("plain text: %q, %v", got.Reveal(), err)
	}
	for name, open := range map[string]func() (auth.Secret, error){
		"elsewhere":   func() (auth.Secret, error) { return after.Open(sealed, "there") },
		"another key": func() (auth.Secret, error) { return before.Open(after.Seal(secret, "here"), "here") },
		"damaged":     func() (auth.Secret, error) { return after.Open(sealed[:len(sealed)-2], "here") },
	} {
		if _, err := open(); !errors.Is(err, auth.ErrUnsealable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := auth.NewSealer(); err == nil {
		t.Error("a sealer without a key")
	}
	if _, err := auth.NewSealer(old, old); err == nil {
		t.Error("a sealer with one version twice")
	}
}

func TestCA(t *testing.T) {
	ca, err := auth.NewCA("devices", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.PEM()
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = auth.ParseCA(cert, key); err != nil {
		t.Fatal(err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(devA, own.Public(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c := auth.Certificate{leaf}
	if id, err := c.Device(); err != nil || id != devA {
		t.Errorf("certificate of %v, %v", id, err)
	}
	if fp, err := auth.ParseFingerprint(strings.ToUpper(c.Fingerprint())); err != nil || fp != c.Fingerprint() {
		t.Errorf("fingerprint %q, %v", fp, err)
	}
	if _, err := (auth.Certificate{}).Device(); !errors.Is(err, auth.ErrBadUserName) {
		t.Errorf("no certificate: %v", err)
	}
	if _, err := ca.Issue(iot.DeviceID{}, own.Public(), time.Minute); err == nil {
		t.Error("a certificate for nobody")
	}
	if _, err := auth.ParseCA(key, cert); err == nil {
		t.Error("a key for a certificate is taken")
	}
}

func TestSignRequest(t *testing.T) {
	body := []byte(`{"a":1}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://hub/api/v1/pub?x=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := auth.NewSecret("s")
	auth.SignRequest(r, body, "ak", secret, time.UnixMilli(1524448722000))
	s, ok := auth.ParseRequestSign(r.Header.Get("Authorization"))
	if !ok || s.AccessKey != "ak" || s.Timestamp != 1524448722000 || s.Nonce == "" {
		t.Fatalf("header %q", r.Header.Get("Authorization"))
	}
	if err := s.Verify(r, body, secret); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another body": s.Verify(r, nil, secret), "another secret": s.Verify(r, body, auth.NewSecret("x")), "no secret": s.Verify(r, body, auth.Secret{}),
	} {
		if !errors.Is(err, auth.ErrBadSign) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
