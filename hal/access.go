// SPDX-License-Identifier: Apache-2.0

package hal

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/topic"
)

// Access decides who may come in. Listeners call it once for every connection
// or request. It is safe for concurrent use.
type Access interface {
	// Connect identifies a client and opens a session for it. It may block
	// (secrets may come from afar, an older session may have to be drained) and
	// returns when ctx ends. A refusal is a *RefusedError; any other error means
	// the platform could not decide, which a listener answers as Unavailable.
	//
	// r and everything in it but r.Link belongs to the listener again when
	// Connect returns.
	//
	// What the platform sends on r.Link before Connect returns leaves right
	// after the listener's acceptance (MQTT: the CONNACK).
	Connect(ctx context.Context, r *ConnectRequest) (Accepted, error)
}

// Kind tells a lasting connection from a single request.
type Kind uint8

// The kinds of ConnectRequest.
const (
	// Connection is kept open, has presence and takes over from an older one.
	Connection Kind = iota
	// Request authenticates and activates, but opens no presence and kicks
	// nobody. Its Link lives as long as the request (HTTP, CoAP).
	Request
)

// ConnectRequest says who wants in and how.
type ConnectRequest struct {
	Protocol   string // "mqtt", "http", "coap", "mem", ...
	Version    byte   // protocol level: 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5
	Kind       Kind
	ClientID   string
	UserName   string
	Credential auth.Credential // nil when the client showed none
	TLS        *tls.ConnectionState
	RemoteAddr net.Addr
	KeepAlive  time.Duration // 0 means none; the platform decides whether that is allowed
	// CleanSession asks to forget the stored session. When false the session's
	// subscriptions and undelivered QoS 1 messages outlive the connection.
	CleanSession bool
	// Will tells that the client left a will. The platform ignores wills and
	// logs that it did.
	Will bool
	// Link reaches the client. It outlives the call.
	Link Link
}

// Accepted is the outcome of a successful Connect.
type Accepted struct {
	Session Session
	// Resumed tells that a stored session continues (MQTT 3.1.1 section 3.2.2.2,
	// session present).
	Resumed bool
	// KeepAlive is the longest silence the platform allows, zero for no limit.
	// The listener closes the connection with CauseKeepAlive when nothing
	// arrived for that long. It already includes MQTT's factor of 1.5.
	KeepAlive time.Duration
	// MaxUnacked is how many QoS 1 messages may wait for their done at once,
	// zero for the listener's default. A listener stops reading a connection
	// that has that many.
	MaxUnacked int
}

// Session is the platform's half of a connection. Receive is called by one
// goroutine at a time, in the order the messages arrived; Close and Authorize
// are safe for concurrent use.
//
// Sessions whose client may subscribe also implement Subscriber.
type Session interface {
	// Receive takes a message from the client. It authorises and queues it, and
	// blocks only for back-pressure: until there is room, ctx ends, or the
	// session is closed. done is called exactly once, after everything the
	// message changed is durable, from any goroutine and possibly before Receive
	// returns; it never blocks.
	//
	// m.Topic and m.Payload stay valid and unchanged until done returns. The
	// answers, their topics and payloads, are valid until done returns; they leave
	// with QoS 0 (what needs an acknowledgement goes through Link.Send). err is
	//
	//   - nil: kept; acknowledge, then send the answers,
	//   - a *RejectedError: not processed, acknowledge all the same (MQTT 3.1.1
	//     has no other answer) and keep the connection,
	//   - anything else: not kept; close the connection unacknowledged.
	Receive(ctx context.Context, m iot.Message, done func(answers []iot.Message, err error))

	// Authorize reports whether the client may publish to a topic (topic.Pub) or
	// subscribe to a filter (topic.Sub). The error is a *RejectedError. Receive and
	// Subscribe ask by themselves; it is there for external brokers.
	Authorize(op topic.Operation, name string) error

	// Close tells that the connection ended and why. It must not be called from
	// within a done. It ends this session only,
	// never the presence of a newer one, and is idempotent. It does not wait for
	// messages whose done is still to come.
	Close(cause Cause)
}

// Numbered is a Session that knows the platform's numbers of messages, which HTTP
// tells its clients.
type Numbered interface {
	// MessageID returns the number of the message received last, once its done was
	// called; zero when it has none.
	MessageID() int64
}

// NumberedReceiver is a Session that tells the number with each outcome, for
// connections that have many messages in flight.
type NumberedReceiver interface {
	// ReceiveNumbered is Receive; done is also given the platform's number of the
	// message, zero when it has none.
	ReceiveNumbered(ctx context.Context, m iot.Message, done func(id int64, answers []iot.Message, err error))
}

// Subscriber is a Session whose client may subscribe. The platform owns the
// subscriptions: listeners keep none.
type Subscriber interface {
	// Subscribe answers each filter with its grant, in order, once the change is
	// durable. It is called in line with Receive.
	Subscribe(ctx context.Context, filters []Filter) []Grant
	// Unsubscribe drops filters, unknown ones included.
	Unsubscribe(ctx context.Context, filters []string)
}

// Filter is a topic filter and the highest QoS wanted on it. Listeners pass the
// client's number unchanged, 2 included.
type Filter struct {
	Topic string
	QoS   iot.QoS
}

// Grant answers a Filter: the QoS granted, or Refused (MQTT 3.1.1 section 3.9.3).
type Grant byte

// Refused is the Grant of a filter the client may not have.
const Refused Grant = 0x80
