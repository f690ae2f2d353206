// SPDX-License-Identifier: Apache-2.0

// Package webauth is what devices and the platform say over HTTPS before a
// connection: dynamic registration, pre-authentication and bootstrap (wire facts
// sections 4.1 to 4.3). Handler is the platform's side, Client the device's.
package webauth
