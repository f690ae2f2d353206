// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"hash/crc64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openalink/iot/auth"
)

// TestNodeDevice is a device in Node that knows nothing but docs/http2.md: it
// subscribes, posts, is told things, gives one of them back, and leaves. It comes over
// a port that agrees on HTTP/2 in the handshake, and over the one for everything.
func TestNodeDevice(t *testing.T) {
	node := needProgram(t, "node", "install node 18 or newer")
	h := startHubd(t)
	for _, listener := range []string{"https", "any"} {
		t.Run(listener, func(t *testing.T) {
			cmd := exec.Command(node, "npm/h2device.js", "https://"+h.addrs[listener], lamp.id.Product, lamp.id.Name, lamp.secret.Reveal())
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			lines := bufio.NewScanner(out)
			var got []string
			until := func(text string) {
				t.Helper()
				for lines.Scan() {
					got = append(got, lines.Text())
					if lines.Text() == text {
						return
					}
				}
				t.Fatalf("node ended before %q: %q", text, got)
			}
			until("foreign 422")
			get := lamp.topic("user/get")
			h.publish(t, get, "hello", 1)
			h.publish(t, get, "again", 1)
			h.publish(t, get, "bye", 0)
			until("message " + get + " again again")
			_ = in.Close()
			until("closed")
			want := []string{
				"status 200", "grants 1 128", "posted 200 true", "foreign 422", "message " + get + " first hello",
				"message " + get + " first again", "message " + get + " again again", "message " + get + " first bye", "end client", "closed",
			}
			for _, line := range want {
				if !slices.Contains(got, line) {
					t.Errorf("node did not say %q: %q", line, got)
				}
			}
			if !slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, "property/post_reply first") }) {
				t.Errorf("no reply: %q", got)
			}
		})
	}
}

// TestCurlUploads sends a file in two parts, as the SDKs do.
func TestCurlUploads(t *testing.T) {
	program := needProgram(t, "curl", "apt-get install curl")
	h := startHubd(t)
	const service = "c/iot/sys/thing/file/upload"
	ask := func(verb string, body []byte, headers ...string) map[string]string {
		t.Helper()
		args := []string{"--silent", "--show-error", "--http2", "--cacert", certificates.ca, "--dump-header", "-", "--output", os.DevNull, "--data-binary", "@-"}
		for _, header := range headers {
			args = append(args, "--header", header)
		}
		cmd := exec.CommandContext(t.Context(), program, append(args, "https://"+h.addrs["https"]+"/stream/"+verb+"/"+service)...)
		cmd.Stdin = bytes.NewReader(body)
		o := run(t, cmd)
		answer := map[string]string{}
		for line := range strings.Lines(o.out) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			answer[name] = value
		}
		if o.code != 0 || answer["x-response-status"] != "200" {
			t.Fatalf("%s: exit code %d: %s", verb, o.code, o.out)
		}
		return answer
	}
	sign := auth.Sign(auth.HMACSHA1, lamp.secret, auth.Param{Key: "clientId", Value: "curl"},
		auth.Param{Key: "deviceName", Value: lamp.id.Name}, auth.Param{Key: "productKey", Value: lamp.id.Product})
	login := []string{
		"x-auth-name: devicename", "x-auth-param-client-id: curl", "x-auth-param-signmethod: hmacsha1",
		"x-auth-param-product-key: " + lamp.id.Product, "x-auth-param-device-name: " + lamp.id.Name, "x-auth-param-sign: " + sign,
	}
	file := make([]byte, 300_000)
	_, _ = rand.Read(file)
	open := ask("open", nil, append(login, "x-file-name: photo.jpg", "x-file-overwrite: 0")...)
	ask("send", file[:100_000], "x-data-stream-id: "+open["x-data-stream-id"])
	open = ask("open", nil, append(login, "x-file-upload-id: "+open["x-file-upload-id"])...)
	if open["x-next-append-position"] != "100000" {
		t.Errorf("position %s", open["x-next-append-position"])
	}
	ask("send", file[100_000:], "x-data-stream-id: "+open["x-data-stream-id"])
	closed := ask("close", nil, "x-data-stream-id: "+open["x-data-stream-id"])
	if sum := strconv.FormatInt(int64(crc64.Checksum(file, crc64.MakeTable(crc64.ECMA))), 10); closed["x-file-crc64ecma"] != sum {
		t.Errorf("checksum %s, want %s", closed["x-file-crc64ecma"], sum)
	}
	data := h.cmd.Args[slices.Index(h.cmd.Args, "-data")+1]
	if got, err := os.ReadFile(filepath.Join(data, "uploads", closed["x-file-store-id"])); err != nil || !bytes.Equal(got, file) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
