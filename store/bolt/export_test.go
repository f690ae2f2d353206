// SPDX-License-Identifier: Apache-2.0

package bolt

// WithSegments sets the size of segments.
func WithSegments(o Options, records, bytes int) Options {
	o.segmentRecords, o.segmentBytes = records, bytes
	return o
}
