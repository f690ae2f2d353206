// SPDX-License-Identifier: Apache-2.0

// Package jt808 speaks JT/T 808, the protocol of Chinese vehicle terminals, in its
// versions of 2013 and 2019. Terminal is a simulator.
//
// Handler brings terminals to a bridge. A terminal's original identity is its
// telephone number as the frame has it, leading zeros left out. The codec does no
// input or output and may be used alone. Clause and table numbers are those of the
// 2019 standard where both agree.
//
// # Messages
//
// Frames have escapes, a checksum and sub-packages; parts that miss are asked for.
// These are the messages, with what reads and writes their bodies:
//
//	0x0001, 0x8001  general answers      Answer
//	0x0002          heartbeat            -
//	0x0003          logout               -
//	0x0004, 0x8004  time (2019)          ParseServerTime
//	0x0005, 0x8003  parts again          Resend
//	0x0100, 0x8100  registration         Register, RegisterAnswer
//	0x0102          authentication       Authenticate
//	0x0104          parameters           ParseParametersReply
//	0x0107, 0x8107  attributes           Attributes
//	0x0200, 0x0201  location             Location, with Extra
//	0x0704          batch of locations   ParseBatch
//	0x8103          set parameters       Parameter
//	0x8104, 0x8106  ask for parameters   ParseIDs
//	0x8105          control              Control
//	0x8201          ask for the location -
//	0x8202          tracking             Tracking
//	0x8300          text                 Text
//
// Others are answered with Unsupported. Encrypted bodies (RSA) are not decoded, nor
// are areas, routes, calls, media and what JT/T 1078 adds beside its extras. A
// Handler of your own in front of this one may take them: it gets them as *Frame.
//
// # Thing model
//
// Handler.Table maps the fields of a location to properties, whole or bit by bit:
// see Location.Fields. Handler.Settings maps properties to parameters of the
// terminal.
//
// # Sources
//
// The frames and bodies the tests decode are published with the JT808 library of
// SmallChi (its README and tests), the Huabao decoder of Traccar, xtream-codec of
// makeclan and go-jt808 of cuteLittleDevil (their tests).
package jt808
