// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"errors"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/store/mem"
)

// Keys are those of wire facts section 23 numbers 13 and 27, and only devices that
// may come in have them.
func TestKeys(t *testing.T) {
	h, err := hub.Open(t.Context(), hub.Config{Store: mem.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	lab := iot.DeviceID{Product: "a1LabPk00001", Name: "lab_dev_01"}
	for _, p := range []hub.Product{{Key: lab.Product}, {Key: "a1Certified", X509: true}} {
		if _, err := h.CreateProduct(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	certified := iot.DeviceID{Product: "a1Certified", Name: "door-1"}
	for _, id := range []iot.DeviceID{lab, certified} {
		if _, err := h.RegisterDevice(t.Context(), hub.Device{ID: id, Secret: auth.NewSecret("5f2c8b1e9a7d4c3fb0e6d1a2c4f80719")}); err != nil {
			t.Fatal(err)
		}
	}
	const stamp = "2524608000000"
	psk, err := h.PSK(t.Context(), auth.PSKIdentity(lab, stamp))
	if want := "77726B82CB90CA198FC22F75A9F060E05C6500431B6EE2EF1C5DA515F2C620C2"; string(psk) != want || err != nil {
		t.Errorf("PSK %s, %v, want %s", psk, err, want)
	}
	key, err := h.CoAPKey(t.Context(), lab, "ad2b3a5eb51d64f7")
	if want := "\xef\x63\x6c\xd5\xbe\xdb\xc7\xee\x60\xa9\x31\xa1\x4e\xa6\x35\xd8"; string(key) != want || err != nil {
		t.Errorf("key %x, %v, want %x", key, err, want)
	}
	if _, err := h.DisableDevice(t.Context(), lab); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		id     iot.DeviceID
		err    error
		reason hal.Reason
	}{
		"disabled":        {id: lab, err: hub.ErrDisabled, reason: hal.NotAuthorized},
		"unknown device":  {id: iot.DeviceID{Product: lab.Product, Name: "nobody"}, err: auth.ErrUnknownDevice},
		"unknown product": {id: iot.DeviceID{Product: "nothing", Name: "nobody"}, err: auth.ErrUnknownDevice},
		"certificate":     {id: certified, err: hal.ErrOtherAuth},
	} {
		psk, err1 := h.PSK(t.Context(), auth.PSKIdentity(tt.id, stamp))
		key, err2 := h.CoAPKey(t.Context(), tt.id, "r")
		for _, err := range []error{err1, err2} {
			refused, ok := errors.AsType[*hal.RefusedError](err)
			if !errors.Is(err, tt.err) || ok != (tt.reason != 0) || ok && refused.Reason != tt.reason {
				t.Errorf("%s: %v", name, err)
			}
		}
		if psk != nil || key != nil {
			t.Errorf("%s has keys", name)
		}
	}
	if _, err := h.PSK(t.Context(), "nonsense"); !errors.Is(err, auth.ErrBadClientID) {
		t.Errorf("not an identity: %v", err)
	}
	_ = h.Close()
	if _, err := h.CoAPKey(t.Context(), lab, "r"); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
