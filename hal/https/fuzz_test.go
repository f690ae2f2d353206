// SPDX-License-Identifier: Apache-2.0

package https_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/https"
	"github.com/openalink/iot/topic"
)

// checker is a platform that looks at what gets through.
type checker struct {
	noTokens
	t    *testing.T
	body []byte
}

func (c checker) IssueToken(_ context.Context, p *hal.Proof, use auth.Use) (hal.TokenGrant, error) {
	if p.Device.Validate() != nil || p.Sign == "" || use != auth.UseRequests || len(p.Params) < 3 {
		c.t.Errorf("let through: %v, %d params", p.Device, len(p.Params))
	}
	return hal.TokenGrant{Token: auth.NewSecret("token")}, nil
}

func (c checker) Connect(context.Context, *hal.ConnectRequest) (hal.Accepted, error) {
	return hal.Accepted{Session: session{c}}, nil
}

type session struct{ checker }

func (s session) Receive(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
	if !bytes.HasPrefix(s.body, m.Payload) || len(bytes.Trim(s.body[len(m.Payload):], "\x00")) > 0 {
		s.t.Errorf("%q arrived as %q", s.body, m.Payload)
	}
	done([]iot.Message{m}, nil)
}

func (session) Authorize(topic.Operation, string) error { return nil }
func (session) Close(hal.Cause)                         {}

func FuzzRequest(f *testing.F) {
	f.Add("/auth", []byte(signed(labSecret, lab)))
	f.Add("/auth", []byte("{\"clientId\":\"\\u0000\",\"sign\":1e400}\x00"))
	f.Add(labPost, []byte(onePost+"\x00"))
	f.Add("/topic/a1LabPk00001/lab_dev_01/user/up_raw", []byte{0, 1, 0})
	f.Add("/topic//", []byte(nil))
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		h, err := https.NewHandler(https.Config{Platform: checker{t: t, body: body}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.URL.Path = path
		r.Header.Set("password", "token")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !https.Serves(path) {
			return
		}
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK || a.Message != a.Code.String() {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	})
}
