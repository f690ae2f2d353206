// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/ota"
)

// The forms of wire facts section 13.4; sign methods are exact (section 1 row 20).
func TestConfigForms(t *testing.T) {
	for _, c := range []struct {
		in   ota.Config
		want string
	}{
		{
			ota.Config{ID: "c1", Size: 9, SHA256: shaText, URL: "https://x/y?e=1&s=2"},
			`{"configId":"c1","configSize":9,"sign":"` + shaText + `","signMethod":"Sha256","url":"https://x/y?e=1&s=2","getType":"file"}`,
		},
		{
			ota.Config{ID: "c1", Size: 7, MD5: md5Text, Content: []byte(`{"a":1}`)},
			`{"configId":"c1","configSize":7,"sign":"` + md5Text + `","signMethod":"Md5","getType":"content","content":{"a":1}}`,
		},
	} {
		got, err := c.in.AppendData(nil)
		if err != nil || string(got) != c.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
		}
		back, err := ota.ParseConfig(got)
		if diff := cmp.Diff(c.in, back); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
}

func TestParseConfig(t *testing.T) {
	for _, text := range []string{
		`{"configId":"c","configSize":"9","sign":"` + strings.ToUpper(shaText) + `","signMethod":"SHA256","url":"http://x"}`,
		`{"configSize":9,"sign":"` + shaText + `","url":"http://x"}`,
		`{"sign":"` + md5Text + `","signMethod":"MD5","content":"text"}`,
	} {
		if _, err := ota.ParseConfig([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		``, `[]`, `{}`, `{"sign":"` + shaText + `"}`, `{"sign":"zz","url":"http://x"}`, `{"sign":"` + shaText + `","signMethod":"crc","url":"http://x"}`,
		`{"configSize":65537,"sign":"` + shaText + `","url":"http://x"}`, `{"configSize":-1,"sign":"` + shaText + `","url":"http://x"}`,
	} {
		if c, err := ota.ParseConfig([]byte(text)); !errors.Is(err, ota.ErrMessage) {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
}

func TestConfigVerify(t *testing.T) {
	p, err := ota.Describe(ota.Package{Version: "1"}, strings.NewReader(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]ota.Config{"SHA-256": {Size: 7, SHA256: p.SHA256}, "MD5": {MD5: p.MD5}} {
		if err := c.Verify([]byte(`{"a":1}`)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Verify([]byte(`{"a":2}`)); !errors.Is(err, ota.ErrDigest) {
			t.Errorf("%s of other bytes: %v", name, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"configId":"c1","configSize":"9","sign":"` + shaText + `","signMethod":"Sha256","url":"https://x","getType":"file"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ota.ParseConfig(b)
		if err != nil {
			return
		}
		text, err := c.AppendData(nil)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ota.ParseConfig(text); err != nil || again.SHA256+again.MD5 == "" || again.ID != c.ID || again.Size != c.Size {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	})
}
