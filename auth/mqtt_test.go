// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"pgregory.net/rapid"
)

func TestSignMQTT(t *testing.T) {
	tests := []struct {
		name     string
		opt      auth.MQTTOptions
		clientID string
		password string
	}{
		{
			"Zero",
			auth.MQTTOptions{},
			"a1LabPk00001.lab_dev_01|securemode=2,signmethod=hmacsha256|",
			"330269C13217615789E02799FE2B56EF55A70633ABFFF164ACE75D2E9F866FE5",
		},
		{
			"LikeC3",
			auth.MQTTOptions{
				Timestamp: time.UnixMilli(2524608000000), SecureMode: auth.SecureTCP, ServerSubscribe: true, Ext: 1,
				Params: params("lan", "C", "_v", "sdk-c-3.2.0"),
			},
			"a1LabPk00001.lab_dev_01|securemode=3,signmethod=hmacsha256,timestamp=2524608000000,_ss=1,ext=1,lan=C,_v=sdk-c-3.2.0|",
			"60B86EB34D440AD9BA0A2FD476712F6E7F14ACB1478951D8DC078ABBA4169A43",
		},
		{
			"LikeN",
			auth.MQTTOptions{ClientID: "a1LabPk00001&lab_dev_01", Method: auth.HMACSHA1, Timestamp: time.UnixMilli(1795326890215)},
			"a1LabPk00001&lab_dev_01|securemode=2,signmethod=hmacsha1,timestamp=1795326890215|",
			"ddf68231441e8caf157f34553a4f0365b0539455",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := auth.SignMQTT(devA, secretA, tt.opt)
			if got.ClientID != tt.clientID {
				t.Errorf("client id\n got %s\nwant %s", got.ClientID, tt.clientID)
			}
			if got.UserName != "lab_dev_01&a1LabPk00001" {
				t.Errorf("user name %s", got.UserName)
			}
			if !strings.EqualFold(got.Password.Reveal(), tt.password) {
				t.Errorf("password %s, want %s", got.Password.Reveal(), tt.password)
			}
		})
	}
}

// What a device signs the platform verifies.
func TestSignVerify(t *testing.T) {
	name := rapid.StringMatching(`[A-Za-z0-9\-_@.:]{1,32}`)
	rapid.Check(t, func(t *rapid.T) {
		id := iot.DeviceID{Product: name.Draw(t, "pk"), Name: name.Draw(t, "dn")}
		secret := auth.NewSecret(rapid.StringN(1, 200, 400).Draw(t, "secret"))
		o := auth.MQTTOptions{
			ClientID:        rapid.StringMatching(`[^|]{0,64}`).Draw(t, "clientID"),
			Method:          rapid.SampledFrom([]auth.Method{0, auth.HMACMD5, auth.HMACSHA1, auth.HMACSHA256}).Draw(t, "method"),
			SecureMode:      rapid.IntRange(0, 3).Draw(t, "mode"),
			ServerSubscribe: rapid.Bool().Draw(t, "ss"),
			Params:          params("_v", rapid.StringMatching(`[^|,=]{0,600}`).Draw(t, "v")),
		}
		if rapid.Bool().Draw(t, "timestamp") {
			o.Timestamp = time.UnixMilli(rapid.Int64Range(0, 1e13).Draw(t, "ms"))
		}
		triple := auth.SignMQTT(id, secret, o)
		c, err := auth.ParseClientID(triple.ClientID)
		if err != nil {
			t.Fatal(err)
		}
		got, err := auth.ParseUserName(triple.UserName)
		if err != nil || got != id {
			t.Fatalf("user name %q is %v, %v", triple.UserName, got, err)
		}
		if err := c.Verify([]byte(triple.Password.Reveal()), id, secret); err != nil {
			t.Error(err)
		}
		if _, ss := c.Get("_ss"); ss != o.ServerSubscribe {
			t.Errorf("_ss is there: %v", ss)
		}
	})
}

func TestSignRegister(t *testing.T) {
	got := auth.SignRegister(devA, prodA, auth.RegisterOptions{Random: "04DD61BD"})
	if got.ClientID != "a1LabPk00001.lab_dev_01|authType=register,random=04DD61BD,signmethod=hmacsha256,securemode=2|" || got.UserName != "lab_dev_01&a1LabPk00001" {
		t.Errorf("got %v", got)
	}
	if !strings.EqualFold(got.Password.Reveal(), "4DC06C917FF126288D8A4CE3CB220859EA1108FC16DD01E540CE00438859C464") {
		t.Errorf("password %s", got.Password.Reveal())
	}
	got = auth.SignRegister(devA, prodA, auth.RegisterOptions{AuthType: auth.AuthRegNWL, ClientID: "c", Method: auth.HMACSHA1, Random: "1", Params: params("instanceId", "i")})
	if got.ClientID != "c|authType=regnwl,random=1,signmethod=hmacsha1,securemode=-2,instanceId=i|" {
		t.Errorf("got %v", got)
	}
	c, err := auth.ParseClientID(got.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.VerifyRegister([]byte(got.Password.Reveal()), devA, prodA); err != nil {
		t.Error(err)
	}
}

func TestTokenLogin(t *testing.T) {
	got := auth.TokenLogin(devA, "given", auth.NewSecret("token"), auth.Param{Key: "_ss", Value: "1"})
	if got.ClientID != "given|securemode=-2,authType=connwl,_ss=1|" || !got.Password.EqualBytes([]byte("token")) {
		t.Errorf("got %v", got)
	}
}
