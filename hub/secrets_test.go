// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/bolt"
)

// TestSecretsStayInside drives everything that knows a secret and then looks for
// each of them, in every form, in all the hub wrote: store, logs, errors.
func TestSecretsStayInside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	var out bytes.Buffer
	sealer, err := auth.NewSealer(auth.SealKey{Version: 7, Key: [32]byte{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	open := func() (*platform, func()) {
		st, err := bolt.Open(path, bolt.Options{Logger: logger})
		if err != nil {
			t.Fatal(err)
		}
		limits := hub.NoLimits()
		h, err := hub.Open(t.Context(), hub.Config{Store: st, Limits: &limits, Sealer: sealer, Logger: logger, PlainRegistration: true})
		if err != nil {
			t.Fatal(err)
		}
		return &platform{t: t, hub: h, store: st}, func() { _ = h.Close(); _ = st.Close() }
	}
	p, done := open()
	secrets := useSecrets(t, p, &out)
	for e := range p.hub.Logs(t.Context(), hub.LogQuery{}) {
		fmt.Fprintf(&out, "%+v\n", e)
	}
	fmt.Fprintf(&out, "%+v %#v\n", p.hub, secrets)
	done()
	p, done = open() // what was sealed opens again
	for id, secret := range secrets.devices {
		if d, err := p.hub.Device(t.Context(), id); err != nil || !d.Secret.Equal(secret) {
			t.Errorf("%v has another secret after a restart: %v", id, err)
		}
	}
	done()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range secrets.all {
		for form, text := range map[string]string{
			"text": s.Reveal(), "hex": hex.EncodeToString([]byte(s.Reveal())), "bytes": strings.Trim(fmt.Sprintf("%d", []byte(s.Reveal())), "[]"),
			"base64": base64.StdEncoding.EncodeToString([]byte(s.Reveal()))[:len(s.Reveal())],
		} {
			if strings.Contains(out.String(), text) {
				t.Errorf("the %s is in the logs as %s", name, form)
			}
			if bytes.Contains(file, []byte(text)) {
				t.Errorf("the %s is in the store as %s", name, form)
			}
		}
	}
	if _, err := hub.Open(t.Context(), hub.Config{Store: reopened(t, path)}); err == nil {
		t.Error("a sealed store opens without its key")
	}
}

func reopened(t *testing.T, path string) *bolt.Engine {
	t.Helper()
	st, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// usedSecrets are all secrets that came up.
type usedSecrets struct {
	all     map[string]auth.Secret
	devices map[iot.DeviceID]auth.Secret
}

// useSecrets has secrets made, used, refused, changed and handed out.
func useSecrets(t *testing.T, p *platform, out *bytes.Buffer) usedSecrets {
	t.Helper()
	u := usedSecrets{map[string]auth.Secret{}, map[iot.DeviceID]auth.Secret{}}
	note := func(what string, err error) {
		if err != nil {
			fmt.Fprintf(out, "%s: %v %+v %#v\n", what, err, err, err)
		}
	}
	product, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: "a1Sealed001", DynamicRegister: true})
	note("product", err)
	p.product = product
	u.all["ProductSecret"] = product.Secret
	gw, lamp, sub := p.newGateway("gw-1"), p.register("lamp-1"), p.register("sub-1")
	old := lamp.Secret
	lamp, err = p.hub.RotateSecret(t.Context(), lamp.ID, auth.Secret{})
	note("rotate", err)
	u.all["former DeviceSecret"], u.all["DeviceSecret"], u.all["sub-device's secret"] = old, lamp.Secret, sub.Secret
	u.devices[lamp.ID], u.devices[sub.ID] = lamp.Secret, sub.Secret
	_, err = p.hub.RegisterDevice(t.Context(), hub.Device{ID: lamp.ID, Secret: auth.NewSecret("another-secret-of-lamp")})
	u.all["secret that was refused"] = auth.NewSecret("another-secret-of-lamp")
	note("register again", err)

	g := p.connect(gw)
	g.wantCode(200, "thing/sub/register", []any{nameEntry(sub.ID)})
	g.join(sub)
	_, _, err = p.come(auth.SignMQTT(lamp.ID, old, auth.MQTTOptions{}), nil)
	note("old secret", err)
	_, _, err = p.come(auth.Triple{ClientID: "c|securemode=3|", UserName: "lamp-1&" + lamp.ID.Product, Password: lamp.Secret}, nil)
	note("secret as password", err)
	grant, err := p.hub.IssueToken(t.Context(), p.proof(lamp, lamp.Secret), auth.UseConnect)
	note("token", err)
	u.all["token"] = grant.Token
	_, _, err = p.come(auth.Triple{ClientID: "c|securemode=-1|", UserName: grant.IotID, Password: grant.Token}, nil)
	note("token login", err)
	note("revoke", p.hub.RevokeTokens(t.Context(), lamp.ID))
	_, _, err = p.come(auth.Triple{ClientID: "c|securemode=-1|", UserName: grant.IotID, Password: grant.Token}, nil)
	note("revoked token", err)
	l, _, err := p.come(auth.SignRegister(iot.DeviceID{Product: product.Key, Name: "new-1"}, product.Secret, auth.RegisterOptions{AuthType: auth.AuthRegNWL, Random: "r"}), nil)
	note("regnwl", err)
	for _, d := range l.take() {
		_, token, _ := strings.Cut(string(d.Message.Payload), `"deviceToken":"`)
		token, _, _ = strings.Cut(token, `"`)
		u.all["deviceToken"] = auth.NewSecret(token)
	}
	app, err := p.hub.PutApplication(t.Context(), hub.Application{Name: "billing"})
	note("application", err)
	u.all["AccessKey's secret"] = app.Secret
	_, err = p.hub.Enroll(t.Context(), &hal.Proof{Device: lamp.ID, Sign: product.Secret.Reveal(), Params: []auth.Param{{Key: "random", Value: "r"}}})
	note("enroll", err)
	for name, s := range u.all {
		if len(s.Reveal()) < 10 {
			t.Errorf("no %s came up", name)
		}
	}
	return u
}
