// SPDX-License-Identifier: Apache-2.0

// Package stream carries a consumer of a group over one HTTP request, for programs
// in any language.
//
// The client sends POST to the group's path and keeps the request open: answers go
// up in its body while messages come down in the response. Both are lines of JSON.
// HTTP/2 is made for that, with or without TLS; HTTP/1.1 works with clients that
// read the response while they write the body.
//
// Down, one line a message, its payload in base64; and every 30 s a ping:
//
//	{"handle":"1","messageId":"2000000000000000001","topic":"/a1Lamps0001/lamp-1/user/update","productKey":"a1Lamps0001","deviceName":"lamp-1","time":1772368205250,"qos":1,"tries":1,"payload":"eyJ0IjoyMX0="}
//	{"ping":1772368235250}
//	{"stale":["1"]}
//
// Up, any number of handles a line. again comes with an optional delay in
// milliseconds:
//
//	{"done":["1","2"]}
//	{"again":["3"],"delay":60000}
//	{"later":["4"]}
//
// A handle that is not the client's any more comes back as stale. The query
// parameter prefetch bounds the unanswered messages (100). A client that ends its
// body, or the connection, leaves the group; what it has not answered goes to others.
package stream
