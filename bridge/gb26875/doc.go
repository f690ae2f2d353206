// SPDX-License-Identifier: Apache-2.0

// Package gb26875 speaks GB/T 26875.3-2011, the protocol between the transmitters
// of fire protection in buildings and a monitoring centre: frames with their
// checksum, confirmations and denials, and the information objects of states,
// parts, analogue values, operations, versions, configurations and clocks. Panel
// is a simulator.
//
// Handler brings transmitters to a bridge. A transmitter's original identity is
// its source address, twelve hexadecimal digits, the high byte first. The codec
// does no input or output and may be used alone.
//
// The standard has no complete frame as an example. The tests decode a frame and
// objects that are published with the tests of codec_gb26875_3_2011 of
// shootingfans, and frames built by hand from the tables of the standard (clauses
// 6.5.2 and 8).
package gb26875
