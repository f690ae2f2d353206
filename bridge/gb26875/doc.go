// SPDX-License-Identifier: Apache-2.0

// Package gb26875 speaks GB/T 26875.3-2011, the protocol between the transmitters
// of fire protection in buildings and a monitoring centre: frames with their
// checksum, confirmations and denials, and all information objects of table 3. Panel
// is a simulator.
//
// The types a transmitter tells, those that ask for them, and what they become:
//
//	1   61  state of a system        properties by Handler.Table
//	2   62  state of a part          event PartState
//	3   63  analogue value           event AnalogValue
//	4   64  operation of a system    event SystemOperation
//	5   65  version of a system      event SystemVersion
//	6   66  configuration, a system  event SystemConfig
//	7   67  configuration, a part    event PartConfig
//	8   68  clock of a system        event SystemClock
//	21  81  state of the transmitter properties by Handler.Table
//	24  84  its operation            event Operation
//	25  85  its version              event Version
//	26  86  its configuration        event Config
//	28  88  its clock                event Clock
//
// The types 89, 90 and 91 are orders of the centre. The others are reserved, or from
// 128 on the makers' own: those are denied.
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
