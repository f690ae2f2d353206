// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/openalink/iot/auth"
)

func FuzzParseClientID(f *testing.F) {
	for _, l := range logins {
		f.Add(l.clientID)
	}
	f.Add("id||a=1,,b|")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := auth.ParseClientID(s)
		if !strings.HasPrefix(s, c.ID) {
			t.Errorf("id %q is no part of %q", c.ID, s)
		}
		if err != nil {
			if !errors.Is(err, auth.ErrBadClientID) {
				t.Errorf("error %v is not ErrBadClientID", err)
			}
			return
		}
		last := map[string]string{}
		c.Each(func(k, v string) bool {
			if k == "" || k != strings.TrimSpace(k) || v != strings.TrimSpace(v) || !strings.Contains(s, k) || !strings.Contains(s, v) {
				t.Errorf("parameter %q=%q of %q", k, v, s)
			}
			if k == strings.ToLower(k) {
				last[k] = v
			}
			return true
		})
		for k := range last {
			if _, ok := c.Get(k); !ok {
				t.Errorf("Get(%q) finds nothing in %q", k, s)
			}
		}
		if ts, _ := c.Get("timestamp"); ts != c.Timestamp() {
			t.Errorf("timestamp %q, Get says %q", c.Timestamp(), ts)
		}
		if err := c.Verify([]byte("00"), devA, secretA); err == nil {
			t.Errorf("%q verifies with a short password", s)
		}
	})
}

func FuzzParseUserName(f *testing.F) {
	f.Add("lab_dev_01&a1LabPk00001")
	f.Add("a&b&c")
	f.Add("&")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := auth.ParseUserName(s)
		switch {
		case err != nil && !errors.Is(err, auth.ErrBadUserName):
			t.Errorf("error %v is not ErrBadUserName", err)
		case err != nil && !id.IsZero():
			t.Errorf("%v beside an error", id)
		case err == nil && (id.Name+"&"+id.Product != s || id.Validate() != nil):
			t.Errorf("%q is %v", s, id)
		}
	})
}

func FuzzPSK(f *testing.F) {
	f.Add("devicename|hmacsha256|a1LabPk00001&lab_dev_01|2524608000000")
	f.Fuzz(func(t *testing.T, s string) {
		id, ts, err := auth.PSK(s).Parse()
		if err != nil {
			if !errors.Is(err, auth.ErrBadClientID) {
				t.Errorf("error %v is not ErrBadClientID", err)
			}
			return
		}
		if !strings.EqualFold(string(auth.PSKIdentity(id, ts)), s) {
			t.Errorf("%q is %v %q", s, id, ts)
		}
	})
}

func FuzzTokenCheck(f *testing.F) {
	keys := auth.TokenKeys{{ID: 1, Secret: auth.NewSecret("k")}}
	good := keys.Issue(auth.Claims{Device: devA, Use: auth.UseConnect, Expires: time.Now().Add(time.Hour)})
	f.Add([]byte(good.Reveal()))
	f.Add([]byte("AQABYw"))
	f.Fuzz(func(t *testing.T, token []byte) {
		if c, err := keys.Check(token, time.Now()); err == nil && c.Device != devA {
			t.Errorf("token %q of %v passes", token, c.Device)
		}
	})
}

func FuzzSealerOpen(f *testing.F) {
	s, err := auth.NewSealer(auth.SealKey{Version: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Seal(auth.NewSecret("x"), "place"))
	f.Add("$gcm$1$")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := s.Open(text, "elsewhere")
		if err == nil && auth.IsSealed(text) {
			t.Errorf("%q opens as %q", text, secret.Reveal())
		}
	})
}

func FuzzRequestSign(f *testing.F) {
	f.Add(auth.RequestScheme + " AccessKey=a, Timestamp=1, Nonce=n, Signature=s")
	f.Fuzz(func(t *testing.T, header string) {
		if s, ok := auth.ParseRequestSign(header); ok && (s.AccessKey == "" || s.Nonce == "") {
			t.Errorf("%q is taken", header)
		}
	})
}
