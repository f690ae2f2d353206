// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// logins are what real SDKs sent at CONNECT (wire facts, section 3.2).
var logins = []struct {
	name, clientID, password string
}{
	{
		"C3", "a1LabPk00001.lab_dev_01|timestamp=2524608000000,_v=sdk-c-3.2.0,securemode=3,signmethod=hmacsha256,lan=C,_ss=1,gw=0,ext=0|",
		"60B86EB34D440AD9BA0A2FD476712F6E7F14ACB1478951D8DC078ABBA4169A43",
	},
	{
		"L4", "a1LabPk00001.lab_dev_01|timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=2,signmethod=hmacsha256,ext=3,_conn=tls_2a|",
		"60B86EB34D440AD9BA0A2FD476712F6E7F14ACB1478951D8DC078ABBA4169A43",
	},
	{
		"N", "a1LabPk00001&lab_dev_01|securemode=3,signmethod=hmacsha1,timestamp=1795326890215,lan=NodeJS,_v=1.2.8|",
		"ddf68231441e8caf157f34553a4f0365b0539455",
	},
	{
		"N1", "a1LabPk00001&lab_dev_01_aliyun-iot-device-sdk-js|securemode=3,\n        signmethod=hmacsha1,\n        timestamp=1795326920527|",
		"96f20354a524a870b8d237086744047d919461ac",
	},
}

func TestRow14ClientIDText(t *testing.T) {
	tests := []struct {
		name, in, id string
		want         []auth.Param
	}{
		{"C3", logins[0].clientID, "a1LabPk00001.lab_dev_01", params("timestamp", "2524608000000", "_v", "sdk-c-3.2.0", "securemode", "3", "signmethod", "hmacsha256", "lan", "C", "_ss", "1", "gw", "0", "ext", "0")},
		{"N1", logins[3].clientID, "a1LabPk00001&lab_dev_01_aliyun-iot-device-sdk-js", params("securemode", "3", "signmethod", "hmacsha1", "timestamp", "1795326920527")},
		{"TrailingComma", "id|a=1,|", "id", params("a", "1")},
		{"DoubledBars", "id||a=1,b=2||", "id", params("a", "1", "b", "2")},
		{"NoClosingBar", "id|a=1", "id", params("a", "1")},
		{"NoValue", "id|a,=1,b=,c=1=2|", "id", params("b", "", "c", "1=2")},
		{"Tabs", "id|\ta = 1 ,\r\n b=2 |", "id", params("a", "1", "b", "2")},
		{"EmptyID", "|a=1|", "", params("a", "1")},
		{"NoParams", "id||", "id", nil},
		{"OneBar", "id|", "id", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := auth.ParseClientID(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			var got []auth.Param
			c.Each(func(k, v string) bool {
				got = append(got, auth.Param{Key: k, Value: v})
				return true
			})
			if c.ID != tt.id {
				t.Errorf("id %q, want %q", c.ID, tt.id)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("params (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRow14LastWins(t *testing.T) {
	c, err := auth.ParseClientID("id|signmethod=hmacmd5,AuthType=register,timestamp=1,SignMethod=hmacsha1,authtype=regnwl,timestamp=2|")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.Method(); m != auth.HMACSHA1 || err != nil {
		t.Errorf("method %v, %v; want hmacsha1", m, err)
	}
	if c.Timestamp() != "2" {
		t.Errorf("timestamp %q, want 2", c.Timestamp())
	}
	if v, ok := c.Get("authType"); v != "regnwl" || !ok {
		t.Errorf("authType %q, %v; want regnwl", v, ok)
	}
	if v, ok := c.Get("random"); v != "" || ok {
		t.Errorf("random %q, %v; want none", v, ok)
	}
	n := 0
	c.Each(func(string, string) bool { n++; return false })
	if n != 1 {
		t.Errorf("Each went on %d times after false", n)
	}
}

func TestRow46Blank(t *testing.T) {
	c, err := auth.ParseClientID("pk.dn|_v=sdk-golang-0.0.1 Beta,ext=0,gw=0|")
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := c.Get("_v"); v != "sdk-golang-0.0.1 Beta" {
		t.Errorf("_v = %q", v)
	}
}

func TestClientIDMalformed(t *testing.T) {
	for _, in := range []string{"", "id", strings.Repeat("x", 65) + "||", strings.Repeat("\u4e2d", 65) + "||"} {
		if _, err := auth.ParseClientID(in); !errors.Is(err, auth.ErrBadClientID) {
			t.Errorf("%.20q: got %v, want ErrBadClientID", in, err)
		}
	}
	for _, in := range []string{strings.Repeat("x", 64) + "||", strings.Repeat("\u4e2d", 64) + "||"} {
		if _, err := auth.ParseClientID(in); err != nil {
			t.Errorf("%.20q: %v", in, err)
		}
	}
	if c, _ := auth.ParseClientID("id"); c.ID != "id" {
		t.Errorf("id %q is lost with the error", c.ID)
	}
}

func TestVerifyLogins(t *testing.T) {
	for _, l := range logins {
		t.Run(l.name, func(t *testing.T) {
			c, err := auth.ParseClientID(l.clientID)
			if err != nil {
				t.Fatal(err)
			}
			for _, pw := range []string{l.password, strings.ToLower(l.password), strings.ToUpper(l.password)} {
				if err := c.Verify([]byte(pw), devA, secretA); err != nil {
					t.Errorf("row 15, %s: %v", pw, err)
				}
			}
			flipped := []byte(l.password)
			flipped[len(flipped)-1] ^= 1
			for name, pw := range map[string]string{
				"Empty": "", "Flipped": string(flipped), "Short": l.password[:len(l.password)-2], "Odd": l.password[1:],
				"Long": l.password + "00", "NotHex": strings.Repeat("x", len(l.password)),
			} {
				if err := c.Verify([]byte(pw), devA, secretA); !errors.Is(err, auth.ErrBadSign) {
					t.Errorf("%s: got %v, want ErrBadSign", name, err)
				}
			}
			if err := c.Verify([]byte(l.password), sub1, secretA); !errors.Is(err, auth.ErrBadSign) {
				t.Errorf("other device: got %v, want ErrBadSign", err)
			}
			if err := c.Verify([]byte(l.password), devA, secretSub1); !errors.Is(err, auth.ErrBadSign) {
				t.Errorf("other secret: got %v, want ErrBadSign", err)
			}
		})
	}
}

// Row 16: a timestamp is text that is signed, however little it is a time.
func TestRow16Timestamp(t *testing.T) {
	for _, ts := range []string{"2524608000000", "1885282", "0", "-1", "yesterday"} {
		c, err := auth.ParseClientID("id|timestamp=" + ts + ",signmethod=hmacsha1|")
		if err != nil {
			t.Fatal(err)
		}
		pw := auth.Sign(auth.HMACSHA1, secretA, params("clientId", "id", "deviceName", devA.Name, "productKey", devA.Product, "timestamp", ts)...)
		if err := c.Verify([]byte(pw), devA, secretA); err != nil {
			t.Errorf("%s: %v", ts, err)
		}
	}
}

func TestRow13SignMethod(t *testing.T) {
	for in, want := range map[string]auth.Method{
		"": auth.HMACMD5, "hmacmd5": auth.HMACMD5, "HmacMD5": auth.HMACMD5, "hmacMd5": auth.HMACMD5,
		"hmacsha1": auth.HMACSHA1, "hmacSha1": auth.HMACSHA1, "Hmacsha1": auth.HMACSHA1, "hmacShal": auth.HMACSHA1,
		"hmacsha256": auth.HMACSHA256, "hmacSha256": auth.HMACSHA256, "Sha256": auth.HMACSHA256, "sha256": auth.HMACSHA256,
	} {
		if got, err := auth.ParseMethod(in); got != want || err != nil {
			t.Errorf("%q: got %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"md5", "sha1", "hmacsha512", "hmacsha256 ", "none"} {
		if _, err := auth.ParseMethod(in); !errors.Is(err, auth.ErrBadMethod) {
			t.Errorf("%q: got %v, want ErrBadMethod", in, err)
		}
	}
	c, err := auth.ParseClientID("id|signmethod=none|")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(nil, devA, secretA); !errors.Is(err, auth.ErrBadMethod) {
		t.Errorf("Verify: got %v, want ErrBadMethod", err)
	}
	if err := c.VerifyRegister(nil, devA, secretA); !errors.Is(err, auth.ErrBadMethod) {
		t.Errorf("VerifyRegister: got %v, want ErrBadMethod", err)
	}
	if err := auth.Verify(17, secretA, nil); !errors.Is(err, auth.ErrBadMethod) {
		t.Errorf("Verify: got %v, want ErrBadMethod", err)
	}
	for m, want := range map[auth.Method]string{auth.HMACMD5: "hmacmd5", auth.HMACSHA1: "hmacsha1", auth.HMACSHA256: "hmacsha256", 0: "", 17: "method 17"} {
		if got := m.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

// Nobody logs in as a device that has no secret.
func TestEmptySecret(t *testing.T) {
	c, err := auth.ParseClientID("id|signmethod=hmacsha256|")
	if err != nil {
		t.Fatal(err)
	}
	pw := auth.Sum(auth.HMACSHA256, auth.Secret{}, "clientId", "id", "deviceName", devA.Name, "productKey", devA.Product)
	if err := c.Verify([]byte(pw), devA, auth.Secret{}); !errors.Is(err, auth.ErrBadSign) {
		t.Errorf("got %v, want ErrBadSign", err)
	}
}

func TestVerifyRegister(t *testing.T) {
	c, err := auth.ParseClientID("a1LabPk00001.lab_dev_01|authType=register,random=04DD61BD,signmethod=hmacsha256,securemode=2|")
	if err != nil {
		t.Fatal(err)
	}
	const want = "4DC06C917FF126288D8A4CE3CB220859EA1108FC16DD01E540CE00438859C464"
	if err := c.VerifyRegister([]byte(want), devA, prodA); err != nil {
		t.Error(err)
	}
	if err := c.VerifyRegister([]byte(want), sub1, prodA); !errors.Is(err, auth.ErrBadSign) {
		t.Errorf("other device: got %v, want ErrBadSign", err)
	}
}

// Rows 10 and 11: a sub-device's login is signed with or without cleanSession,
// over its client id with the bars.
func TestRow10CombineLogin(t *testing.T) {
	all := params("productKey", "a1SubPk00001", "deviceName", "sub_dev_1", "clientId", "a1SubPk00001.sub_dev_1", "timestamp", "1524448722000", "cleanSession", "true")
	for _, sign := range []string{"d6806062f5be689940a0bafb93bd95f3", "e509c3e0e5eb26bc6a094c177ac81712"} {
		if err := auth.VerifyLogin(0, secretSub1, sign, all...); err != nil {
			t.Errorf("%s: %v", sign, err)
		}
	}
	for _, list := range [][]auth.Param{all[1:], all[:3]} {
		if err := auth.VerifyLogin(0, secretSub1, "e509c3e0e5eb26bc6a094c177ac81712", list...); !errors.Is(err, auth.ErrBadSign) {
			t.Errorf("got %v, want ErrBadSign", err)
		}
	}
}

func TestRow11LoginClientIDWithBars(t *testing.T) {
	const text = "a13Npv1vjZ4.example_sub1|_ss=1,_v=sdk-c-3.2.0|"
	list := params("productKey", "a13Npv1vjZ4", "deviceName", "example_sub1", "clientId", text, "timestamp", "1885482", "cleanSession", "true")
	if err := auth.VerifyLogin(auth.HMACSHA256, auth.NewSecret("eglNFNJiRuR0yncB9RP05sSTY4FrUIoe"), "6303B7684249779EA3E756EDB8BB7DAB31FC3C5D876EF7DFA183BC76185F2BFF", list...); err != nil {
		t.Error(err)
	}
	c, err := auth.ParseClientID(text)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := c.Get("_ss"); v != "1" {
		t.Errorf("_ss = %q, want 1", v)
	}
}

func TestParseUserName(t *testing.T) {
	tests := []struct {
		in   string
		want iot.DeviceID
		ok   bool
	}{
		{"lab_dev_01&a1LabPk00001", devA, true},
		{"a&b&pk", iot.DeviceID{Product: "pk", Name: "a&b"}, true},
		{"dn", iot.DeviceID{}, false},
		{"", iot.DeviceID{}, false},
		{"&pk", iot.DeviceID{}, false},
		{"dn&", iot.DeviceID{}, false},
		{"d/n&pk", iot.DeviceID{}, false},
		{"+&pk", iot.DeviceID{}, false},
		{"dn&#", iot.DeviceID{}, false},
		{"dn\x00&pk", iot.DeviceID{}, false},
		{strings.Repeat("x", 257) + "&pk", iot.DeviceID{}, false},
	}
	for _, tt := range tests {
		got, err := auth.ParseUserName(tt.in)
		if got != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, auth.ErrBadUserName) {
			t.Errorf("%.32q: got %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
}
