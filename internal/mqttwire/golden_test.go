// SPDX-License-Identifier: Apache-2.0

package mqttwire_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/openalink/iot/internal/mqttwire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// samples are packets as the encoders make them.
var samples = []struct {
	name string
	b    []byte
}{
	{"CONNECT of MQTT 3.1.1", mqttwire.AppendConnect(nil, &mqttwire.Connect{
		Level: mqttwire.Level311, CleanSession: true, KeepAlive: 1200,
		ClientID:    "pk.dn|securemode=3,signmethod=hmacsha256|",
		HasUserName: true, UserName: "dn&pk", HasPassword: true, Password: []byte("0A1B"),
	})},
	{"CONNECT of MQTT 3.1", mqttwire.AppendConnect(nil, &mqttwire.Connect{Level: mqttwire.Level31, KeepAlive: 60, ClientID: "c"})},
	{"CONNECT with a will", mqttwire.AppendConnect(nil, &mqttwire.Connect{
		Level: mqttwire.Level311, ClientID: "c",
		Will: &mqttwire.Will{Topic: "/w", Payload: []byte("gone"), QoS: 1, Retain: true},
	})},
	{"CONNECT with empty fields", mqttwire.AppendConnect(nil, &mqttwire.Connect{
		Level: mqttwire.Level311, HasUserName: true, HasPassword: true,
	})},
	{"CONNACK", mqttwire.AppendConnack(nil, mqttwire.Connack{})},
	{"CONNACK with session present", mqttwire.AppendConnack(nil, mqttwire.Connack{SessionPresent: true})},
	{"CONNACK refused", mqttwire.AppendConnack(nil, mqttwire.Connack{Code: mqttwire.NotAuthorized})},
	{"PUBLISH QoS 0", mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a/b", Payload: []byte("{}")})},
	{"PUBLISH QoS 1", mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "/a/b", Payload: []byte("{}"), QoS: 1, PacketID: 0x1234})},
	{"PUBLISH with all flags", mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "a", QoS: 2, PacketID: 1, Dup: true, Retain: true})},
	{"PUBLISH of 200 bytes", mqttwire.AppendPublish(nil, &mqttwire.Publish{Topic: "a", Payload: bytes.Repeat([]byte{'x'}, 200)})},
	{"PUBACK", mqttwire.AppendPuback(nil, 0xfffe)},
	{"PUBREC", mqttwire.AppendPubrec(nil, 2)},
	{"PUBREL", mqttwire.AppendPubrel(nil, 3)},
	{"PUBCOMP", mqttwire.AppendPubcomp(nil, 4)},
	{"SUBSCRIBE", mqttwire.AppendSubscribe(nil, 5, mqttwire.Filter{Topic: "/a/+", QoS: 1}, mqttwire.Filter{Topic: "#"})},
	{"SUBACK", mqttwire.AppendSuback[byte](nil, 5, 1, 0x80)},
	{"UNSUBSCRIBE", mqttwire.AppendUnsubscribe(nil, 6, "/a/+", "#")},
	{"UNSUBACK", mqttwire.AppendUnsuback(nil, 6)},
	{"PINGREQ", mqttwire.AppendPingreq(nil)},
	{"PINGRESP", mqttwire.AppendPingresp(nil)},
	{"DISCONNECT", mqttwire.AppendDisconnect(nil)},
}

// TestGolden holds the encoders to bytes that were checked by hand.
func TestGolden(t *testing.T) {
	const file = "testdata/packets.txt"
	var got bytes.Buffer
	for _, s := range samples {
		fmt.Fprintf(&got, "%s: %s\n", s.name, hex.EncodeToString(s.b))
	}
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := bytes.Split(got.Bytes(), []byte("\n")), bytes.Split(want, []byte("\n"))
	for i, line := range wantLines {
		if i >= len(gotLines) || !bytes.Equal(gotLines[i], line) {
			t.Errorf("line %d differs, want\n%s\ngot\n%s", i+1, line, gotLines[min(i, len(gotLines)-1)])
		}
	}
}
