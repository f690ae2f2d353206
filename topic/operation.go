// SPDX-License-Identifier: Apache-2.0

package topic

// Operation is what a device may do to a topic, as a bit set.
type Operation uint8

// The operations of a product's topic classes.
const (
	Pub Operation = 1 << iota // the device publishes
	Sub                       // the device subscribes and receives
	All = Pub | Sub
)

// String returns "pub", "sub", "all" or "none".
func (o Operation) String() string {
	return [...]string{"none", "pub", "sub", "all"}[o&All]
}
