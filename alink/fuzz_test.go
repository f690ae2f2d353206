// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/openalink/iot/alink"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"id":"2","version":"1.0","params":{"Counter": 1},"method":"thing.event.property.post","sys":{"ack":0}}`,
		`{"code":"1000","data":{"size":1},"id":1507707025,"message":"success"}`,
		`{"method":"delete",,"state":{}}`, `{"\u0069d":"\ud83d\ude00","x":[1.5e-3,true,null]}`, `{"a":1,"a":2}`, "", "[]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		var m alink.Message
		err := alink.Parse(in, &m)
		if !bytes.Equal(before, in) {
			t.Error("the payload was changed")
		}
		var doc map[string]json.RawMessage
		stdErr := json.Unmarshal(in, &doc)
		if err != nil {
			if !errors.Is(err, alink.ErrMalformed) {
				t.Errorf("error %v is not ErrMalformed", err)
			}
			return
		}
		if stdErr != nil || doc == nil {
			t.Fatalf("%q is taken; the standard library says %v", in, stdErr)
		}
		if string(doc["params"]) != string(m.Params) || string(doc["data"]) != string(m.Data) {
			t.Errorf("%q: params %q, data %q", in, m.Params, m.Data)
		}
		r := alink.OK(nil).For(&m)
		out := alink.AppendReply(nil, &r)
		var m2 alink.Message
		if err := alink.Parse(out, &m2); err != nil || m2.ID != m.ID {
			t.Errorf("%q is answered by %q: %v", in, out, err)
		}
	})
}

// FuzzValid finds what Parse refuses although it need not.
func FuzzValid(f *testing.F) {
	f.Add([]byte(`{"a":[1,-0.5e+3,"\u00e9\n",{"b":null}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1000 || bytes.Count(in, []byte("[")) > 50 || bytes.Count(in, []byte("{")) > 50 {
			return
		}
		var m alink.Message
		wrapped := append(append([]byte(`{"x":`), in...), '}')
		err := alink.Parse(wrapped, &m)
		if json.Valid(in) && err != nil || err == nil && !json.Valid(wrapped) {
			t.Errorf("%q: %v, valid %v", in, err, json.Valid(in))
		}
	})
}
