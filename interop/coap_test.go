// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/openalink/iot/auth"
)

// libcoap posts a body and returns what the client printed.
func libcoap(t *testing.T, program, url, body string, args ...string) string {
	t.Helper()
	args = append([]string{"-B", "10", "-m", "post", "-t", "50", "-e", strings.ReplaceAll(body, "%", "%25")}, args...)
	o := run(t, exec.CommandContext(t.Context(), program, append(args, url)...))
	if o.code != 0 {
		t.Fatalf("%s: exit code %d: %s", url, o.code, o.out)
	}
	return strings.TrimSpace(o.out)
}

// TestLibcoap logs in and posts with the clients of libcoap on both of its TLS
// libraries, with the key of the device and with the server's certificate.
func TestLibcoap(t *testing.T) {
	identity := auth.PSKIdentity(lamp.id, "2524608000000")
	key := auth.PSKKey(lamp.id, lamp.secret, "2524608000000")
	n := 0
	for _, library := range []string{"openssl", "gnutls"} {
		for _, way := range []struct {
			name string
			args []string
		}{
			{"PSK", []string{"-u", string(identity), "-k", string(key)}},
			{"certificate", []string{"-R", certificates.ca}},
		} {
			n++
			t.Run(library+"/"+way.name, func(t *testing.T) {
				program := needProgram(t, "coap-client-"+library, "apt-get install libcoap3-bin")
				h := startHubd(t, "-coaps", "127.0.0.1:0")
				base := "coaps://" + h.addrs["coaps"]
				sign := auth.Sign(auth.HMACMD5, lamp.secret, auth.Param{Key: "clientId", Value: "libcoap"},
					auth.Param{Key: "deviceName", Value: lamp.id.Name}, auth.Param{Key: "productKey", Value: lamp.id.Product})
				var in struct{ Token string }
				login := fmt.Sprintf(`{"productKey":%q,"deviceName":%q,"clientId":"libcoap","sign":%q}`, lamp.id.Product, lamp.id.Name, sign)
				out := libcoap(t, program, base+"/auth", login, append(way.args, "-A", "50")...)
				if err := json.Unmarshal([]byte(out), &in); err != nil || in.Token == "" {
					t.Fatalf("login: %s, %v", out, err)
				}
				body := fmt.Sprintf(`{"id":"%d","version":"1.0","params":{"Level":%d},"method":"thing.event.property.post"}`, n, n)
				post := func(d device, token, body string) string {
					return libcoap(t, program, base+"/topic"+d.sys("thing/event/property/post"), body, append(way.args, "-O", "61,"+token)...)
				}
				if out := post(lamp, in.Token, body); !strings.Contains(out, `"code":200`) {
					t.Errorf("post: %s", out)
				}
				if out := post(other, in.Token, body); !strings.Contains(out, "4.00") {
					t.Errorf("topic of another device: %s", out)
				}
				if out := post(lamp, "nonsense", body); !strings.Contains(out, "4.01") {
					t.Errorf("wrong token: %s", out)
				}
				if out := post(lamp, in.Token, strings.Repeat("x", 3000)); !strings.Contains(out, "4.13") {
					t.Errorf("in blocks: %s", out)
				}
				h.do(t, "PATCH", devicePath(lamp)+"/desired", object{"desired": object{"Text": strings.Repeat("0123456789", 300)}}, &struct{}{})
				ask := `{"id":"1","version":"1.0","params":["Text"],"method":"thing.property.desired.get"}`
				out = libcoap(t, program, base+"/topic"+lamp.sys("thing/property/desired/get"), ask, append(way.args, "-O", "61,"+in.Token)...)
				if !strings.Contains(out, strings.Repeat("0123456789", 300)) {
					t.Errorf("an answer in blocks: %s", out)
				}
				if got := h.property(t, lamp, "Level"); fmt.Sprint(got) != fmt.Sprint(n) {
					t.Errorf("the platform has %v, want %d", got, n)
				}
			})
		}
	}
}

func TestLibcoapWrongKey(t *testing.T) {
	h := startHubd(t, "-coaps", "127.0.0.1:0")
	for _, library := range []string{"openssl", "gnutls"} {
		program := needProgram(t, "coap-client-"+library, "apt-get install libcoap3-bin")
		cmd := exec.CommandContext(t.Context(), program, "-B", "2", "-m", "post", "-u", string(auth.PSKIdentity(lamp.id, "1")), "-k", "guess", "-e", "{}", "coaps://"+h.addrs["coaps"]+"/auth")
		if o := run(t, cmd); strings.Contains(o.out, "4.00") {
			t.Errorf("%s: let in: %s", library, o.out)
		}
	}
}

// TestOpenSSLVendorSuite shakes hands as vendor firmware does: with one suite, which
// OpenSSL has of its own.
func TestOpenSSLVendorSuite(t *testing.T) {
	openssl := needProgram(t, "openssl", "apt-get install openssl")
	h := startHubd(t, "-coaps", "127.0.0.1:0")
	cmd := exec.CommandContext(t.Context(), openssl, "s_client", "-connect", h.addrs["coaps"], "-dtls1_2", "-cipher", "PSK-AES128-CBC-SHA:@SECLEVEL=0",
		"-psk_identity", string(auth.PSKIdentity(lamp.id, "2524608000000")), "-psk", hex.EncodeToString(auth.PSKKey(lamp.id, lamp.secret, "2524608000000")))
	cmd.Stdin = strings.NewReader("Q\n")
	run(t, cmd).want(t, 0, "Cipher is PSK-AES128-CBC-SHA")
}

// TestNPMCoAP posts with the npm package coap to the port without DTLS.
func TestNPMCoAP(t *testing.T) {
	node := needNPM(t, "coap", "1.5.0")
	h := startHubd(t, "-coap", "127.0.0.1:0")
	p := startPeer(t, lamp, peerConfig{URL: (&url.URL{Scheme: "coap", Host: h.addrs["coap"]}).String(), Level: 7}, node, "npm/coap.js")
	if e := p.want(t, "login"); e.Text != "2.05" {
		t.Fatalf("login: %s", e.Text)
	}
	if e := p.want(t, "post"); e.Text != "2.05" || !strings.Contains(e.Payload, `"code":200`) {
		t.Errorf("post: %s %s", e.Text, e.Payload)
	}
	if e := p.want(t, "replay"); e.Text != "4.01" {
		t.Errorf("the same number again: %s", e.Text)
	}
	if got := h.property(t, lamp, "Level"); got != 7.0 {
		t.Errorf("the platform has %v, want 7", got)
	}
}
