// SPDX-License-Identifier: Apache-2.0

package coap_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/openalink/iot/hal/coap"
	"github.com/openalink/iot/hub"
)

const (
	desiredGet = "/topic/sys/a1LabPk00001/lab_dev_01/thing/property/desired/get"
	askDesired = `{"id":"1","version":"1.0","params":["b"],"method":"thing.property.desired.get"}`
)

// long is a value whose answer does not fit into one message.
var long = strings.Repeat("0123456789", 300)

// block2 is the value of the option.
func block2(num, exp int) option {
	return option{23, string([]byte{byte(num >> 4), byte(num<<4 | exp)})}
}

func TestLongAnswers(t *testing.T) {
	eachWay(t, func(t *testing.T, p *platform, tr *coap.Transport) {
		if _, err := p.hub.SetDesired(t.Context(), lab, map[string]any{"b": long}, nil); err != nil {
			t.Fatal(err)
		}
		c := p.device(tr, nil)
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			desired, err := c.DesiredProperties(t.Context(), "b")
			if err != nil || string(desired["b"].Value) != `"`+long+`"` {
				t.Errorf("desired %.40q, %v", desired["b"].Value, err)
			}
		}
	})
}

// Answers to requests on one topic, made at the same time, are not put together.
func TestLongAnswersAtOnce(t *testing.T) {
	p := serve(t, hub.NoLimits(), nil)
	names := []string{"b", "c", "d", "e"}
	for _, name := range names {
		if _, err := p.hub.SetDesired(t.Context(), lab, map[string]any{name: strings.Repeat(name, 3000)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	c := p.device(coap.New("coap://"+p.plain), nil)
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	for _, name := range names {
		asking.Go(func() {
			for range 5 {
				desired, err := c.DesiredProperties(t.Context(), name)
				if err != nil || string(desired[name].Value) != `"`+strings.Repeat(name, 3000)+`"` {
					t.Errorf("%s: %.20q, %v", name, desired[name].Value, err)
				}
			}
		})
	}
	asking.Wait()
}

// blocks fetches an answer in blocks of a size the client chooses.
func (s *speaker) blocks(token string, exp int) (whole []byte) {
	s.t.Helper()
	for num := 0; ; num++ {
		m := post(desiredGet, token, nil)
		if num == 0 {
			m.payload = []byte(askDesired)
		}
		a := s.ask(with(m, block2(num, exp)))
		if coap.Code(a.code) != coap.CodeContent || len(a.options) != 2 || a.options[1].id != 23 || len(a.options[1].value) != 3 {
			s.t.Fatalf("block %d: %v %q, options %v", num, coap.Code(a.code), a.payload, a.options)
		}
		whole = append(whole, a.payload...)
		v := a.options[1].value
		n := int(v[0])<<16 | int(v[1])<<8 | int(v[2])
		if n>>4 != num || n&7 != min(exp, 6) {
			s.t.Fatalf("block %d of 2^%d, want %d of 2^%d", n>>4, n&7+4, num, exp+4)
		}
		if n&8 == 0 {
			return whole
		}
	}
}

func TestBlocks(t *testing.T) {
	p := serve(t, hub.NoLimits(), cleartext)
	if _, err := p.hub.SetDesired(t.Context(), lab, map[string]any{"b": long}, nil); err != nil {
		t.Fatal(err)
	}
	token, s := p.token(), p.speak(p.plain)
	for _, exp := range []int{0, 2, 6, 7} {
		if whole := s.blocks(token, exp); !bytes.Contains(whole, []byte(long)) {
			t.Errorf("blocks of 2^%d: %.40q", exp+4, whole)
		}
	}
	again := post(desiredGet, token, nil)
	expect(t, "behind the end", s.ask(with(again, block2(200, 6))), coap.CodeBadRequest)
	expect(t, "another topic", s.ask(with(post(labPost, token, nil), block2(1, 6))), coap.CodeIncomplete)
	expect(t, "another client", p.speak(p.plain).ask(with(again, block2(1, 6))), coap.CodeIncomplete)
	expect(t, "no token", s.ask(with(post(desiredGet, "", nil), block2(1, 6))), coap.CodeUnauthorized)
	expect(t, "wrong token", s.ask(with(post(desiredGet, "wrong", nil), block2(1, 6))), coap.CodeUnauthorized)
	if _, err := p.hub.DisableDevice(t.Context(), lab); err != nil {
		t.Fatal(err)
	}
	expect(t, "disabled", s.ask(with(again, block2(1, 6))), coap.CodeUnauthorized)
}
