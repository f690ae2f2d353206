// SPDX-License-Identifier: Apache-2.0

package management

// Routes lists the patterns the API serves, for the test of its description.
func Routes() []string {
	var list []string
	for _, r := range (&api{}).routes() {
		list = append(list, r.pattern)
	}
	return list
}
