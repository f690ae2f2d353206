// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"testing"

	"github.com/tidwall/gjson"

	"github.com/openalink/iot/shadow"
)

const stored = `{"state":{"reported":{"a1":1,"a2":2,"a3":3,"a4":"four","a5":5.5,"a6":[1,2,3],"a7":true,"a8":"eight","a9":9,"a10":10}},"metadata":{"reported":{"a1":{"timestamp":1},"a2":{"timestamp":1},"a3":{"timestamp":1},"a4":{"timestamp":1},"a5":{"timestamp":1},"a6":{"timestamp":1},"a7":{"timestamp":1},"a8":{"timestamp":1},"a9":{"timestamp":1},"a10":{"timestamp":1}}},"timestamp":1,"version":1,"revision":1,"desiredRevision":0}`

const update = `{"method":"update","state":{"reported":{"a1":11,"a2":12,"a3":13,"a4":"fourteen","a5":15.5,"a6":[4,5,6],"a7":false,"a8":"eighteen","a9":19,"a10":20}}}`

func BenchmarkUpdate(b *testing.B) {
	d, err := shadow.Decode([]byte(stored))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := shadow.ParseRequest([]byte(update))
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Apply(r, shadow.Device, at, &rules); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseBoth is the yardstick: both texts checked and walked by gjson.
func BenchmarkParseBoth(b *testing.B) {
	var walk func(k, v gjson.Result) bool
	walk = func(_, v gjson.Result) bool {
		if v.IsObject() {
			v.ForEach(walk)
		}
		return true
	}
	for b.Loop() {
		for _, text := range []string{stored, update} {
			if !gjson.Valid(text) {
				b.Fatal("not JSON")
			}
			gjson.Parse(text).ForEach(walk)
		}
	}
}
