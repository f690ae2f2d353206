// SPDX-License-Identifier: Apache-2.0

// Package shadow is the device shadow as a pure state machine: a document, the
// requests that change it, and the answers and messages that follow. It does no
// I/O and knows no clock; a hub keeps documents and carries messages.
//
// The rules are those of Alibaba Cloud IoT Platform (wire facts section 14).
// What other vendors do differently is a parameter of Rules.
package shadow
