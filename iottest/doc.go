// Package iottest puts a whole platform inside go test.
//
//	func TestLamp(t *testing.T) {
//		h := iottest.NewHub(t)
//		lamp := iottest.NewDevice(t, h, device.Handlers{...})
//		...
//	}
//
// A hub lives in memory and is reached without sockets, so tests run in parallel
// and, inside testing/synctest, with virtual time: a keep-alive that runs out, a
// queue kept for a week and the limit of five logins a minute are tested in
// microseconds. WithTCP opens a real port on the loopback interface for clients
// written by others.
package iottest
