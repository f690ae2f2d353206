// SPDX-License-Identifier: Apache-2.0

// Package jt808 speaks JT/T 808, the protocol of Chinese vehicle terminals, in its
// versions of 2013 and 2019: frames with escapes, checksum and sub-packages;
// registration, authentication, heartbeat, location with its extras, batches of
// locations, general answers, texts and parameters. Terminal is a simulator.
//
// Handler brings terminals to a bridge. A terminal's original identity is its
// telephone number as the frame has it, leading zeros left out. The codec does no
// input or output and may be used alone. Clause numbers are those of the 2019
// standard where both agree.
//
// The frames the tests decode are published with the JT808 library of SmallChi
// (its README) and the Huabao decoder of Traccar (its tests). For 0x0104, 0x0201,
// 0x0704 and the layout of 2019 no capture with stated values was at hand: they
// are tested by round trips. Encrypted bodies (RSA) are not decoded.
package jt808
