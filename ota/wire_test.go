// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openalink/iot/ota"
)

const (
	md5Text = "93230c3bde425a9d7984a594ac55ea1e"
	shaText = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

// The texts are those of wire facts section 13.1, ids and blanks as the SDKs
// send them.
func TestParseInform(t *testing.T) {
	for text, want := range map[string]ota.Inform{
		`{"id":"1","params":{"version":"1.0.1"}}`:                        {Version: "1.0.1", Module: "default"},
		`{"id":"1","params":{"version":"app-1.0.0-20180101.1000"}}`:      {Version: "app-1.0.0-20180101.1000", Module: "default"},
		`{"id":10, "params":{"version":"1.0.0","module":"MCU"}}`:         {Version: "1.0.0", Module: "MCU"},
		`{"id":1,"params":{"version":"1","unknown":{"deep":[1,2,{}]}}}`:  {Version: "1", Module: "default"},
		`{"id":"1","params":"{\"version\":\"1.0.1\",\"module\":\"b\"}"}`: {Version: "1.0.1", Module: "b"},
	} {
		if got, err := ota.ParseInform([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		``, `{}`, `[]`, `{"id":1}`, `{"id":1,"params":{}}`, `{"id":1,"params":{"version":""}}`, `{"id":1,"params":{"version":7}}`,
		`{"id":1,"params":{"version":"` + strings.Repeat("v", 65) + `"}}`, `{"id":1,"params":{"version":"a\nb"}}`,
		`{"id":1,"params":{"version":"1","module":"a b"}}`, `{"id":1,"params":[1]}`,
	} {
		if got, err := ota.ParseInform([]byte(text)); !errors.Is(err, ota.ErrMessage) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestParseProgress(t *testing.T) {
	for text, want := range map[string]ota.Progress{
		`{"id":0,"params":{"step":"0","desc":"Enter in downloading state"}}`: {Step: 0, Detail: "Enter in downloading state", Module: "default"},
		`{"id":2, "params":{"step":"100","desc":""}}`:                        {Step: 100, Module: "default"},
		`{"id":2,"params":{"step":-4,"desc":"x","module":"MCU"}}`:            {Step: ota.BurnFailed, Detail: "x", Module: "MCU"},
		`{"id":"2","params":{"step":"-2"}}`:                                  {Step: ota.DownloadFailed, Module: "default"},
	} {
		if got, err := ota.ParseProgress([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, step := range []string{`"101"`, `"-5"`, `"x"`, `""`, `1.5`, `null`, `{}`} {
		text := `{"id":1,"params":{"step":` + step + `}}`
		if got, err := ota.ParseProgress([]byte(text)); !errors.Is(err, ota.ErrMessage) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func notice() ota.Notice {
	return ota.Notice{Version: "2.0", Module: "default", Size: 432945, URL: "https://ota.example.com/ota/x/y?e=1&s=2", MD5: md5Text}
}

// Row 20: signMethod is exactly "Md5" with both md5 and sign, or "Sha256"; hex in
// lower case.
func TestRow20SignNames(t *testing.T) {
	n := notice()
	n.MD5, n.SHA256 = md5Text, shaText
	data := members(t, &n)
	if data["signMethod"] != "Md5" || data["md5"] != md5Text || data["sign"] != md5Text || data["sha256"] != shaText {
		t.Errorf("both digests: %v", data)
	}
	n.SignMethod = ota.SignSHA256
	data = members(t, &n)
	if data["signMethod"] != "Sha256" || data["sign"] != shaText || data["md5"] != nil {
		t.Errorf("SHA-256: %v", data)
	}
	for _, method := range []string{"Md5", "MD5", "md5", "Sha256", "SHA256", "sha-256"} { // what devices hear elsewhere
		sign := md5Text
		if method[0] == 'S' || method[0] == 's' {
			sign = shaText
		}
		text := `{"code":"1000","data":{"size":1,"version":"2","url":"http://x/y","sign":"` + strings.ToUpper(sign) + `","signMethod":"` + method + `"},"id":1,"message":"success"}`
		got, ok, err := ota.ParseNotice([]byte(text))
		if !ok || err != nil || got.MD5+got.SHA256 != sign {
			t.Errorf("%s: %+v, %v", method, got, err)
		}
	}
}

func members(t *testing.T, n *ota.Notice) map[string]any {
	t.Helper()
	raw, err := n.AppendData(nil)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Row 21: code is the text "1000", id a number; the data comes last and the
// message is compact.
func TestRow21UpgradeEnvelope(t *testing.T) {
	n := notice()
	got, err := ota.AppendUpgrade(nil, 1507707025, &n)
	want := `{"id":1507707025,"code":"1000","message":"success","data":{"size":432945,"version":"2.0","url":"https://ota.example.com/ota/x/y?e=1&s=2","md5":"` +
		md5Text + `","sign":"` + md5Text + `","signMethod":"Md5"}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, _ := ota.AppendUpgrade(nil, 7, nil); string(got) != `{"id":7,"code":"1000","message":"success","data":{}}` {
		t.Errorf("nothing to do: %s", got)
	}
}

func TestNoticeRoundTrip(t *testing.T) {
	n := notice()
	n.Module, n.Diff, n.From, n.Signature, n.SHA256, n.Ext = "MCU", true, "1.0", "c2ln", shaText, json.RawMessage(`{"_package_udi":"text"}`)
	raw, err := ota.AppendUpgrade(nil, 1, &n)
	if err != nil {
		t.Fatal(err)
	}
	got, ok, err := ota.ParseNotice(raw)
	n.Sign, n.SignMethod = n.MD5, "Md5"
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if diff := cmp.Diff(n, got); diff != "" {
		t.Error(diff)
	}
	stream := ota.Notice{Version: "2", Size: 5, SHA256: shaText, Stream: 7, File: 1}
	raw, _ = ota.AppendUpgrade(nil, 1, &stream)
	if got, ok, err := ota.ParseNotice(raw); !ok || err != nil || got.Stream != 7 || got.URL != "" || !strings.Contains(string(raw), `"dProtocol":"mqtt"`) {
		t.Errorf("over MQTT: %+v %v\n%s", got, err, raw)
	}
}

func TestParseNotice(t *testing.T) {
	digest := `"sign":"` + md5Text + `","signMethod":"Md5"`
	for text, ok := range map[string]bool{
		`{"id":"12","code":200,"data":{}}`: false,
		`{"id":"12","code":200}`:           false,
		`{"id":"12","code":200,"data":{"size":"10","version":"2","url":"http://x",` + digest + `}}`:                               true,
		`{"id":1,"code":"1000","data":{"version":"2","files":[{"fileSize":5,"fileUrl":"http://x","fileMd5":"` + md5Text + `"}]}}`: true,
	} {
		if _, got, err := ota.ParseNotice([]byte(text)); got != ok || err != nil {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		`x`, `{"id":1,"code":500,"data":{}}`,
		`{"id":1,"data":{"version":"2","url":"http://x",` + digest + `}}`,
		`{"id":1,"data":{"size":-1,"version":"2","url":"http://x",` + digest + `}}`,
		`{"id":1,"data":{"size":1,"version":"2","url":"http://x","sign":"zz","signMethod":"Md5"}}`,
		`{"id":1,"data":{"size":1,"version":"2","url":"http://x","sign":"` + md5Text + `","signMethod":"crc"}}`,
		`{"id":1,"data":{"size":1,"version":"2",` + digest + `}}`,
		`{"id":1,"data":{"size":1,"version":"","url":"http://x",` + digest + `}}`,
		`{"id":1,"data":{"version":"2","files":[{},{}]}}`,
	} {
		if n, _, err := ota.ParseNotice([]byte(text)); !errors.Is(err, ota.ErrMessage) {
			t.Errorf("%s: %+v, %v", text, n, err)
		}
	}
}

func TestRequestsOfDevices(t *testing.T) {
	b, err := ota.AppendInform(nil, "7", ota.Inform{Version: "1.0", Module: "default"})
	if err != nil || string(b) != `{"id":"7","params":{"version":"1.0"}}` {
		t.Errorf("%s %v", b, err)
	}
	b, err = ota.AppendProgress(nil, "8", ota.Progress{Step: -3, Detail: "bad", Module: "MCU"})
	if err != nil || string(b) != `{"id":"8","params":{"step":"-3","desc":"bad","module":"MCU"}}` {
		t.Errorf("%s %v", b, err)
	}
	for text, want := range map[string]string{
		`{"id":12, "params":{}}`: "default", `{"id":"0","params":{"version":"1"}}`: "default", `{"id":12,"params":{"module":"x"}}`: "x", `{"id":1}`: "default",
	} {
		if got, err := ota.ParseRequest([]byte(text)); err != nil || got.Module != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func FuzzParseNotice(f *testing.F) {
	n := notice()
	raw, _ := ota.AppendUpgrade(nil, 1, &n)
	f.Add(raw)
	f.Add([]byte(`{"id":1,"data":{"version":"2","files":[{"fileSize":"5"}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok, err := ota.ParseNotice(b)
		if !ok || err != nil {
			return
		}
		raw, err := ota.AppendUpgrade(nil, 1, &n)
		if err != nil {
			t.Skip() // extData that is no JSON cannot be: it was parsed
		}
		if again, ok, err := ota.ParseNotice(raw); !ok || err != nil || again.Version != n.Version || again.Size != n.Size {
			t.Errorf("%q became %+v, %v", b, again, err)
		}
	})
}

func FuzzParseInform(f *testing.F) {
	f.Add([]byte(`{"id":"1","params":{"version":"1.0.1","module":"m"}}`))
	f.Add([]byte(`{"id":"1","params":{"step":"-1","desc":"x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if in, err := ota.ParseInform(b); err == nil && (!ota.ValidVersion(in.Version) || !ota.ValidModule(in.Module)) {
			t.Errorf("%q: %+v", b, in)
		}
		if p, err := ota.ParseProgress(b); err == nil && (p.Step < ota.BurnFailed || p.Step > 100) {
			t.Errorf("%q: %+v", b, p)
		}
		_, _ = ota.ParseRequest(b)
	})
}

func TestFrame(t *testing.T) {
	if got := ota.CRC16([]byte("123456789")); got != 0xbb3d {
		t.Errorf("CRC-16/ARC of the check text is %04x, want bb3d", got)
	}
	whole := ota.AppendFrame(nil, []byte(`{"id":"1"}`), []byte("123456789"))
	if whole[len(whole)-2] != 0x3d || whole[len(whole)-1] != 0xbb {
		t.Errorf("checksum is not low byte first: % x", whole[len(whole)-2:])
	}
	header, data, err := ota.ParseFrame(whole)
	if err != nil || string(header) != `{"id":"1"}` || string(data) != "123456789" {
		t.Errorf("%q %q %v", header, data, err)
	}
	for n := range len(whole) {
		if _, data, err := ota.ParseFrame(whole[:n]); err == nil && len(data) > 0 {
			t.Errorf("%d of %d bytes are taken", n, len(whole))
		}
	}
	whole[len(whole)-4] ^= 1
	if _, _, err := ota.ParseFrame(whole); !errors.Is(err, ota.ErrDigest) {
		t.Errorf("flipped bit: %v", err)
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add(ota.AppendFrame(nil, []byte(`{}`), []byte("data")))
	f.Fuzz(func(t *testing.T, b []byte) {
		header, data, err := ota.ParseFrame(b)
		if err == nil && len(header)+len(data)+4 != len(b) {
			t.Errorf("%d + %d of %d", len(header), len(data), len(b))
		}
	})
}
