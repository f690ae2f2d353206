// SPDX-License-Identifier: Apache-2.0

package shadow

// Rules are what differs between platforms and policies.
type Rules struct {
	// MaxBytes bounds the stored document, MaxDepth the levels of its values, and
	// MaxMembers the attributes of each section, nested ones counted.
	MaxBytes   int
	MaxDepth   int
	MaxMembers int
	// RenumberStale takes a device's update with a version that is not greater
	// than the stored one as stored plus one, instead of refusing it with 409: some
	// firmware counts from 1 at every boot (wire facts section 1 row 25).
	RenumberStale bool
}

// DefaultRules are the documented ones: 16 KB, 5 levels, 128 attributes, stale
// versions refused.
func DefaultRules() Rules {
	return Rules{MaxBytes: 16 << 10, MaxDepth: 5, MaxMembers: 128}
}
