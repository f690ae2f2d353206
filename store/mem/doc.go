// Package mem is the store engine that keeps everything in memory: for tests,
// and for gateways so small that what they know may be lost with the process.
//
// It has no timers and no goroutine while it is idle, so it works inside
// testing/synctest when it was made in the same bubble.
package mem
