// SPDX-License-Identifier: Apache-2.0

package alink_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
)

// Entries real SDKs sent, with the signatures of section 23 of the wire facts.
func TestRow12Signed(t *testing.T) {
	sub1 := auth.NewSecret("1111111122222222333333334444aaaa")
	c3 := auth.NewSecret("eglNFNJiRuR0yncB9RP05sSTY4FrUIoe")
	tests := []struct {
		name, in string
		secret   auth.Secret
		batch    auth.Method
		want     iot.DeviceID
	}{
		{"20TopoAdd", `{"productKey":"a13Npv1vjZ4","deviceName":"example_sub1","clientId":"a13Npv1vjZ4.example_sub1","timestamp":"1885282","signmethod":"hmacsha256","sign":"645A09EB1576A5B214C4528AB27BD4CF1882AA134D4E002525B68E2A2D4839A6"}`, c3, 0, iot.DeviceID{Product: "a13Npv1vjZ4", Name: "example_sub1"}},
		{"21LoginWithBars", `{"productKey":"a13Npv1vjZ4","deviceName":"example_sub1","clientId":"a13Npv1vjZ4.example_sub1|_ss=1,_v=sdk-c-3.2.0|","timestamp":"1885482","signMethod":"hmacSha256","cleanSession":"true","sign":"6303B7684249779EA3E756EDB8BB7DAB31FC3C5D876EF7DFA183BC76185F2BFF"}`, c3, 0, iot.DeviceID{Product: "a13Npv1vjZ4", Name: "example_sub1"}},
		{"22LoginNumber", `{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","clientId":"a1SubPk00001&sub_dev_1","timestamp":1795326940365,"signMethod":"hmacSha1","sign":"f4d0a568003f1fedff175b9e4466a8ae3caaa298","cleanSession":true}`, sub1, 0, iot.DeviceID{Product: "a1SubPk00001", Name: "sub_dev_1"}},
		{"23LoginCleanSigned", `{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","clientId":"a1SubPk00001.sub_dev_1","timestamp":"1524448722000","cleanSession":"true","sign":"d6806062f5be689940a0bafb93bd95f3","extra":{"a":1},"none":null}`, sub1, 0, iot.DeviceID{Product: "a1SubPk00001", Name: "sub_dev_1"}},
		{"25Batch", `{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","clientId":"a1SubPk00001.sub_dev_1","timestamp":"1795326599815","cleanSession":"false","sign":"A3CD5BAE80E416FB8E093E193021A2E0E5D8E08E7B56A09DB228EC65C0BE02ED"}`, sub1, auth.HMACSHA256, iot.DeviceID{Product: "a1SubPk00001", Name: "sub_dev_1"}},
		{"26ProductRegister", `{"productKey":"a1SubPk00001","deviceName":"sub_dev_1","random":"605817A963BA6EFBFB1C","signMethod":"hmacSha256","sign":"CB80228A4B815C0EFD55D6FE67D3C4B250CDC670758F27F1EB1260BB719EC1B5"}`, auth.NewSecret("labSubProdSecret1"), 0, iot.DeviceID{Product: "a1SubPk00001", Name: "sub_dev_1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := alink.ParseSigned([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if tt.batch != 0 {
				s.Method = tt.batch
			}
			if s.Device() != tt.want {
				t.Errorf("names %v, want %v", s.Device(), tt.want)
			}
			if err := s.Verify(tt.secret); err != nil {
				t.Error(err)
			}
			if err := s.Verify(auth.NewSecret("other")); !errors.Is(err, auth.ErrBadSign) {
				t.Errorf("other secret: got %v, want ErrBadSign", err)
			}
		})
	}
}

func TestSignedGet(t *testing.T) {
	s, err := alink.ParseSigned([]byte(` {"ProductKey":"p\u006b","SIGN":"x","signmethod":"HmacMD5","n":-1.5,"t":true} `))
	if err != nil {
		t.Fatal(err)
	}
	want := alink.Signed{
		Params: []auth.Param{{Key: "ProductKey", Value: "pk"}, {Key: "n", Value: "-1.5"}, {Key: "t", Value: "true"}},
		Sign:   "x", Method: auth.HMACMD5,
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.Get("productkey") != "pk" || s.Get("deviceName") != "" {
		t.Errorf("Get: %q, %q", s.Get("productkey"), s.Get("deviceName"))
	}
}

func TestParseSignedMalformed(t *testing.T) {
	for _, in := range []string{"", "[]", "{", `{"a":}`, `{"a":1,}`, wide(alink.MaxMembers + 1), strings.Repeat(`{"a":`, 1000)} {
		if _, err := alink.ParseSigned([]byte(in)); !errors.Is(err, alink.ErrMalformed) {
			t.Errorf("%.40s: got %v, want ErrMalformed", in, err)
		}
	}
	if _, err := alink.ParseSigned([]byte(wide(alink.MaxMembers))); err != nil {
		t.Error(err)
	}
	if _, err := alink.ParseSigned([]byte(`{"signMethod":"none"}`)); !errors.Is(err, auth.ErrBadMethod) {
		t.Errorf("got %v, want ErrBadMethod", err)
	}
}

func TestEachElement(t *testing.T) {
	var got []string
	collect := func(v []byte) bool {
		got = append(got, string(v))
		return len(got) < 3
	}
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{`[]`, nil},
		{` [ ] `, nil},
		{` [ {"a":[1]} , "x" ] `, []string{`{"a":[1]}`, `"x"`}},
		{`[1,2,3,4`, []string{"1", "2", "3"}},
	} {
		got = nil
		if err := alink.EachElement([]byte(tt.in), collect); err != nil {
			t.Errorf("%s: %v", tt.in, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in, diff)
		}
	}
	for _, in := range []string{"", " ", "{}", "[", "[1", "[1,", "[1,]", "[1}", "[]x", "[1]x", "[,]", strings.Repeat("[", 1000)} {
		if err := alink.EachElement([]byte(in), func([]byte) bool { return true }); !errors.Is(err, alink.ErrMalformed) {
			t.Errorf("%.20s: got %v, want ErrMalformed", in, err)
		}
	}
}

func FuzzParseSigned(f *testing.F) {
	f.Add([]byte(`{"productKey":"pk","deviceName":"dn","timestamp":1,"signMethod":"hmacSha1","sign":"00"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := alink.ParseSigned(in)
		if err != nil && !errors.Is(err, alink.ErrMalformed) && !errors.Is(err, auth.ErrBadMethod) {
			t.Errorf("error %v", err)
		}
		if err == nil && s.Verify(auth.NewSecret("x")) == nil {
			t.Errorf("%q verifies", in)
		}
	})
}
