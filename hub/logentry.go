// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
)

// LogEntry is the outcome of one thing a device or the platform did. Every
// outcome makes exactly one.
type LogEntry struct {
	Time      time.Time    `json:"time"`
	MessageID int64        `json:"messageId,string,omitempty"` // of the message it is about, if any
	Device    iot.DeviceID `json:"device"`
	Via       iot.DeviceID `json:"via,omitzero"` // gateway it came through
	Kind      LogKind      `json:"kind"`
	Operation Operation    `json:"operation"`
	Status    Status       `json:"status"`
	Code      alink.Code   `json:"code,omitempty"` // answer sent or received, if any
	Cause     LogCause     `json:"cause,omitempty"`
	Topic     string       `json:"topic,omitempty"`
	Detail    string       `json:"detail,omitempty"` // what exactly was wrong, in words
}

// LogKind groups entries as the log service of the documents does.
type LogKind string

// The kinds of log entries (wire facts section 20).
const (
	Behaviour  LogKind = "behaviour"
	Upstream   LogKind = "upstream"
	Downstream LogKind = "downstream"
)

// Status tells success from failure.
type Status string

// The two outcomes.
const (
	Success Status = "success"
	Failure Status = "failure"
)

// Operation is what was tried.
type Operation string

// The operations (wire facts section 20).
const (
	OpConnect     Operation = "connect"
	OpDisconnect  Operation = "disconnect"
	OpRegister    Operation = "register" // a device asking for credentials of its own
	OpSubscribe   Operation = "subscribe"
	OpUnsubscribe Operation = "unsubscribe"
	// OpPublish is a device publishing: "Device publish message to topic".
	OpPublish Operation = "device-publish"
	// OpCheckPayload is a payload that cannot be understood: "Check payload".
	OpCheckPayload Operation = "check-payload"
	// OpHandle is a handler answering a request of a device.
	OpHandle Operation = "handle"
	// OpAPIPublish is an application publishing: "Publish message to topic".
	OpAPIPublish Operation = "publish"
	// OpSend is a message leaving for a device: "Publish message to device".
	OpSend Operation = "publish-to-device"
	// OpSendOffline is a kept message leaving after the device came back:
	// "Publish offline message to device".
	OpSendOffline Operation = "publish-offline-to-device"
	// OpReply is a device answering a request of the platform.
	OpReply Operation = "device-reply"
	// OpRRPC is a synchronous call leaving: "Publish RRPC message to device".
	OpRRPC Operation = "rrpc-to-device"
	// OpRRPCFinished is a synchronous call that ended: "RRPC finished".
	OpRRPCFinished Operation = "rrpc-finished"
	// OpDownload is a device fetching a file over HTTP or MQTT; Topic is the file.
	OpDownload Operation = "download"
	// OpTransform is a script or codec at work on a message of a raw product.
	OpTransform Operation = "transform"
	// OpRule is a rule being given a message: "RuleEngine receive message".
	OpRule Operation = "rule"
	// OpForward is a rule's row on its way to a sink: "Transmit data" and "Republish
	// topic".
	OpForward Operation = "forward"
	// OpBroadcast is a message to all devices of a product.
	OpBroadcast Operation = "broadcast"
)

// LogCause is why something failed, or why a connection ended.
type LogCause string

// The causes (wire facts section 20). The end of a connection carries its
// hal.Cause, of which some have a name in the documents: kicked ("Kicked by the
// same device"), reset ("Connection reset by peer"), protocol ("Connection
// occurs exception"), client ("Device disconnect"), keepalive ("Keepalive
// timeout").
const (
	CauseRateLimit       LogCause = "rate-limit"        // "Rate limit"
	CauseNoAuthorization LogCause = "no-authorization"  // "No authorization"
	CauseSystemError     LogCause = "system-error"      // "System error"
	CauseNotJSON         LogCause = "payload-not-json"  // "Payload is not json"
	CauseTooLarge        LogCause = "payload-too-large" //
	CauseCannotPublish   LogCause = "cannot-publish"    // "IoT hub cannot publish messages": 100 unacknowledged, or the buffer is full
	CauseCannotReceive   LogCause = "cannot-receive"    // "Device cannot receive messages": offline or not subscribed
	CauseTimeout         LogCause = "response-timeout"  // "Response timeout"
	CauseExpired         LogCause = "expired"           // kept as long as allowed
	CauseCancelled       LogCause = "cancelled"         // taken back by the application
	CauseBadClientID     LogCause = "bad-client-id"     //
	CauseBadCredentials  LogCause = "bad-credentials"   // unknown device or wrong secret
	CauseDisabledDevice  LogCause = "device-disabled"   //
	CauseBadKeepAlive    LogCause = "bad-keepalive"     //
	CauseLoginKind       LogCause = "login-kind"        // a kind of login this hub does not serve
	CauseIgnored         LogCause = "ignored"           // accepted without effect: a will
	CauseTooManyFilters  LogCause = "too-many-filters"  //
	CauseUnknownMethod   LogCause = "unknown-method"    // no handler took it
	CauseModel           LogCause = "thing-model"       // values that break the thing model
	CauseScript          LogCause = "script"            // a script or codec did not understand a message, or ran too long
	CauseNoSession       LogCause = "no-session"        // a sub-device that is not logged in through the gateway
	CauseSink            LogCause = "sink"              // a rule's target failed; Detail says how
	CauseSlowSink        LogCause = "slow-sink"         // a best-effort rule's target does not keep up
	CauseAnswer          LogCause = "answer"            // the other side answered with a failure code
)

// LogSink takes every log entry. Log is called from the message path: it must
// not block, and must drop and count what it cannot take. The default sink
// keeps entries in the hub's store for Limits.LogRetention and reads them back
// with Hub.Logs; entries that Hub.Logs can derive from the message log
// (successful publishing) are not stored twice.
type LogSink interface {
	Log(LogEntry)
}
