// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
)

// come is a CONNECT made by hand.
func (p *platform) come(tr auth.Triple, change func(*hal.ConnectRequest)) (*link, hal.Accepted, error) {
	p.t.Helper()
	l := &link{}
	r := &hal.ConnectRequest{
		Protocol: "mqtt", Version: 4, ClientID: tr.ClientID, UserName: tr.UserName, Credential: auth.NewPassword(tr.Password.Reveal()),
		KeepAlive: time.Minute, CleanSession: true, Link: l, TLS: &tls.ConnectionState{},
	}
	if change != nil {
		change(r)
	}
	acc, err := p.hub.Connect(p.t.Context(), r)
	if err == nil {
		l.onClose = func(cause hal.Cause) { go acc.Session.Close(cause) }
	}
	return l, acc, err
}

func wantReason(t *testing.T, err error, want hal.Reason) {
	t.Helper()
	if got := reasonOf(err); got != want {
		t.Errorf("refused with %v (%v), want %v", got, err, want)
	}
}

func (p *platform) dynamic(on bool) {
	p.t.Helper()
	if _, err := p.hub.UpdateProduct(p.t.Context(), p.product.Key, func(p *hub.Product) { p.DynamicRegister = on }); err != nil {
		p.t.Fatal(err)
	}
}

// Wire facts section 4.4.
func TestRegisterOverMQTT(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		tr := auth.SignRegister(d.ID, p.product.Secret, auth.RegisterOptions{Random: "04DD61BD"})
		_, _, err := p.come(tr, nil)
		wantReason(t, err, hal.NotAuthorized) // the switch is off
		p.dynamic(true)
		_, _, err = p.come(auth.SignRegister(d.ID, auth.NewSecret("guess"), auth.RegisterOptions{Random: "x"}), nil)
		wantReason(t, err, hal.BadCredentials)
		_, _, err = p.come(auth.SignRegister(iot.DeviceID{Product: p.product.Key, Name: "nobody"}, p.product.Secret, auth.RegisterOptions{Random: "x"}), nil)
		wantReason(t, err, hal.BadCredentials)
		_, _, err = p.come(tr, func(r *hal.ConnectRequest) { r.TLS = nil })
		wantReason(t, err, hal.NotAuthorized)

		l, acc, err := p.come(tr, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := l.take()
		want := fmt.Sprintf(`{"productKey":"%s","deviceName":"lamp-1","deviceSecret":"%s"}`, p.product.Key, d.Secret.Reveal())
		if len(got) != 1 || got[0].Message.Topic != "/ext/register" || string(got[0].Message.Payload) != want {
			t.Errorf("got %+v", got)
		}
		if p.hub.Online(d.ID) {
			t.Error("a registration counts as being online")
		}
		done := make(chan error, 1)
		acc.Session.Receive(t.Context(), iot.Message{Topic: "/sys/" + d.ID.String() + "/thing/event/property/post", Payload: []byte(`{}`)}, func(_ []iot.Message, err error) { done <- err })
		if err := <-done; !isRejected(err) {
			t.Errorf("a registration may publish: %v", err)
		}
		if g := acc.Session.(hal.Subscriber).Subscribe(t.Context(), []hal.Filter{{Topic: "/ext/register"}, {Topic: "/" + d.ID.String() + "/user/get"}}); g[0] != 0 || g[1] != hal.Refused {
			t.Errorf("grants %v", g)
		}
		time.Sleep(time.Minute)
		l.mu.Lock()
		stayed := l.cause != hal.CauseProtocol
		l.mu.Unlock()
		if stayed {
			t.Error("a registration may stay for ever")
		}
		_, _, err = p.come(tr, nil) // once
		wantReason(t, err, hal.NotAuthorized)
		p.connect(d)
	})
}

// Wire facts section 4.5.
func TestRegisterWithoutWhitelist(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		p.dynamic(true)
		id := iot.DeviceID{Product: p.product.Key, Name: "new-lamp"}
		register := func() auth.Triple {
			t.Helper()
			l, _, err := p.come(auth.SignRegister(id, p.product.Secret, auth.RegisterOptions{AuthType: auth.AuthRegNWL, Random: "x"}), nil)
			if err != nil {
				t.Fatal(err)
			}
			var a struct{ ClientID, ProductKey, DeviceName, DeviceToken string }
			got := l.take()
			if len(got) != 1 || got[0].Message.Topic != "/ext/regnwl" || json.Unmarshal(got[0].Message.Payload, &a) != nil || a.DeviceName != id.Name {
				t.Fatalf("got %+v", got)
			}
			return auth.TokenLogin(id, a.ClientID, auth.NewSecret(a.DeviceToken), auth.Param{Key: "_ss", Value: "1"})
		}
		first := register()
		second := register()
		_, _, err := p.come(first, nil)
		wantReason(t, err, hal.BadCredentials) // void
		if _, _, err := p.come(second, nil); err != nil || !p.hub.Online(id) {
			t.Errorf("login with the token: %v", err)
		}
		if err := p.hub.RevokeTokens(t.Context(), id); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if p.hub.Online(id) {
			t.Error("online with a revoked token")
		}
		// A device with a secret of its own is not registered away.
		d := p.register("lamp-1")
		p.connect(d)
		_, _, err = p.come(auth.SignRegister(d.ID, p.product.Secret, auth.RegisterOptions{AuthType: auth.AuthRegNWL, Random: "x"}), nil)
		wantReason(t, err, hal.NotAuthorized)
	})
}

func (p *platform) proof(d hub.Device, secret auth.Secret) *hal.Proof {
	params := []auth.Param{{Key: "clientId", Value: "c"}, {Key: "deviceName", Value: d.ID.Name}, {Key: "productKey", Value: d.ID.Product}}
	return &hal.Proof{Device: d.ID, Method: auth.HMACSHA1, Sign: auth.Sign(auth.HMACSHA1, secret, params...), Params: params}
}

func TestTokens(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		issue := func(use auth.Use) hal.TokenGrant {
			t.Helper()
			g, err := p.hub.IssueToken(t.Context(), p.proof(d, d.Secret), use)
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		check := func(g hal.TokenGrant, use auth.Use) error {
			id, err := p.hub.VerifyToken(t.Context(), auth.NewToken(g.Token.Reveal()), use)
			if err == nil && id != d.ID {
				t.Errorf("token of %v", id)
			}
			return err
		}
		want := func(err, target error) {
			t.Helper()
			if !errors.Is(err, target) {
				t.Errorf("error %v, want %v", err, target)
			}
		}
		_, err := p.hub.IssueToken(t.Context(), p.proof(d, auth.NewSecret("guess")), auth.UseRequests)
		want(err, auth.ErrBadSign)
		_, err = p.hub.IssueToken(t.Context(), p.proof(hub.Device{ID: iot.DeviceID{Product: p.product.Key, Name: "nobody"}}, d.Secret), auth.UseRequests)
		want(err, auth.ErrUnknownDevice)

		g := issue(auth.UseRequests)
		if len(g.Token.Reveal()) > 192 {
			t.Errorf("a token has %d characters", len(g.Token.Reveal()))
		}
		want(check(g, auth.UseRequests), nil)
		want(check(g, auth.UseConnect), auth.ErrBadSign)
		for range 3 { // nobody is logged out by new keys
			if err := p.hub.RotateTokenKey(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want(check(g, auth.UseRequests), nil)
		time.Sleep(48 * time.Hour)
		want(check(g, auth.UseRequests), auth.ErrTokenExpired)

		g = issue(auth.UseRequests)
		if err := p.hub.RevokeTokens(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		want(check(g, auth.UseRequests), auth.ErrBadSign)

		g = issue(auth.UseRequests)
		if d, err = p.hub.RotateSecret(t.Context(), d.ID, auth.Secret{}); err != nil {
			t.Fatal(err)
		}
		want(check(g, auth.UseRequests), auth.ErrBadSign)

		g = issue(auth.UseRequests)
		if _, err := p.hub.DisableDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		want(check(g, auth.UseRequests), hub.ErrDisabled)
		if err := p.hub.DeleteDevice(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		want(check(g, auth.UseRequests), auth.ErrBadSign)
	})
}

// MQTT behind HTTPS pre-authentication (wire facts section 4.1).
func TestPreAuthLogin(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		g, err := p.hub.IssueToken(t.Context(), p.proof(d, d.Secret), auth.UseConnect)
		if err != nil {
			t.Fatal(err)
		}
		login := auth.Triple{ClientID: "a1Lab.lamp|securemode=-1,_v=sdk-c-2.3.0,signmethod=hmacsha1,gw=0,ext=0|", UserName: g.IotID, Password: g.Token}
		if _, _, err := p.come(login, nil); err != nil || !p.hub.Online(d.ID) {
			t.Fatalf("login with iotId and iotToken: %v", err)
		}
		other := login
		other.Password = auth.NewSecret("x")
		_, _, err = p.come(other, nil)
		wantReason(t, err, hal.Unavailable) // CONNACK 3, as documented
		other.UserName = strings.Repeat("z", 26)
		_, _, err = p.come(other, nil)
		wantReason(t, err, hal.Unavailable)
		if err := p.hub.RevokeTokens(t.Context(), d.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p.hub.Online(d.ID) {
			t.Error("online with a revoked token")
		}
	})
}

func TestEnrollCodes(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		proof := func(id iot.DeviceID, secret auth.Secret) *hal.Proof {
			params := []auth.Param{{Key: "deviceName", Value: id.Name}, {Key: "productKey", Value: id.Product}, {Key: "random", Value: "567345"}}
			return &hal.Proof{Device: id, Method: auth.HMACMD5, Sign: auth.Sign(auth.HMACMD5, secret, params...), Params: params}
		}
		want := func(pr *hal.Proof, code alink.Code) {
			t.Helper()
			secret, err := p.hub.Enroll(t.Context(), pr)
			if code == alink.CodeOK && (err != nil || !secret.Equal(d.Secret)) {
				t.Errorf("enroll: %v", err)
			}
			if code != alink.CodeOK && !errors.Is(err, &alink.CodeError{Code: code}) {
				t.Errorf("enroll: %v, want code %d", err, code)
			}
		}
		want(proof(d.ID, p.product.Secret), alink.CodeNoDynamicRegister)
		p.dynamic(true)
		want(proof(iot.DeviceID{Product: "a1Nowhere", Name: "lamp-1"}, p.product.Secret), alink.CodeProductNotFound)
		want(proof(iot.DeviceID{Product: p.product.Key, Name: "nobody"}, p.product.Secret), alink.CodeDeviceNotFound)
		want(proof(d.ID, auth.NewSecret("guess")), alink.CodeSignFailed)
		want(proof(d.ID, p.product.Secret), alink.CodeOK)
		want(proof(d.ID, p.product.Secret), alink.CodeAlreadyActive)
	})
}

func TestCertificates(t *testing.T) {
	bubble(t, hub.Config{Limits: limitless()}, func(t *testing.T, p *platform) {
		ca, err := auth.NewCA("devices", 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.hub.UpdateProduct(t.Context(), p.product.Key, func(p *hub.Product) { p.X509 = true }); err != nil {
			t.Fatal(err)
		}
		d, other := p.register("lamp-1"), p.register("lamp-2")
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.Issue(d.ID, key.Public(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: time.Now()}); err != nil {
			t.Errorf("issued certificate: %v", err)
		}
		shown := auth.Certificate{cert}
		login := func() (*link, error) {
			l, _, err := p.come(auth.Triple{ClientID: "whatever"}, func(r *hal.ConnectRequest) { r.Credential = shown })
			return l, err
		}
		l, err := login()
		if err != nil || !p.hub.Online(d.ID) {
			t.Fatalf("login by common name: %v", err)
		}
		if got := l.take(); len(got) != 1 || got[0].Message.Topic != "/ext/auth/identity/response" || !strings.Contains(string(got[0].Message.Payload), `"deviceName":"lamp-1"`) {
			t.Errorf("told %+v", got)
		}
		_, _, err = p.come(auth.SignMQTT(d.ID, d.Secret, auth.MQTTOptions{}), nil)
		wantReason(t, err, hal.NotAuthorized) // a certificate is wanted
		if err := p.hub.BindCertificate(t.Context(), other.ID, shown.Fingerprint()); err != nil {
			t.Fatal(err)
		}
		if _, err := login(); err != nil || !p.hub.Online(other.ID) {
			t.Errorf("login by fingerprint: %v", err)
		}
		if err := p.hub.RevokeCertificate(t.Context(), other.ID, shown.Fingerprint()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p.hub.Online(other.ID) {
			t.Error("online with a revoked certificate")
		}
		_, err = login()
		wantReason(t, err, hal.NotAuthorized)
		if err := p.hub.BindCertificate(t.Context(), d.ID, shown.Fingerprint()); !errors.Is(err, hub.ErrExists) {
			t.Errorf("binding a revoked certificate: %v", err)
		}
	})
}

type id2 struct{}

func (id2) VerifyID2(_ context.Context, _ iot.DeviceID, _ auth.ClientID, p auth.Password) error {
	if string(p.Bytes()) == "chip" {
		return nil
	}
	return auth.ErrBadSign
}

func TestID2(t *testing.T) {
	for name, cfg := range map[string]hub.Config{"without": {Limits: limitless()}, "with": {Limits: limitless(), ID2: id2{}}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, cfg, func(t *testing.T, p *platform) {
				d := p.register("lamp-1")
				tr := auth.Triple{ClientID: "c|authtype=id2,securemode=8|", UserName: "lamp-1&" + d.ID.Product, Password: auth.NewSecret("chip")}
				_, _, err := p.come(tr, nil)
				if cfg.ID2 != nil {
					if err != nil {
						t.Error(err)
					}
					tr.Password = auth.NewSecret("x")
					_, _, err = p.come(tr, nil)
					wantReason(t, err, hal.BadCredentials)
					return
				}
				wantReason(t, err, hal.NotAuthorized)
				p.expectLog(hub.OpConnect, hub.CauseLoginKind)
			})
		})
	}
}

// 1,000 wrong tries a second in one name from 100 addresses: the true device logs
// in at once.
func TestWrongTriesLockNobodyOut(t *testing.T) {
	limits := hub.DefaultLimits()
	bubble(t, hub.Config{Limits: &limits}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		from := func(i int) func(*hal.ConnectRequest) {
			return func(r *hal.ConnectRequest) {
				r.RemoteAddr = &net.TCPAddr{IP: net.IPv4(10, 0, 0, byte(i)), Port: 1000 + i}
			}
		}
		wrong := auth.SignMQTT(d.ID, auth.NewSecret("guess"), auth.MQTTOptions{})
		right := auth.SignMQTT(d.ID, d.Secret, auth.MQTTOptions{})
		unheard := 0
		for second := range 3 {
			for try := range 1000 {
				_, _, err := p.come(wrong, from(1+try%100))
				if reasonOf(err) == hal.Unavailable {
					unheard++
				}
				if second == 2 && try == 500 {
					if _, _, err := p.come(right, from(200)); err != nil {
						t.Errorf("the true device: %v", err)
					}
				}
			}
			time.Sleep(time.Second)
		}
		if unheard < 1000 {
			t.Errorf("only %d wrong tries were not heard", unheard)
		}
		scan := func() { // names one after the other
			for i := range 50 {
				_, _, _ = p.come(auth.SignMQTT(iot.DeviceID{Product: d.ID.Product, Name: fmt.Sprint("guess-", i)}, d.Secret, auth.MQTTOptions{}), from(1))
			}
		}
		scan()
		neighbour := p.register("lamp-2") // behind the same address as one that fails
		lamp2 := auth.SignMQTT(neighbour.ID, neighbour.Secret, auth.MQTTOptions{})
		if _, _, err := p.come(lamp2, from(1)); reasonOf(err) != hal.Unavailable {
			t.Errorf("a stranger at an address that failed too often: %v", err)
		}
		if _, _, err := p.come(right, from(1)); reasonOf(err) != hal.Unavailable {
			t.Errorf("an address that failed too often: %v", err)
		}
		time.Sleep(time.Minute)
		if _, _, err := p.come(right, from(1)); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		if _, _, err := p.come(lamp2, from(1)); err != nil {
			t.Errorf("its neighbour: %v", err)
		}
		scan()
		if _, _, err := p.come(lamp2, from(1)); err != nil {
			t.Errorf("a neighbour that was here before: %v", err)
		}
	})
}

// countingStore counts what is read.
type countingStore struct {
	store.Engine
	gets, ranges int
}

func (s *countingStore) Get(ctx context.Context, key []byte) (store.Entry, error) {
	s.gets++
	return s.Engine.Get(ctx, key)
}

func (s *countingStore) Range(ctx context.Context, from, to []byte) iter.Seq2[store.Entry, error] {
	s.ranges++
	return s.Engine.Range(ctx, from, to)
}

// An unknown device is answered like a wrong secret, after the same reads.
func TestUnknownDeviceCostsWhatAWrongSecretDoes(t *testing.T) {
	st := &countingStore{Engine: mem.New()}
	bubble(t, hub.Config{Store: st, Limits: limitless()}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		reads := func(id iot.DeviceID) [2]int {
			t.Helper()
			st.gets, st.ranges = 0, 0
			_, _, err := p.come(auth.SignMQTT(id, auth.NewSecret("guess"), auth.MQTTOptions{}), nil)
			wantReason(t, err, hal.BadCredentials)
			return [2]int{st.gets, st.ranges}
		}
		known, unknown := reads(d.ID), reads(iot.DeviceID{Product: d.ID.Product, Name: "nobody"})
		if known != unknown {
			t.Errorf("%v reads for a wrong secret, %v for an unknown device", known, unknown)
		}
	})
}
