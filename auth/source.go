// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"

	iot "github.com/openalink/iot"
)

// SecretSource finds the secret a device signs with. It is safe for concurrent
// use.
type SecretSource interface {
	// DeviceSecret returns the DeviceSecret of id. ErrUnknownDevice (wrapped or
	// not) means there is no such device; any other error means the source could
	// not tell. id may be a view of a network buffer: it must not be kept.
	DeviceSecret(ctx context.Context, id iot.DeviceID) (Secret, error)
}
