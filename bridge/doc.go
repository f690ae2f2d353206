// SPDX-License-Identifier: Apache-2.0

// Package bridge is the room for devices that speak protocols of their own over
// TCP or UDP. It is empty until the bridge arrives.
package bridge
