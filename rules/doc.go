// SPDX-License-Identifier: Apache-2.0

// Package rules is the room of rule SQL, its runner and sinks. It is empty until
// rules arrive; Hub.Messages follows the message log meanwhile.
package rules
