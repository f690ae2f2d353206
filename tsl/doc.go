// SPDX-License-Identifier: Apache-2.0

// Package tsl is the thing model: it reads and checks TSL documents (wire facts
// section 17) and compiles them to validators that judge what devices send from
// the raw bytes.
package tsl
