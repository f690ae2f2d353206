// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/http2"
	"github.com/openalink/iot/topic"
)

// checker is a platform, and keeper of files, that looks at what gets through.
type checker struct{ t *testing.T }

func (c checker) IssueToken(_ context.Context, p *hal.Proof, use auth.Use) (hal.TokenGrant, error) {
	if p.Device.Validate() != nil || p.Sign == "" || use != auth.UseRequests || len(p.Params) < 3 || len(p.Params) > 16 {
		c.t.Errorf("let through: %v, %d params", p.Device, len(p.Params))
	}
	return hal.TokenGrant{Token: auth.NewSecret(p.Device.String())}, nil
}

func (checker) VerifyToken(_ context.Context, token auth.Token, _ auth.Use) (iot.DeviceID, error) {
	return iot.ParseDeviceID(string(token.Bytes()))
}

func (checker) RevokeTokens(context.Context, iot.DeviceID) error { return nil }

func (c checker) Connect(_ context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	if r.Link == nil || r.Kind != hal.Connection || r.KeepAlive < 0 {
		c.t.Errorf("asked with %+v", r)
	}
	return hal.Accepted{Session: session(c)}, nil
}

func (checker) Create(context.Context, iot.DeviceID, string, bool) (string, error) { return "UL1", nil }

func (checker) Append(_ context.Context, _ iot.DeviceID, _ string, r io.Reader) (int64, error) {
	if r == nil {
		return 0, nil
	}
	return io.Copy(io.Discard, r)
}

func (checker) Finish(context.Context, iot.DeviceID, string) (http2.Stored, error) {
	return http2.Stored{ID: "1"}, nil
}

type session checker

func (session) Receive(_ context.Context, _ iot.Message, done func([]iot.Message, error)) {
	done(nil, nil)
}
func (session) Authorize(topic.Operation, string) error { return nil }
func (session) Close(hal.Cause)                         {}

// FuzzStream opens a data stream and sends with any headers: no panic, and every
// answer is one the SDKs read.
func FuzzStream(f *testing.F) {
	f.Add("c/iot/sys/thing/file/upload", "X-Auth-Param-Client-Id: c\nX-Auth-Param-Product-Key: pk\nX-Auth-Param-Device-Name: dn\nX-Auth-Param-Sign: s\nX-Auth-Name: devicename", []byte("x"), "1")
	f.Add("/x", "X-Auth-Name: devicename\nX-Auth-Param-: x\nX-Auth-Param---a: y", []byte{}, "-1")
	f.Fuzz(func(t *testing.T, service, headers string, body []byte, length string) {
		h, err := http2.NewHandler(http2.Config{Platform: checker{t}, Blobs: checker{t}, MaxFile: 100, Service: func(string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
		}})
		if err != nil {
			t.Fatal(err)
		}
		id := ""
		for _, verb := range []string{"open", "send", "close", "other"} {
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
			r.URL.Path = "/stream/" + verb + "/" + service
			if n, err := strconv.ParseInt(length, 10, 64); err == nil {
				r.ContentLength = max(n, -1)
			}
			for line := range strings.SplitSeq(headers, "\n") {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Add(name, value)
			}
			r.Header.Set("X-Data-Stream-Id", id)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			id = w.Header().Get("X-Data-Stream-Id")
			if id == "" || w.Header().Get("X-Response-Status") != strconv.Itoa(w.Code) {
				t.Errorf("%s: %d, %v", r.URL.Path, w.Code, w.Header())
			}
		}
	})
}

// FuzzLines says anything to a connection: no panic, and it ends.
func FuzzLines(f *testing.F) {
	f.Add("{\"done\":[\"1\"]}\n\n{\"again\":[\"1\"],\"delay\":-1}\n{\"later\":[\"99999999999999999999\"]}\n")
	f.Add("[]\n{")
	f.Fuzz(func(t *testing.T, lines string) {
		h, err := http2.NewHandler(http2.Config{Platform: checker{t}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/h2/connect", strings.NewReader(lines))
		r.ProtoMajor = 2
		r.Header.Set("X-Auth-Name", "mqtt")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `{"end":"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzDown sends anything to a device: it ends, and hears no more than was said.
func FuzzDown(f *testing.F) {
	f.Add("{\"topic\":\"/a\",\"payload\":\"eA==\",\"qos\":1,\"handle\":\"1\"}\n{\"ping\":1}\n{\"end\":\"kicked\"}\n", "x")
	f.Add("{\"topic\":1}\n", "c")
	f.Fuzz(func(t *testing.T, lines, channel string) {
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Channel-Id"] = []string{strings.Map(visible, channel)}
			_, _ = io.WriteString(w, lines)
		}))
		web.Config.Protocols = new(http.Protocols)
		web.Config.Protocols.SetUnencryptedHTTP2(true)
		web.Start()
		defer web.Close()
		heard := 0
		c, err := http2.New("h2c"+strings.TrimPrefix(web.URL, "http")).Connect(t.Context(), login(labSecret), func(iot.Message) { heard++ })
		if err != nil {
			return
		}
		<-c.Done()
		if err := c.Publish(t.Context(), iot.Message{Topic: "/a"}); !errors.Is(err, hal.ErrGone) {
			t.Errorf("Publish: %v", err)
		}
		_ = c.Close()
		said := 0
		for s := bufio.NewScanner(strings.NewReader(lines)); s.Scan(); {
			said++
		}
		if heard > said {
			t.Errorf("heard %d of %d lines", heard, said)
		}
	})
}

func visible(r rune) rune {
	if r <= ' ' || r > '~' {
		return -1
	}
	return r
}
