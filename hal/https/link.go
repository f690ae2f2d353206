// SPDX-License-Identifier: Apache-2.0

package https

import (
	"context"

	"github.com/openalink/iot/hal"
)

// noLink is the link of a request: there is no way to its client but the answer.
type noLink struct{}

// Send implements hal.Link.
func (noLink) Send(_ context.Context, _ hal.Delivery, done func(error)) {
	if done != nil {
		done(hal.ErrGone)
	}
}

// Close implements hal.Link.
func (noLink) Close(hal.Cause) {}
