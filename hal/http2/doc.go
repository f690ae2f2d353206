// SPDX-License-Identifier: Apache-2.0

// Package http2 lets devices in that speak HTTP/2, and is such a device's transport.
//
// Handler serves two things beside anything else of an HTTP server. The data streams
// of Alibaba's C and Python SDKs (wire facts section 8.1) log in with signed headers
// and carry files up, which land in Blobs, or whatever a service of the embedder's
// makes of them. And connections in a mapping of our own, which docs/http2.md
// describes: one request that stays open brings messages down and answers to them up,
// others publish and subscribe. Such a connection is one like MQTT's, with presence,
// subscriptions and acknowledged messages, for networks that let nothing but HTTPS
// through.
//
// Transport is the other end of the latter, for device.Config.Transport: a device can
// do everything over it. Uploader is that of file uploads.
//
// The SDKs speak HTTP/2 inside TLS without having asked for it (ALPN), name no
// authority, and do not end their bodies. A listener must serve that: hal/sniff does,
// as does any http.Server behind TLS whose Protocols have unencrypted HTTP/2.
package http2
