// SPDX-License-Identifier: Apache-2.0

package hub

import "unsafe"

// RecordSize is what a device's record takes in memory without its texts.
const RecordSize = int(unsafe.Sizeof(deviceRecord{}))
