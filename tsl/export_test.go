// SPDX-License-Identifier: Apache-2.0

package tsl

// Shape is shape.
var Shape = shape
