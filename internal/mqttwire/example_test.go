// SPDX-License-Identifier: Apache-2.0

package mqttwire_test

import (
	"bytes"
	"fmt"

	"github.com/openalink/iot/internal/mqttwire"
)

func Example() {
	var stream []byte
	stream = mqttwire.AppendSubscribe(stream, 1, mqttwire.Filter{Topic: "/a/#", QoS: 1})
	stream = mqttwire.AppendPublish(stream, &mqttwire.Publish{Topic: "/a/b", Payload: []byte("hello"), QoS: 1, PacketID: 2})

	r := mqttwire.NewReader(bytes.NewReader(stream), 256<<10)
	for {
		p, err := r.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.Type())
		if p.Type() == mqttwire.TypePublish {
			m, err := mqttwire.ParsePublish(p)
			fmt.Println(m.Topic, string(m.Payload), err)
		}
	}
	// Output:
	// SUBSCRIBE
	// PUBLISH
	// /a/b hello <nil>
	// EOF
}
