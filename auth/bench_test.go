// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/auth"
)

// bareHMAC is the HMAC-SHA256 of bytes that are ready, from two plain hashes: the
// least a check can cost.
func bareHMAC(key string, text []byte) [32]byte {
	var inner [64 + 256]byte
	var outer [64 + 32]byte
	var pad [64]byte
	copy(pad[:], key)
	for i, b := range pad {
		inner[i], outer[i] = b^0x36, b^0x5c
	}
	sum := sha256.Sum256(inner[:64+copy(inner[64:], text)])
	copy(outer[64:], sum[:])
	return sha256.Sum256(outer[:])
}

// libraryHMAC is the same from crypto/hmac.
func libraryHMAC(key string, text []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(text)
	return mac.Sum(nil)
}

// naiveVerify is what one writes at first.
func naiveVerify(clientID, userName, password, secret string) bool {
	id, ext, _ := strings.Cut(clientID, "|")
	dn, pk, _ := strings.Cut(userName, "&")
	m := map[string]string{"clientId": id, "deviceName": dn, "productKey": pk}
	method := ""
	for kv := range strings.SplitSeq(strings.Trim(ext, "|"), ",") {
		k, v, _ := strings.Cut(kv, "=")
		switch strings.ToLower(strings.TrimSpace(k)) {
		case "timestamp":
			m["timestamp"] = strings.TrimSpace(v)
		case "signmethod":
			method = strings.ToLower(strings.TrimSpace(v))
		}
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var text strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&text, "%s%s", k, m[k])
	}
	newHash := map[string]func() hash.Hash{"hmacmd5": md5.New, "hmacsha1": sha1.New, "hmacsha256": sha256.New}[method]
	mac := hmac.New(newHash, []byte(secret))
	mac.Write([]byte(text.String()))
	want := hex.EncodeToString(mac.Sum(nil))
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(password))) == 1
}

const userA = "lab_dev_01&a1LabPk00001"

// ratio returns how long f takes as a multiple of base: the median of many rounds
// in which both run in turn, so that they share the machine's moods.
func ratio(f, base func()) float64 {
	took := func(f func()) float64 {
		start := time.Now()
		for range 200 {
			f()
		}
		return float64(time.Since(start))
	}
	rounds := make([]float64, 101)
	for i := range rounds {
		rounds[i] = took(f) / took(base)
	}
	slices.Sort(rounds)
	return rounds[len(rounds)/2]
}

// BenchmarkVerify reports how long Verify takes as a multiple of the bare HMAC
// over the same bytes (bar: 1.35), and of a naive login check together with all
// parsing.
func BenchmarkVerify(b *testing.B) {
	c, err := auth.ParseClientID(logins[0].clientID)
	if err != nil {
		b.Fatal(err)
	}
	password := []byte(logins[0].password)
	text := []byte("clientIda1LabPk00001.lab_dev_01deviceNamelab_dev_01productKeya1LabPk00001timestamp2524608000000")
	var sink [32]byte
	var slice []byte
	verify := func() {
		if c.Verify(password, devA, secretA) != nil {
			b.Fatal("refused")
		}
	}
	bare := func() { sink = bareHMAC(secretA.Reveal(), text) }
	naive := func() {
		if !naiveVerify(logins[0].clientID, userA, logins[0].password, secretA.Reveal()) {
			b.Fatal("refused")
		}
	}
	toBare := ratio(verify, bare)
	toLibrary := ratio(verify, func() { slice = libraryHMAC(secretA.Reveal(), text) })
	toNaive := ratio(func() { fullLogin(b, password) }, naive)
	_, _ = sink, slice
	b.ReportAllocs()
	for b.Loop() {
		verify()
	}
	b.ReportMetric(toBare, "x-bare")
	b.ReportMetric(toLibrary, "x-crypto/hmac")
	b.ReportMetric(toNaive, "login-x-naive")
}

func fullLogin(b *testing.B, password []byte) {
	c, err := auth.ParseClientID(logins[0].clientID)
	if err != nil {
		b.Fatal(err)
	}
	id, err := auth.ParseUserName(userA)
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Verify(password, id, secretA); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkLogin(b *testing.B) {
	password := []byte(logins[0].password)
	b.ReportAllocs()
	for b.Loop() {
		fullLogin(b, password)
	}
}

func BenchmarkNaiveLogin(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !naiveVerify(logins[0].clientID, userA, logins[0].password, secretA.Reveal()) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkParseClientID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := auth.ParseClientID(logins[0].clientID); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAllocs(t *testing.T) {
	for _, l := range logins {
		password := []byte(l.password)
		got := testing.AllocsPerRun(100, func() {
			c, err := auth.ParseClientID(l.clientID)
			if err != nil {
				t.Fatal(err)
			}
			id, err := auth.ParseUserName(userA)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Get("_ss")
			if c.Verify(password, id, secretA) != nil || c.Verify(password[2:], id, secretA) == nil {
				t.Error("wrong answer")
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations, want 0", l.name, got)
		}
	}
	list := params("productKey", "a1SubPk00001", "deviceName", "sub_dev_1", "clientId", "a1SubPk00001.sub_dev_1", "timestamp", "1795326599815")
	if got := testing.AllocsPerRun(100, func() {
		if auth.VerifySign(auth.HMACSHA256, secretSub1, "A3CD5BAE80E416FB8E093E193021A2E0E5D8E08E7B56A09DB228EC65C0BE02ED", list...) != nil {
			t.Error("refused")
		}
	}); got > 1 {
		t.Errorf("VerifySign: %v allocations, want at most 1", got)
	}
}
