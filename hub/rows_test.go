// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
	"github.com/openalink/iot/topic"
)

// The rows of wire facts section 1 about gateways, with the texts real SDKs sent
// (sections 23 and 24).

// subProduct and lab sub-devices have the names and secrets of the recordings.
var (
	recordedC3 = hub.Device{ID: iot.DeviceID{Product: "a13Npv1vjZ4", Name: "example_sub1"}, Secret: auth.NewSecret("eglNFNJiRuR0yncB9RP05sSTY4FrUIoe")}
	recordedN  = hub.Device{ID: iot.DeviceID{Product: "a1SubPk00001", Name: "sub_dev_1"}, Secret: auth.NewSecret("1111111122222222333333334444aaaa")}
)

// rowBubble runs f with a gateway and the recorded sub-devices.
func rowBubble(t *testing.T, f func(t *testing.T, p *platform, gw *client)) {
	bubble(t, hub.Config{Limits: limitless(), Workers: 2}, func(t *testing.T, p *platform) {
		gw := p.connect(p.newGateway("gw-1"))
		for _, d := range []hub.Device{recordedC3, recordedN} {
			if _, err := p.hub.CreateProduct(t.Context(), hub.Product{Key: d.ID.Product, Secret: auth.NewSecret("labSubProdSecret1"), DynamicRegister: true}); err != nil {
				t.Fatal(err)
			}
			if _, err := p.hub.RegisterDevice(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		f(t, p, gw)
	})
}

// text sends a request as it stands and returns the answer.
func (c *client) text(path, payload string) reply {
	c.p.t.Helper()
	name := c.sys(path)
	if strings.HasPrefix(path, "session/") {
		name = topic.Ext(path, c.id)
	}
	answers, err := c.publish(name, payload, iot.AtMostOnce)
	if err != nil || len(answers) != 1 {
		c.p.t.Fatalf("%s: %v, %v", name, answers, err)
	}
	var r reply
	if err := json.Unmarshal(answers[0].Payload, &r); err != nil {
		c.p.t.Fatal(err)
	}
	r.raw = string(answers[0].Payload)
	return r
}

const (
	c3TopoAdd = `{"id":"1","version":"1.0","params":[{"productKey":"a13Npv1vjZ4","deviceName":"example_sub1","clientId":"a13Npv1vjZ4.example_sub1","timestamp":"1885282","signmethod":"hmacsha256","sign":"645A09EB1576A5B214C4528AB27BD4CF1882AA134D4E002525B68E2A2D4839A6"}],"method":"thing.topo.add"}`
	c3Login   = `{"id":"2","params":{"productKey":"a13Npv1vjZ4","deviceName":"example_sub1","clientId":"a13Npv1vjZ4.example_sub1|_ss=1,_v=sdk-c-3.2.0|","timestamp":"1885482","signMethod":"hmacSha256","sign":"6303B7684249779EA3E756EDB8BB7DAB31FC3C5D876EF7DFA183BC76185F2BFF","cleanSession":"true"},"method":"combine.login"}`
	nLogin    = `{"id":"3","method":"","params":{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","clientId":"a1SubPk00001&sub_dev_1","timestamp":1795326940365,"signMethod":"hmacsha1","sign":"f4d0a568003f1fedff175b9e4466a8ae3caaa298"},"version":"1.0"}`
	l4Login   = `{"id":"4","params":{"signMethod":"hmacSha256","deviceList":[{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","clientId":"a1SubPk00001.sub_dev_1","timestamp":"1795326599815","cleanSession":"false","sign":"A3CD5BAE80E416FB8E093E193021A2E0E5D8E08E7B56A09DB228EC65C0BE02ED"}]}}`
	l4Product = `{"id":"5","version":"1.0","params":{"proxieds":[{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","random":"605817A963BA6EFBFB1C","signMethod":"hmacSha256","sign":"CB80228A4B815C0EFD55D6FE67D3C4B250CDC670758F27F1EB1260BB719EC1B5"}]}}`
)

func TestRow3SubDeviceHearsWithoutSubscribing(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		gw.text(topoAdd, c3TopoAdd)
		if r := gw.text(subLogin, c3Login); r.Code != 200 {
			t.Fatal(r.raw)
		}
		gw.take()
		_, _ = p.hub.Publish(t.Context(), recordedC3.ID, topic.Sys(recordedC3.ID, "thing/config/push"), []byte(`{}`), hub.SendOptions{QoS: 1})
		synctest.Wait()
		if got := gw.take(); len(got) != 1 {
			t.Errorf("heard %+v", got)
		}
	})
}

func TestRow10SignsWithAndWithoutCleanSession(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		if err := p.hub.AddSubDevices(t.Context(), gw.id, recordedN.ID); err != nil {
			t.Fatal(err)
		}
		for _, sign := range []string{"d6806062f5be689940a0bafb93bd95f3", "e509c3e0e5eb26bc6a094c177ac81712"} { // numbers 23 and 24
			r := gw.text(subLogin, `{"id":"1","params":{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","clientId":"a1SubPk00001.sub_dev_1","timestamp":"1524448722000","cleanSession":"true","sign":"`+sign+`"}}`)
			if r.Code != 200 {
				t.Errorf("sign %s: %s", sign, r.raw)
			}
		}
	})
}

func TestRow11SignsTheClientIDWithItsBars(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		gw.text(topoAdd, c3TopoAdd)
		if r := gw.text(subLogin, c3Login); r.Code != 200 {
			t.Error(r.raw)
		}
		cut := strings.Replace(c3Login, "|_ss=1,_v=sdk-c-3.2.0|", "", 1)
		if r := gw.text(subLogin, cut); r.Code != 6287 {
			t.Error(r.raw)
		}
	})
}

func TestRow12KeysHaveNoCaseAndTimestampsMayBeNumbers(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		if r := gw.text(topoAdd, c3TopoAdd); r.Code != 200 || string(r.Data) != `[{"productKey":"a13Npv1vjZ4","deviceName":"example_sub1"}]` {
			t.Error(r.raw)
		}
		if err := p.hub.AddSubDevices(t.Context(), gw.id, recordedN.ID); err != nil {
			t.Fatal(err)
		}
		if r := gw.text(subLogin, nLogin); r.Code != 200 {
			t.Error(r.raw)
		}
		if r := gw.text(batchLogin, l4Login); r.Code != 200 || string(r.Data) != `[{"productKey":"a1SubPk00001","deviceName":"sub_dev_1"}]` {
			t.Error(r.raw)
		}
	})
}

func TestRow13SignMethods(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		d := recordedN
		for name, m := range map[string]auth.Method{
			"hmacmd5": auth.HMACMD5, "HmacMD5": auth.HMACMD5, "hmacSha1": auth.HMACSHA1, "hmacShal": auth.HMACSHA1,
			"Sha256": auth.HMACSHA256, "hmacsha256": auth.HMACSHA256, "": auth.HMACMD5,
		} {
			e := signedSub(d)
			e["sign"] = auth.Sign(m, d.Secret, auth.Param{Key: "productKey", Value: d.ID.Product}, auth.Param{Key: "deviceName", Value: d.ID.Name},
				auth.Param{Key: "clientId", Value: e["clientId"].(string)}, auth.Param{Key: "timestamp", Value: "1885282"})
			e["signMethod"] = name
			if name == "" {
				delete(e, "signMethod")
			}
			gw.wantCode(200, topoAdd, []any{e})
		}
		e := signedSub(d)
		e["signMethod"] = "md4"
		gw.wantCode(460, topoAdd, []any{e})
	})
}

// Rows 36 and 41: see TestSubDeviceIsTakenAway for the notices themselves.
func TestRow36NoticeOnBothTopics(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		gw.text(topoAdd, c3TopoAdd)
		gw.text(subLogin, c3Login)
		gw.take()
		p.connect(recordedC3)
		gw.wantNotice(t, "427", recordedC3.ID)
	})
}

func TestRow37LimitsOfSubDevicesOnline(t *testing.T) {
	if got := [2]int{hub.DefaultLimits().SubDevicesOnline, hub.Limits2018().SubDevicesOnline}; got != [2]int{1500, 200} {
		t.Errorf("limits %v", got)
	}
}

func TestRow41AnswersNameTheSubDevice(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		gw.text(topoAdd, c3TopoAdd)
		want := `{"productKey":"a13Npv1vjZ4","deviceName":"example_sub1"}`
		if r := gw.text(subLogin, c3Login); string(r.Data) != want || r.Message != "success" || r.ID != "2" {
			t.Error(r.raw)
		}
		if r := gw.text(subLogout, `{"id":123,"params":{"productKey":"a13Npv1vjZ4","deviceName":"example_sub1"}}`); string(r.Data) != want || r.ID != "123" {
			t.Error(r.raw)
		}
	})
}

func TestRow42And45ParamsInQuotes(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		gw.text(topoAdd, c3TopoAdd)
		for _, params := range []string{`"{}"`, `{}`, `[]`, `null`} {
			r := gw.text("thing/topo/get", `{"id":"4","version":"1.0","params":`+params+`}`)
			if string(r.Data) != `[{"productKey":"a13Npv1vjZ4","deviceName":"example_sub1"}]` {
				t.Errorf("params %s: %s", params, r.raw)
			}
		}
	})
}

func TestRecordedProductRegister(t *testing.T) {
	rowBubble(t, func(t *testing.T, p *platform, gw *client) {
		r := gw.text("thing/proxy/provisioning/product_register", l4Product)
		if r.Code != 200 || !strings.Contains(r.raw, `"deviceSecret":"`+recordedN.Secret.Reveal()+`"`) || !strings.Contains(r.raw, `"failures":[]`) {
			t.Error(r.raw)
		}
		r = gw.text("thing/proxy/provisioning/product_register", l4Product)
		if r.Code != 200 || !strings.Contains(r.raw, `"successes":[],"failures":[{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","errorDetail":{"code":6289,`) {
			t.Error(r.raw)
		}
	})
}

// FuzzConnect throws logins of every kind at a hub.
func FuzzConnect(f *testing.F) {
	limits := hub.NoLimits()
	h, err := hub.Open(f.Context(), hub.Config{Store: mem.New(), Limits: &limits, PlainRegistration: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = h.Close() })
	if _, err := h.CreateProduct(f.Context(), hub.Product{Key: "a1LabPk00001", DynamicRegister: true}); err != nil {
		f.Fatal(err)
	}
	id := iot.DeviceID{Product: "a1LabPk00001", Name: "lab_dev_01"}
	if _, err := h.RegisterDevice(f.Context(), hub.Device{ID: id, Secret: auth.NewSecret("5f2c8b1e9a7d4c3fb0e6d1a2c4f80719")}); err != nil {
		f.Fatal(err)
	}
	user := "lab_dev_01&a1LabPk00001"
	f.Add("a1LabPk00001.lab_dev_01|timestamp=2524608000000,_v=sdk-c-3.2.0,securemode=3,signmethod=hmacsha256,lan=C,_ss=1,gw=0,ext=0|", user, "60B86EB34D440AD9BA0A2FD476712F6E7F14ACB1478951D8DC078ABBA4169A43")
	f.Add("pk.dn|authType=register,random=04DD61BD,signmethod=hmacsha256,securemode=2|", user, "4DC06C917FF126288D8A4CE3CB220859EA1108FC16DD01E540CE00438859C464")
	f.Add("x|securemode=-2,authType=connwl|", user, "token")
	f.Add("x|securemode=-1|", strings.Repeat("a", 26), "token")
	f.Fuzz(func(t *testing.T, clientID, userName, password string) {
		l := &link{}
		acc, err := h.Connect(context.Background(), &hal.ConnectRequest{
			Protocol: "mqtt", Version: 4, ClientID: clientID, UserName: userName, Credential: auth.NewPassword(password),
			KeepAlive: time.Minute, CleanSession: true, Link: l,
		})
		if err == nil {
			acc.Session.Close(hal.CauseClient)
		}
		if strings.Contains(fmt.Sprint(err), "5f2c8b1e9a7d4c3fb0e6d1a2c4f80719") {
			t.Error("the error tells the secret")
		}
	})
}

// FuzzSubRequest throws requests about sub-devices at a gateway's session.
func FuzzSubRequest(f *testing.F) {
	limits := hub.NoLimits()
	h, err := hub.Open(f.Context(), hub.Config{Store: mem.New(), Limits: &limits})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = h.Close() })
	for _, p := range []hub.Product{{Key: gatewayPK, Gateway: true}, {Key: recordedC3.ID.Product}, {Key: recordedN.ID.Product}} {
		if _, err := h.CreateProduct(f.Context(), p); err != nil {
			f.Fatal(err)
		}
	}
	gw := hub.Device{ID: iot.DeviceID{Product: gatewayPK, Name: "gw-1"}, Secret: auth.NewSecret("s")}
	for _, d := range []hub.Device{gw, recordedC3, recordedN} {
		if _, err := h.RegisterDevice(f.Context(), d); err != nil {
			f.Fatal(err)
		}
	}
	tr := auth.SignMQTT(gw.ID, gw.Secret, auth.MQTTOptions{ServerSubscribe: true})
	acc, err := h.Connect(f.Context(), &hal.ConnectRequest{
		Protocol: "mqtt", Version: 4, ClientID: tr.ClientID, UserName: tr.UserName, Credential: auth.NewPassword(tr.Password.Reveal()),
		KeepAlive: time.Minute, CleanSession: true, Link: &link{},
	})
	if err != nil {
		f.Fatal(err)
	}
	paths := []string{
		topoAdd, "thing/topo/delete", "thing/topo/get", "thing/list/found", "thing/sub/register", "thing/sub/unregister",
		"thing/proxy/provisioning/product_register", subLogin, subLogout, batchLogin, "session/combine/batch_logout",
	}
	for i, payload := range []string{c3TopoAdd, c3Login, nLogin, l4Login, l4Product, `{"params":[{}]}`, `{"params":"[]"}`} {
		f.Add(uint8(i), []byte(payload))
	}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		path := paths[int(which)%len(paths)]
		name := topic.Sys(gw.ID, path)
		if strings.HasPrefix(path, "session/") {
			name = topic.Ext(path, gw.ID)
		}
		done := make(chan error, 1)
		acc.Session.Receive(context.Background(), iot.Message{Topic: name, Payload: payload}, func(_ []iot.Message, err error) { done <- err })
		if err := <-done; err != nil && !isRejected(err) {
			t.Errorf("%s %q: %v", path, payload, err)
		}
	})
}
