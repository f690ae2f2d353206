// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/openalink/iot/auth"
)

const plain = "zq7TopSecretText0"

// shown reports in which form the secret text stands in out.
func shown(out string) string {
	decimal := strings.Trim(fmt.Sprintf("%d", []byte(plain)), "[]")
	forms := map[string]string{
		"text":     plain,
		"hex":      hex.EncodeToString([]byte(plain)),
		"base64":   base64.StdEncoding.EncodeToString([]byte(plain)),
		"bytes":    decimal,
		"bytes,":   strings.ReplaceAll(decimal, " ", ","),
		"Go bytes": strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(plain)), "[]byte"), "{}"),
		"hex list": fmt.Sprintf("%x", []byte(plain[:4])),
	}
	for form, text := range forms {
		if strings.Contains(strings.ToLower(out), strings.ToLower(text)) {
			return form
		}
	}
	return ""
}

var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%b", "%c", "%U", "%t", "%e", "%p", "%T", "%z", "%10.3s", "%#q"}

type exported struct {
	Secret   auth.Secret
	Password auth.Password
	Token    auth.Token
	Cred     auth.Credential
	Pointer  *auth.Secret
	List     []auth.Secret
	Map      map[string]auth.Password
	Any      any
}

type unexported struct {
	secret  auth.Secret
	pointer *auth.Secret
	list    []auth.Secret
	inner   struct{ secret auth.Secret }
	iface   any
	pass    auth.Password
	token   auth.Token
	cred    auth.Credential
}

func hiding() map[string]any {
	s := auth.NewSecret(plain)
	p, tk := auth.NewPassword(plain), auth.NewToken(plain)
	u := unexported{secret: s, pointer: &s, list: []auth.Secret{s}, iface: s, pass: p, token: tk, cred: p}
	u.inner.secret = s
	return map[string]any{
		"Secret": s, "*Secret": &s, "Password": p, "*Password": &p, "Token": tk,
		"Triple": auth.Triple{ClientID: "c", UserName: "u", Password: s},
		"struct": exported{s, p, tk, p, &s, []auth.Secret{s}, map[string]auth.Password{"k": p}, tk},
		"slice":  []auth.Password{p}, "map": map[string]auth.Secret{"k": s},
		"unexported": u, "*unexported": &u,
	}
}

func TestNeverPrints(t *testing.T) {
	for name, v := range hiding() {
		for _, verb := range verbs {
			if form := shown(fmt.Sprintf(verb, v)); form != "" {
				t.Errorf("fmt %s shows a %s as %s", verb, name, form)
			}
		}
		if form := shown(fmt.Sprintln(v) + fmt.Errorf("wrapped: %v", v).Error()); form != "" {
			t.Errorf("fmt shows a %s as %s", name, form)
		}
	}
}

func TestNeverLogs(t *testing.T) {
	for name, v := range hiding() {
		var out bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("login", "v", v, slog.Group("g", "v", v))
		}
		if form := shown(out.String()); form != "" {
			t.Errorf("slog shows a %s as %s: %s", name, form, &out)
		}
	}
}

func TestNeverEncodes(t *testing.T) {
	for name, v := range hiding() {
		out, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if form := shown(string(out)); form != "" {
			t.Errorf("JSON shows a %s as %s: %s", name, form, out)
		}
		out, err = xml.Marshal(v)
		if form := shown(string(out)); form != "" {
			t.Errorf("XML shows a %s as %s: %s (%v)", name, form, out, err)
		}
	}
}

func TestErrorsHideSecrets(t *testing.T) {
	c, err := auth.ParseClientID("id|signmethod=hmacsha256|")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Verify([]byte(plain), devA, auth.NewSecret(plain))
	if !errors.Is(err, auth.ErrBadSign) || shown(err.Error()) != "" {
		t.Errorf("got %v", err)
	}
}

func TestSecret(t *testing.T) {
	var zero, read auth.Secret
	if !zero.IsZero() || zero.Reveal() != "" || zero.String() != "" || auth.NewSecret("") != zero {
		t.Error("the zero secret is not empty")
	}
	if err := json.Unmarshal([]byte(`"`+plain+`"`), &read); err != nil || read.Reveal() != plain {
		t.Errorf("read %q, %v", read.Reveal(), err)
	}
	if fmt.Sprint(read) != "***" || fmt.Sprint(auth.NewPassword("x"), auth.NewToken("x")) != "*** ***" {
		t.Error("secrets print otherwise than ***")
	}
	if auth.NewPassword("x").String()+auth.NewToken("x").String() != "******" {
		t.Error("String shows something")
	}
}

func TestSecretEqual(t *testing.T) {
	a, b := auth.NewSecret("a"), auth.NewSecret(strings.Clone("a"))
	for _, tt := range []struct {
		x, y auth.Secret
		want bool
	}{{a, b, true}, {a, auth.NewSecret("b"), false}, {a, auth.NewSecret("ab"), false}, {a, auth.Secret{}, false}, {auth.Secret{}, auth.Secret{}, true}} {
		if got := tt.x.Equal(tt.y); got != tt.want {
			t.Errorf("%q, %q: got %v", tt.x.Reveal(), tt.y.Reveal(), got)
		}
		if got := tt.x.EqualBytes([]byte(tt.y.Reveal())); got != (tt.want && !tt.x.IsZero()) {
			t.Errorf("bytes %q, %q: got %v", tt.x.Reveal(), tt.y.Reveal(), got)
		}
	}
}
