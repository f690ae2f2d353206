// SPDX-License-Identifier: Apache-2.0

package republish_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/republish"
	"github.com/openalink/iot/rules/sinktest"
	"github.com/tidwall/gjson"
)

type message struct {
	id      iot.DeviceID
	topic   string
	payload string
	qos     iot.QoS
}

// devices stand for a hub.
type devices struct {
	mu   sync.Mutex
	list []message
}

func (p *devices) PublishTo(ctx context.Context, id iot.DeviceID, topic string, payload []byte, qos iot.QoS) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id.Name == "unknown" {
		return rules.Permanent(errors.New("no such device"))
	}
	p.list = append(p.list, message{id, topic, string(payload), qos})
	return ctx.Err()
}

func TestSink(t *testing.T) {
	sinktest.TestSink(t, func(t *testing.T) sinktest.Target {
		p := &devices{}
		s, err := republish.New(p, "/a1Lamps0001/lamp-2/user/get", iot.AtLeastOnce)
		if err != nil {
			t.Fatal(err)
		}
		return sinktest.Target{Sink: s, Arrived: func(*testing.T) (list []int) {
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, m := range p.list {
				list = append(list, int(gjson.Get(m.payload, "n").Int()))
			}
			return list
		}}
	})
}

func TestTopics(t *testing.T) {
	for name, c := range map[string]struct{ row, want string }{
		"/a1Lamps0001/${target}/user/get":       {`{"target":"lamp-2"}`, "/a1Lamps0001/lamp-2/user/get"},
		"/${p.k}/${p.n}/user/x-${n}":            {`{"p":{"k":"a1Lamps0001","n":"lamp-3"},"n":7}`, "/a1Lamps0001/lamp-3/user/x-7"},
		"/a1Lamps0001/${target}/user/get/a":     {`{}`, ""},
		"/a1Lamps0001/${target}/user/get/b":     {`{"target":"x/../y"}`, ""},
		"/a1Lamps0001/${target}/user/get/c":     {`{"target":"+"}`, ""},
		"/a1Lamps0001/${target}/user/get/d":     {`{"target":"unknown"}`, ""},
		"/broadcast/a1Lamps0001/${target}":      {`{"target":"all"}`, ""},
		"/sys/a1Lamps0001/${t}/thing/x/y/reply": {`{"t":"lamp-2"}`, "/sys/a1Lamps0001/lamp-2/thing/x/y/reply"},
	} {
		p := &devices{}
		s, err := republish.New(p, name, iot.AtMostOnce)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d := sinktest.Row("d", 1)
		d.Payload = []byte(c.row)
		err = s.Send(t.Context(), []*rules.Delivery{d})
		switch {
		case c.want == "" && !rules.IsPermanent(err):
			t.Errorf("%s with %s: %v", name, c.row, err)
		case c.want != "" && (err != nil || len(p.list) != 1 || p.list[0].topic != c.want):
			t.Errorf("%s with %s: %v, %+v", name, c.row, err, p.list)
		}
	}
	for _, bad := range []string{"", "/a/${x", "/a/${}/b"} {
		if _, err := republish.New(&devices{}, bad, 0); !errors.Is(err, republish.ErrTopic) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func Example() {
	p := &devices{}
	s, err := republish.New(p, "/a1Fans00001/${fan}/user/get", iot.AtLeastOnce)
	if err != nil {
		fmt.Println(err)
		return
	}
	d := sinktest.Row("lamp-1", 1)
	d.Payload = []byte(`{"fan":"fan-7","speed":3}`)
	err = s.Send(context.Background(), []*rules.Delivery{d})
	fmt.Println(p.list[0].topic, p.list[0].payload, err)
	// Output: /a1Fans00001/fan-7/user/get {"fan":"fan-7","speed":3} <nil>
}
