// SPDX-License-Identifier: Apache-2.0

// Package coap lets devices in that speak by single CoAP requests over UDP, and is
// such a device's transport.
//
// A device proves itself once at /auth and gets a token for 48 hours; with it it
// posts to /topic/{topic}. Server serves both in two ways:
//
//   - over DTLS 1.2, with a key made of the DeviceSecret or with the server's
//     certificate; a device may change its address and keep its session, if it
//     speaks Connection ID (RFC 9146),
//   - over plain UDP with payloads encrypted by AES, a sequence number in each
//     request and keys made at the login.
//
// Transport is the other end, for device.Config.Transport. The protocol has no way
// to the device: nothing reaches it but the answer to what it posted, which our
// Server gives in the response. Subscribing fails with ErrNoDownlink, and calls of
// the platform find the device offline; what it is to do it must fetch: desired
// properties, the shadow, a configuration, firmware. Gateways cannot log
// sub-devices in. A message is 1 KB at most; a longer answer leaves in blocks of 1 KB
// (RFC 7959), and not at all beyond 64 KB.
//
// Every DTLS handshake costs memory before its client has shown that its address
// is its own, because the cookie is made by a handshake already begun. What bounds
// it is Config.MaxHandshakes: beyond it the oldest of those that have not shown
// their cookie is given up. Sessions made and messages are not touched by a flood
// of handshakes; a new handshake succeeds as long as its first round trip is
// quicker than the flood turns the table over, and a device tries again.
//
// Source: wire facts, sections 5.3, 7 and 1 rows 31 to 34; RFC 7252, RFC 6347.
package coap
