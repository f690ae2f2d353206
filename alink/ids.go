// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"strconv"
	"sync/atomic"
)

// IDs makes request ids: the decimal numbers from 1 on, as text. Some devices
// insist on digits. The zero IDs is ready and safe for concurrent use.
type IDs struct{ n atomic.Uint64 }

// Next returns the next id.
func (g *IDs) Next() string { return strconv.FormatUint(g.n.Add(1), 10) }
