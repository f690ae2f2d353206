// SPDX-License-Identifier: Apache-2.0

package shadow_test

import (
	"testing"

	"github.com/openalink/iot/shadow"
)

// FuzzDecode reads anything as a stored document: what can be read is written in
// one form, which reads as the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		stored, `{"state":{"desired":{"a":{"b":{}}}},"metadata":{},"version":-1}`, `{}`, `[]`, `{"state":{"reported":{"":0,"\u0022":[1]}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := shadow.Decode(text)
		if err != nil {
			return
		}
		first := d.Append(nil)
		again, err := shadow.Decode(first)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, first, err)
		}
		if second := again.Append(nil); string(first) != string(second) {
			t.Errorf("%q became\n%q, then\n%q", text, first, second)
		}
	})
}
