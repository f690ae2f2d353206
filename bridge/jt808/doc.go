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
// (its README), the Huabao decoder of Traccar, xtream-codec of makeclan and
// go-jt808 of cuteLittleDevil (their tests). Encrypted bodies (RSA) are not
// decoded.
package jt808
