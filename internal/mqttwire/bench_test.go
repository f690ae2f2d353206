// SPDX-License-Identifier: Apache-2.0

package mqttwire_test

import (
	"testing"

	"github.com/openalink/iot/internal/mqttwire"
)

func BenchmarkParsePublish(b *testing.B) {
	packet := mqttwire.AppendPublish(nil, &mqttwire.Publish{
		Topic: "/sys/a1BenchPk001/dev00001/thing/event/property/post", Payload: make([]byte, 380), QoS: 1, PacketID: 1,
	})
	b.ReportAllocs()
	for b.Loop() {
		p, _, err := mqttwire.Split(packet, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := mqttwire.ParsePublish(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	m := mqttwire.Publish{Topic: "/sys/a1BenchPk001/dev00001/thing/event/property/post_reply", Payload: make([]byte, 100)}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = mqttwire.AppendPublish(dst[:0], &m)
	}
}
