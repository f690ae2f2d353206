// SPDX-License-Identifier: Apache-2.0

package micro

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"sort"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/bench/load"
)

// login is a CONNECT with its time stamp signed, as devices send it.
type login struct {
	device       iot.DeviceID
	secret       auth.Secret
	client, user string
	password     []byte
	signed       []byte // the bytes that are signed
	sum          [sha256.Size]byte
}

func newLogin() *login {
	l := &login{device: load.Device(1), secret: auth.NewSecret(load.Secret)}
	at := time.UnixMilli(2524608000000)
	tr := auth.SignMQTT(l.device, l.secret, auth.MQTTOptions{SecureMode: 3, ServerSubscribe: true, Timestamp: at})
	l.client, l.user, l.password = tr.ClientID, tr.UserName, []byte(tr.Password.Reveal())
	id, _, _ := strings.Cut(l.client, "|")
	l.signed = fmt.Appendf(nil, "clientId%sdeviceName%sproductKey%stimestamp%d", id, l.device.Name, l.device.Product, at.UnixMilli())
	l.sum = bareHMAC(load.Secret, l.signed)
	must(hex.EncodeToString(l.sum[:]) == strings.ToLower(string(l.password)))
	return l
}

func (l *login) check() {
	c, err := auth.ParseClientID(l.client)
	must(err == nil)
	id, err := auth.ParseUserName(l.user)
	must(err == nil && c.Verify(l.password, id, l.secret) == nil)
}

// bareHMAC is the HMAC-SHA256 of bytes that are ready, from two plain hashes on
// the stack: less than crypto/hmac takes.
func bareHMAC(key string, text []byte) [sha256.Size]byte {
	var inner [64 + 256]byte
	var outer [64 + sha256.Size]byte
	copy(inner[:64], key)
	copy(outer[:64], key)
	for i := range 64 {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	sum := sha256.Sum256(inner[:64+copy(inner[64:], text)])
	copy(outer[64:], sum[:])
	return sha256.Sum256(outer[:])
}

// naiveLogin parses into maps, sorts, hashes, writes hex and compares.
func naiveLogin(client, user, password, secret string) bool {
	parts := strings.Split(client, "|")
	names := strings.Split(user, "&")
	params := make(map[string]string)
	for _, kv := range strings.Split(parts[1], ",") {
		k, v, _ := strings.Cut(kv, "=")
		params[strings.ToLower(k)] = v
	}
	signed := map[string]string{"clientId": parts[0], "deviceName": names[0], "productKey": names[1]}
	if ts, ok := params["timestamp"]; ok {
		signed["timestamp"] = ts
	}
	keys := make([]string, 0, len(signed))
	for k := range signed {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	text := ""
	for _, k := range keys {
		text += k + signed[k]
	}
	hashes := map[string]func() hash.Hash{"hmacmd5": md5.New, "hmacsha1": sha1.New, "hmacsha256": sha256.New}
	mac := hmac.New(hashes[params["signmethod"]], []byte(secret))
	mac.Write([]byte(text))
	want := hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(want), []byte(strings.ToLower(password)))
}
