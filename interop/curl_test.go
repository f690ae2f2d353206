// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/openalink/iot/auth"
)

// curlAnswer is what a device reads, and how it came.
type curlAnswer struct {
	Code int
	Info struct {
		Token     string
		MessageID int64
		Data      []byte
	}
	version string // of HTTP
}

// curl posts a body.
func curl(t *testing.T, program, url, body string, args ...string) (a curlAnswer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, append(args, "--silent", "--show-error", "--cacert", certificates.ca,
		"--write-out", `\n%{http_version}`, "--data-binary", "@-", url)...)
	cmd.Stdin = strings.NewReader(body)
	o := run(t, cmd)
	text, version, _ := strings.Cut(o.out, "\n")
	if err := json.Unmarshal([]byte(text), &a); o.code != 0 || err != nil {
		t.Fatalf("%s: exit code %d: %s, %v", url, o.code, o.out, err)
	}
	a.version = version
	return a
}

// TestCurl logs in and posts as a device on HTTPS does, in each version of HTTP.
func TestCurl(t *testing.T) {
	program := needProgram(t, "curl", "apt-get install curl")
	h := startHubd(t)
	sign := auth.Sign(auth.HMACSHA1, lamp.secret, auth.Param{Key: "clientId", Value: "curl"},
		auth.Param{Key: "deviceName", Value: lamp.id.Name}, auth.Param{Key: "productKey", Value: lamp.id.Product})
	login := fmt.Sprintf(`{"version":"default", "clientId":"curl","signmethod":"hmacsha1","sign":"%s","productKey":"%s","deviceName":"%s"}`,
		sign, lamp.id.Product, lamp.id.Name)
	n := 0
	for _, tt := range []struct {
		listener, base string
		flags          []string
		version        string
	}{
		{"https", "https://", []string{"--http1.0"}, "1"}, // curl leaves .0 away
		{"https", "https://", []string{"--http1.1"}, "1.1"},
		{"https", "https://", []string{"--http2"}, "2"},
		{"https", "https://", []string{"--http1.1", "--tls-max", "1.2", "--ciphers", "AES256-SHA:AES128-SHA:@SECLEVEL=0"}, "1.1"},
		{"any", "https://", []string{"--http1.1"}, "1.1"},
		{"any", "http://", []string{"--http1.1"}, "1.1"},
		{"any", "http://", []string{"--http2-prior-knowledge"}, "2"},
	} {
		n++
		t.Run(tt.listener+"/"+tt.base+strings.Join(tt.flags, " "), func(t *testing.T) {
			url := tt.base + h.addrs[tt.listener]
			in := curl(t, program, url+"/auth?_v=sdk-c-4.1.0", login, append(tt.flags, "--header", "Content-Type: application/json")...)
			if in.Code != 0 || in.Info.Token == "" || !strings.HasPrefix(in.version, tt.version) {
				t.Fatalf("login: code %d over HTTP/%s", in.Code, in.version)
			}
			body := fmt.Sprintf(`{"id":"%d","version":"1.0","params":{"Level":%d},"method":"thing.event.property.post"}`, n, n)
			post := func(d device, token string) curlAnswer {
				return curl(t, program, url+"/topic"+d.sys("thing/event/property/post"), body,
					append(tt.flags, "--header", "Content-Type: application/octet-stream", "--header", "password: "+token)...)
			}
			if a := post(lamp, in.Info.Token); a.Code != 0 || a.Info.MessageID == 0 || !strings.Contains(string(a.Info.Data), `"code":200`) {
				t.Errorf("post: %+v", a)
			}
			if a := post(other, in.Info.Token); a.Code != 30001 {
				t.Errorf("topic of another device: code %d", a.Code)
			}
			if a := post(lamp, "nonsense"); a.Code != 20003 {
				t.Errorf("wrong token: code %d", a.Code)
			}
			if got := h.property(t, lamp, "Level"); fmt.Sprint(got) != fmt.Sprint(n) {
				t.Errorf("the platform has %v, want %d", got, n)
			}
		})
	}
}
