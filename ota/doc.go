// SPDX-License-Identifier: Apache-2.0

// Package ota brings firmware and configuration to devices.
//
// For platforms: Campaign is the state of one rollout, a pure state machine
// without clock, goroutine or I/O. Package describes an uploaded file, Blobs keeps
// its bytes, Links signs short-lived addresses of it, and Handler serves it over
// HTTP. Notice, Step and the other wire types are what both ends say on /ota and
// thing/ota topics (wire facts section 13).
//
// For devices: Updater takes a Notice to a running, confirmed firmware, safe
// against power cuts at every step; package device wires it to a connection.
//
// Config is a remote configuration as the platform keeps and announces it.
package ota
