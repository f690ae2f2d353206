// SPDX-License-Identifier: Apache-2.0

// Package https lets devices in that speak by single HTTP requests, and is such a
// device's transport.
//
// A device proves itself once at /auth and gets a token for 48 hours; with it it
// posts to /topic/{topic}. Handler serves both beside anything else of an HTTP
// server: HTTP/1.0, 1.1 and 2, over TLS as the server has it. Every answer is HTTP
// 200 with a Code in compact JSON.
//
// Transport is the other end, for device.Config.Transport. The protocol has no way
// to the device: nothing reaches it but the answer to what it posted, which our
// Handler gives in the response and Alibaba's platform does not. Subscribing fails
// with ErrNoDownlink, and calls of the platform find the device offline; what it is
// to do it must fetch: desired properties, the shadow, a configuration, firmware.
// Gateways cannot log sub-devices in.
//
// Source: wire facts, section 6.
package https
