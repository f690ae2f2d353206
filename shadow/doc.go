// SPDX-License-Identifier: Apache-2.0

// Package shadow is the device shadow as a pure state machine: a document, the
// requests that change it, and the answers and messages that follow. It does no
// I/O and knows no clock; a hub keeps documents and carries messages.
//
// The rules are those of Alibaba Cloud IoT Platform (wire facts section 14).
// What other vendors do differently is a parameter of Rules.
//
// The public examples of the protocol have slips that are not reproduced here:
// one topic is written topic/shadow/update, one with a slash behind it; metadata
// stands inside of state in the outline of the document and in the control
// message, and beside it everywhere else; commas are missing before timestamp
// and too many behind the last member; after a device cleared desired, the
// example shows its reported value changed although nothing reported it, and a
// timestamp left in the metadata of desired; version and timestamp of a get's
// answer stand inside of the payload, those of a control outside of it.
package shadow
