// SPDX-License-Identifier: Apache-2.0

// Package shadow is the room of device shadows: the document as a state machine
// and its service over a store. It is empty until shadows arrive; hubs answer
// shadow topics with nothing and log that.
package shadow
