// SPDX-License-Identifier: Apache-2.0

package hal_test

import (
	"errors"
	"testing"

	"github.com/openalink/iot/hal"
)

func TestErrorsSayWhy(t *testing.T) {
	cause := errors.New("cause")
	for want, err := range map[string]error{
		"hal: refused: bad client id":               &hal.RefusedError{Reason: hal.BadClientID},
		"hal: refused: not authorized: cause":       &hal.RefusedError{Reason: hal.NotAuthorized, Err: cause},
		"hal: refused: reason 99":                   &hal.RefusedError{Reason: 99},
		"hal: refused: unknown reason":              &hal.RefusedError{},
		"hal: message rejected":                     &hal.RejectedError{},
		"hal: message rejected: cause":              &hal.RejectedError{Err: cause},
		"hal: refused: bad protocol version":        &hal.RefusedError{Reason: hal.BadVersion},
		"hal: refused: unavailable":                 &hal.RefusedError{Reason: hal.Unavailable},
		"hal: refused: bad credentials":             &hal.RefusedError{Reason: hal.BadCredentials},
		"hal: refused: bad credentials: cause":      &hal.RefusedError{Reason: hal.BadCredentials, Err: cause},
		"hal: refused: bad protocol version: cause": &hal.RefusedError{Reason: hal.BadVersion, Err: cause},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, err := range []error{&hal.RefusedError{Err: cause}, &hal.RejectedError{Err: cause}} {
		if !errors.Is(err, cause) {
			t.Errorf("%v hides its cause", err)
		}
	}
}

func TestIdentityIsItsOwnSource(t *testing.T) {
	id := hal.Identity{Firmware: "1.2"}
	got, err := hal.Identities(id).Identity(t.Context())
	if err != nil || got.Firmware != "1.2" {
		t.Errorf("%+v, %v", got, err)
	}
}
