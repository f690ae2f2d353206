// SPDX-License-Identifier: Apache-2.0

package mqttwire_test

import (
	"bytes"
	"testing"

	"github.com/openalink/iot/internal/mqttwire"
)

// FuzzDecode feeds a stream of packets to every decoder. What decodes must
// encode and decode again to the same.
func FuzzDecode(f *testing.F) {
	for _, s := range samples {
		f.Add(s.b)
	}
	f.Add([]byte("\xa0\x06\x00\x01\x00\x02/a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			p, n, err := mqttwire.Split(b, limit)
			if err != nil || n == 0 || n > len(b) {
				return
			}
			again(t, p)
			b = b[n:]
		}
	})
}

// again encodes what p decodes to and compares.
func again(t *testing.T, p mqttwire.Packet) {
	t.Helper()
	var b []byte
	switch p.Type() {
	case mqttwire.TypePublish:
		m, err := mqttwire.ParsePublish(p)
		if err != nil {
			return
		}
		b = mqttwire.AppendPublish(nil, &m)
	case mqttwire.TypeSubscribe:
		id, filters, err := mqttwire.ParseSubscribe(p.Body)
		if err != nil {
			return
		}
		b = mqttwire.AppendSubscribe(nil, id, filters...)
	case mqttwire.TypeUnsubscribe:
		id, filters, err := mqttwire.ParseUnsubscribe(p.Body)
		if err != nil {
			return
		}
		b = mqttwire.AppendUnsubscribe(nil, id, filters...)
	case mqttwire.TypeConnect:
		c, err := mqttwire.ParseConnect(p.Body)
		if err != nil || c.Level == mqttwire.Level31 { // which has flags without fields
			return
		}
		b = mqttwire.AppendConnect(nil, &c)
	default:
		_ = decode(p)
		return
	}
	q := split(t, b)
	if !bytes.Equal(p.Body, q.Body) {
		t.Errorf("%v % x encodes again as % x", p.Type(), p.Body, q.Body)
	}
}
