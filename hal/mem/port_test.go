// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"testing"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/mem"
)

func TestPort(t *testing.T) {
	haltest.TestDevice(t, haltest.Port{
		Transport: func(_ *testing.T, a hal.Access) hal.Transport { return mem.NewTransport(a) },
	})
}
