// SPDX-License-Identifier: Apache-2.0

// Package mqttwire encodes and decodes the control packets of MQTT 3.1 and
// 3.1.1. The front door, its tests and the load generator share it.
//
// Encoders append to a slice and never fail; they trust their caller to keep
// strings under 64 KB. Decoders take the body of a packet that Split cut out,
// check every length before they use it, and return errors that wrap
// ErrMalformed. A decoded byte slice aliases the body it came from.
package mqttwire
