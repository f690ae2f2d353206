// Package mem connects devices to a platform inside one process, without
// sockets: NewTransport speaks to a hal.Access directly, and Network carries the
// bytes of any protocol between a listener and its clients. Both work inside
// testing/synctest, where a minute of silence takes no time.
package mem
