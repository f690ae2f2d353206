// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// The lab's devices (wire facts, section 23).
var (
	devA    = iot.DeviceID{Product: "a1LabPk00001", Name: "lab_dev_01"}
	secretA = auth.NewSecret("5f2c8b1e9a7d4c3fb0e6d1a2c4f80719")
	prodA   = auth.NewSecret("labProdSecret0001")

	sub1       = iot.DeviceID{Product: "a1SubPk00001", Name: "sub_dev_1"}
	secretSub1 = auth.NewSecret("1111111122222222333333334444aaaa")
	prodSub1   = auth.NewSecret("labSubProdSecret1")
)

func params(kv ...string) []auth.Param {
	var list []auth.Param
	for i := 0; i < len(kv); i += 2 {
		list = append(list, auth.Param{Key: kv[i], Value: kv[i+1]})
	}
	return list
}

// Signatures that real SDKs sent, or that the first documents print, by the
// number of the row in section 23 of the wire facts. The parameters are in no
// particular order: Sign sorts them.
var vectors = []struct {
	name   string
	method auth.Method
	secret auth.Secret
	params []auth.Param
	want   string
}{
	{"01_seed_sha1", auth.HMACSHA1, auth.NewSecret("secret"), params("productKey", "pk", "deviceName", "device", "timestamp", "789", "clientId", "12345"), "FAFD82A3D602B37FB0FA8B7892F24A477F851A14"},
	{"02_seed_md5", auth.HMACMD5, auth.NewSecret("secret"), params("productKey", "pk", "deviceName", "device", "timestamp", "789", "clientId", "12345"), "14b198324fe55e1d3c88f2e705e201ee"},
	{"03_seed_sha256", auth.HMACSHA256, auth.NewSecret("secret"), params("productKey", "pk", "deviceName", "device", "timestamp", "789", "clientId", "12345"), "6074a46a91b1ebb2cc4ea42790ad0e80202c9843859fc292e57c4eb19fad9e57"},
	{"04_no_timestamp", auth.HMACSHA1, auth.NewSecret("secret"), params("productKey", "pk", "deviceName", "device", "clientId", "12345"), "3504e4df7ce4766d30f796ee973c9ce7fc5425cb"},
	{"05_mqtt_c", auth.HMACSHA256, secretA, params("clientId", "a1LabPk00001.lab_dev_01", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001", "timestamp", "2524608000000"), "60B86EB34D440AD9BA0A2FD476712F6E7F14ACB1478951D8DC078ABBA4169A43"},
	{"06_mqtt_node", auth.HMACSHA1, secretA, params("clientId", "a1LabPk00001&lab_dev_01", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001", "timestamp", "1795326890215"), "ddf68231441e8caf157f34553a4f0365b0539455"},
	{"07_mqtt_node1", auth.HMACSHA1, secretA, params("clientId", "a1LabPk00001&lab_dev_01_aliyun-iot-device-sdk-js", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001", "timestamp", "1795326920527"), "96f20354a524a870b8d237086744047d919461ac"},
	{"08_preauth", auth.HMACSHA1, secretA, params("clientId", "a1LabPk00001.lab_dev_01", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001", "timestamp", "2524608000000"), "321bd01682681ec242da71d883e4d15efb8743ec"},
	{"09_http", auth.HMACSHA256, secretA, params("clientId", "a1LabPk00001.lab_dev_01", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001"), "330269C13217615789E02799FE2B56EF55A70633ABFFF164ACE75D2E9F866FE5"},
	{"10_http_demo", auth.HMACSHA1, auth.NewSecret("5gme06iFl3W1g8non2ksVs5e8Qlus4Hw"), params("clientId", "a1KqSriAwh0.basic_test_01", "deviceName", "basic_test_01", "productKey", "a1KqSriAwh0"), "76913d145fc41cc36d7719f43d87fc817fd1331a"},
	{"11_coap_dtls", auth.HMACMD5, secretA, params("clientId", "a1LabPk00001.lab_dev_01", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001"), "f31fa81a3ded89ae5f2633a2f09f62f9"},
	{"12_coap_symmetric", auth.HMACMD5, secretA, params("seq", "2787", "clientId", "a1LabPk00001.lab_dev_01", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001"), "e71293ade1ea447be02bfe45db0a9a81"},
	{"16_register_c", auth.HMACSHA256, prodA, params("random", "8Ygb7ULYh53B6OA", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001"), "BCE3098D600E9539106CD2BE8AD7F5D0C0238666BD8FDAF39268D81A516B9A8B"},
	{"17_register_node", auth.HMACSHA1, prodA, params("random", "30xcrrzmu9s", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001"), "7184bb9013dae7b9d440dde78283024816c5db82"},
	{"18_register_seed", auth.HMACMD5, auth.NewSecret("secret"), params("productKey", "1234556554", "deviceName", "deviceName1234", "random", "567345"), "34378b64b225e8f6a05136fc757c17ed"},
	{"19_register_mqtt", auth.HMACSHA256, prodA, params("random", "04DD61BD", "deviceName", "lab_dev_01", "productKey", "a1LabPk00001"), "4DC06C917FF126288D8A4CE3CB220859EA1108FC16DD01E540CE00438859C464"},
	{"20_topo_add", auth.HMACSHA256, auth.NewSecret("eglNFNJiRuR0yncB9RP05sSTY4FrUIoe"), params("productKey", "a13Npv1vjZ4", "deviceName", "example_sub1", "clientId", "a13Npv1vjZ4.example_sub1", "timestamp", "1885282"), "645A09EB1576A5B214C4528AB27BD4CF1882AA134D4E002525B68E2A2D4839A6"},
	{"21_login_c", auth.HMACSHA256, auth.NewSecret("eglNFNJiRuR0yncB9RP05sSTY4FrUIoe"), params("productKey", "a13Npv1vjZ4", "deviceName", "example_sub1", "clientId", "a13Npv1vjZ4.example_sub1|_ss=1,_v=sdk-c-3.2.0|", "timestamp", "1885482"), "6303B7684249779EA3E756EDB8BB7DAB31FC3C5D876EF7DFA183BC76185F2BFF"},
	{"22_login_node", auth.HMACSHA1, secretSub1, params("productKey", "a1SubPk00001", "deviceName", "sub_dev_1", "clientId", "a1SubPk00001&sub_dev_1", "timestamp", "1795326940365"), "f4d0a568003f1fedff175b9e4466a8ae3caaa298"},
	{"23_login_clean", auth.HMACMD5, secretSub1, params("productKey", "a1SubPk00001", "deviceName", "sub_dev_1", "clientId", "a1SubPk00001.sub_dev_1", "timestamp", "1524448722000", "cleanSession", "true"), "d6806062f5be689940a0bafb93bd95f3"},
	{"24_login_not_clean", auth.HMACMD5, secretSub1, params("productKey", "a1SubPk00001", "deviceName", "sub_dev_1", "clientId", "a1SubPk00001.sub_dev_1", "timestamp", "1524448722000"), "e509c3e0e5eb26bc6a094c177ac81712"},
	{"25_batch_login", auth.HMACSHA256, secretSub1, params("productKey", "a1SubPk00001", "deviceName", "sub_dev_1", "clientId", "a1SubPk00001.sub_dev_1", "timestamp", "1795326599815"), "A3CD5BAE80E416FB8E093E193021A2E0E5D8E08E7B56A09DB228EC65C0BE02ED"},
	{"26_product_register", auth.HMACSHA256, prodSub1, params("productKey", "a1SubPk00001", "deviceName", "sub_dev_1", "random", "605817A963BA6EFBFB1C"), "CB80228A4B815C0EFD55D6FE67D3C4B250CDC670758F27F1EB1260BB719EC1B5"},
	{"28_http2", auth.HMACSHA1, auth.NewSecret("r9XSyeZOu6swgV8etCcCGmgQhBSpGBau"), params("productKey", "a1IgnOND7vI", "deviceName", "H2_FS01", "clientId", "a1IgnOND7vI.H2_FS01"), "8d6b80749ed63823dc16b2c1e7f049bbdd00bf2b"},
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			if got := auth.Sign(v.method, v.secret, v.params...); !strings.EqualFold(got, v.want) {
				t.Errorf("Sign = %s, want %s", got, v.want)
			}
			if err := auth.VerifySign(v.method, v.secret, v.want, v.params...); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVector27PSK(t *testing.T) {
	const want = "77726B82CB90CA198FC22F75A9F060E05C6500431B6EE2EF1C5DA515F2C620C2"
	identity := auth.PSKIdentity(devA, "2524608000000")
	if identity != "devicename|hmacsha256|a1LabPk00001&lab_dev_01|2524608000000" {
		t.Errorf("identity %q", identity)
	}
	id, ts, err := identity.Parse()
	if err != nil || id != devA {
		t.Fatalf("got %v, %v; want %v", id, err, devA)
	}
	if got := string(auth.PSKKey(id, secretA, ts)); got != want {
		t.Errorf("key %s, want %s", got, want)
	}
}

func TestVector13CoAPKey(t *testing.T) {
	key := auth.CoAPKey(secretA, "ad2b3a5eb51d64f7")
	if got := fmt.Sprintf("%x", key); got != "ef636cd5bedbc7ee60a931a14ea635d8" || len(key) != auth.CoAPKeySize || cap(key) != len(key) {
		t.Errorf("key %s", got)
	}
}

func TestPSKIdentityMalformed(t *testing.T) {
	for _, s := range []auth.PSK{"", "devicename|hmacsha256|", "devicename|hmacsha256|pk&dn", "devicename|hmacsha256|pk|1", "devicename|hmacmd5|pk&dn|1", "x|hmacsha256|pk&dn|1", "devicename|hmacsha256|&dn|1", "devicename|hmacsha256|pk&a/b|1"} {
		if _, _, err := s.Parse(); !errors.Is(err, auth.ErrBadClientID) {
			t.Errorf("%q: got %v, want ErrBadClientID", s, err)
		}
	}
}

func TestVector29AccessKey(t *testing.T) {
	secret := auth.NewSecret("testAccessSecret")
	for m, want := range map[auth.Method]string{
		0:               "uheSlYUAw98D1s7KaFEvSss2Zb4=",
		auth.HMACSHA1:   "uheSlYUAw98D1s7KaFEvSss2Zb4=",
		auth.HMACMD5:    "IE28SkipqNH1vmYnnNup4A==",
		auth.HMACSHA256: "t7kXPSf57bI+CLGNBeOV2C4vH235gFspItZwcIJoNVw=",
	} {
		const key, ts = "LTAItestAccessKey", "1573489088171"
		if got := auth.SignAccessKey(m, secret, key, ts); got != want {
			t.Errorf("%v: got %s, want %s", m, got, want)
		}
		if err := auth.VerifyAccessKey(m, secret, []byte(want), key, ts); err != nil {
			t.Error(err)
		}
		if err := auth.VerifyAccessKey(m, secret, []byte(want), key, "0"); !errors.Is(err, auth.ErrBadSign) {
			t.Errorf("other timestamp: got %v, want ErrBadSign", err)
		}
	}
	if err := auth.VerifyAccessKey(9, secret, nil, "", ""); !errors.Is(err, auth.ErrBadMethod) {
		t.Errorf("got %v, want ErrBadMethod", err)
	}
	forged := auth.SignAccessKey(auth.HMACSHA1, auth.Secret{}, "a", "b")
	if err := auth.VerifyAccessKey(auth.HMACSHA1, auth.Secret{}, []byte(forged), "a", "b"); !errors.Is(err, auth.ErrBadSign) {
		t.Errorf("empty secret: got %v, want ErrBadSign", err)
	}
}
