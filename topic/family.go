// SPDX-License-Identifier: Apache-2.0

package topic

// Family is the kind of a topic, which its first levels tell (wire facts,
// section 9).
type Family uint8

// The families.
const (
	// FamilyUnknown is a legal name that is none of the below: "$..." names of
	// other vendors, names without a leading slash, system topics of wrong shape.
	FamilyUnknown   Family = iota
	FamilySys              // /sys/{pk}/{dn}/...
	FamilyExt              // /ext/{kind}/{pk}/{dn}/... and those /ext topics that name no device
	FamilyOTA              // /ota/device/{kind}/{pk}/{dn}
	FamilyShadow           // /shadow/update/{pk}/{dn} and /shadow/get/{pk}/{dn}
	FamilyBroadcast        // /broadcast/{pk}/...
	FamilyCustom           // /{pk}/{dn}/user/... and the older /{pk}/{dn}/...
	FamilyRRPC             // /ext/rrpc/{id}/{full inner topic}
)

var familyNames = [...]string{"unknown", "sys", "ext", "ota", "shadow", "broadcast", "custom", "rrpc"}

// String returns the family's name in lower case.
func (f Family) String() string {
	if int(f) < len(familyNames) {
		return familyNames[f]
	}
	return familyNames[FamilyUnknown]
}
