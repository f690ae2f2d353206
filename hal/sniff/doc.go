// SPDX-License-Identifier: Apache-2.0

// Package sniff serves MQTT, MQTT over WebSocket, HTTP and all of them over
// TLS on one port. Device SDKs use port 443 for each of these, plain TCP
// included, so a server that wants all devices has to look at the first byte:
// 0x16 begins TLS, 0x10 an MQTT CONNECT, a capital letter an HTTP request.
// Inside TLS the first byte is looked at again. Anything else ends the
// connection.
package sniff
