// Package management is the HTTP face of a hub: products, devices, calls,
// messages and logs for applications that are not written in Go. It is a thin
// skin over the methods of hub.Hub; openapi.json describes it and is served with
// it.
package management
