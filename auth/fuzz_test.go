// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"strings"
	"testing"

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
