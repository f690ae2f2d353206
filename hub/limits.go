// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"time"

	"github.com/openalink/iot/ota"
)

// Limits are the bounds a hub keeps. One hub is one account of the documents;
// "per device" means the device a topic names. Each field carries the documented
// figure (wire facts section 22) as its default; zero means without limit,
// except where the field says otherwise.
//
// What happens beyond a limit is stated at each field. Every overrun leaves one
// log entry naming the limit as its cause.
type Limits struct {
	// MessageBytes is the largest payload in either direction. A larger uplink is
	// acknowledged and dropped (MQTT 3.1.1 has no refusal); a larger downlink fails
	// with ErrTooLarge.
	MessageBytes int
	// Subscriptions is the most filters a session holds for each device it speaks
	// for, SubscribeFilters the most in one SUBSCRIBE. Filters beyond are refused
	// with 0x80.
	Subscriptions    int
	SubscribeFilters int
	// UplinkQoS0 and UplinkQoS1 are messages a second from a device. Beyond them
	// QoS 0 is dropped; for QoS 1 the hub stops reading the connection until the
	// rate fits, so nothing acknowledged is lost. Requests (HTTP, CoAP) count as QoS 1, and
	// are refused beyond it.
	UplinkQoS0 int
	UplinkQoS1 int
	// Downlink is messages a second to a device, answers to its own requests not
	// counted. Beyond it QoS 0 fails with ErrThrottled; queued QoS 1 waits.
	Downlink int
	// ConnectionBytes is bytes a second a connection may send. Beyond it the hub
	// stops reading the connection until the rate fits.
	ConnectionBytes int
	// Unacked is how many QoS 1 messages may wait for their PUBACK, in each
	// direction. Uplink: the connection is not read further. Downlink: the queue
	// waits.
	Unacked int
	// KeepAliveMin and KeepAliveMax bound the keep-alive a client asks for. Outside
	// the connection is refused (CONNACK 5), zero included.
	KeepAliveMin time.Duration
	KeepAliveMax time.Duration
	// ConnectsPerMinute is successful logins of a device. The next one is refused
	// as unavailable (CONNACK 3).
	ConnectsPerMinute int

	// SubDevices is how many sub-devices a gateway may have (6400 beyond),
	// SubDevicesOnline how many of them may be logged in at once (428). SubRequests
	// is sub-devices one request of a gateway may name, BatchLogins those of a
	// batch_login or batch_logout; beyond them the answer is 460.
	SubDevices       int
	SubDevicesOnline int
	SubRequests      int
	BatchLogins      int

	// FailedLogins is how many failed logins a minute an address may have, and a
	// device name; beyond them an address that fails is refused unheard (CONNACK 3)
	// until the minute is over. A device is heard all the same where nothing failed
	// in its name: from another address, or from one it was online from last.
	FailedLogins int
	// TokenTTL is how long a token for HTTP and CoAP is good, PreAuthTTL one for
	// MQTT. Zero means the default.
	TokenTTL   time.Duration
	PreAuthTTL time.Duration

	// ShadowBytes, ShadowDepth and ShadowMembers bound a shadow document; beyond
	// them a change is refused with 400 or 408. ShadowRequests is requests a second
	// of a device; the next one is not answered.
	ShadowBytes    int
	ShadowDepth    int
	ShadowMembers  int
	ShadowRequests int
	// ConfigBytes is the size of a remote configuration; 64 KB at most, which is also
	// what zero means. A larger one is refused with ErrTooLarge.
	ConfigBytes int

	// Connects, Uplinks and Downlinks are per second for the whole hub, handled as
	// their counterparts of one device.
	Connects  int
	Uplinks   int
	Downlinks int

	// BroadcastReceivers is the most devices one broadcast reaches; more fail it
	// with ErrTooMany before anything is sent. Broadcasts is calls a second.
	BroadcastReceivers int
	Broadcasts         int

	// Products, DevicesPerProduct and Devices bound the registry; beyond them
	// creation fails with ErrTooMany.
	Products          int
	DevicesPerProduct int
	Devices           int
	// Tags is the most tags of a device and of a product. Tags that SDKs report
	// with domain SYSTEM do not count. Beyond it the change fails (460 on the wire).
	Tags int
	// TopicClasses is the most topic classes of a product.
	TopicClasses int

	// QueuedMessages is the most QoS 1 messages kept for a device that is away or
	// slow; the next one fails with ErrQueueFull. QueueTTL is how long they are
	// kept at most. Both are never without limit: zero means the default.
	QueuedMessages int
	QueueTTL       time.Duration
	// Forwarding is how many rows a second rules hand to sinks: at-least-once rules
	// wait beyond it, best-effort rules drop.
	Forwarding int
	// LogRetention is how long log entries, presence and downlink states are kept by
	// Trim, and the message log unless HistoryRetention is longer. Zero means the default.
	LogRetention time.Duration
	// HistoryRetention is how long property values, events and service calls are
	// kept by Trim, and with them the message log they are read from. Zero means the
	// default.
	HistoryRetention time.Duration

	// APIPub, APIRRPC, APIBroadcast are management requests a second for the named
	// operation; APIKey and APIAddress all others for one key and one address.
	// Beyond them the answer is 429.
	APIPub, APIRRPC, APIBroadcast, APIKey, APIAddress int
}

const (
	week  = 7 * 24 * time.Hour
	month = 30 * 24 * time.Hour
)

// DefaultLimits returns the documented limits.
func DefaultLimits() Limits {
	return Limits{
		Forwarding:         1000,
		MessageBytes:       256 << 10,
		Subscriptions:      100,
		SubscribeFilters:   8,
		UplinkQoS0:         30,
		UplinkQoS1:         10,
		Downlink:           50,
		ConnectionBytes:    1024 << 10,
		Unacked:            100,
		KeepAliveMin:       30 * time.Second,
		KeepAliveMax:       1200 * time.Second,
		ConnectsPerMinute:  5,
		SubDevices:         1_500,
		SubDevicesOnline:   1_500,
		SubRequests:        100,
		BatchLogins:        5,
		FailedLogins:       30,
		TokenTTL:           48 * time.Hour,
		PreAuthTTL:         week,
		ShadowBytes:        16 << 10,
		ShadowDepth:        5,
		ShadowMembers:      128,
		ShadowRequests:     20,
		ConfigBytes:        ota.MaxConfig,
		Connects:           500,
		Uplinks:            10_000,
		Downlinks:          2_000,
		BroadcastReceivers: 1_000,
		Broadcasts:         1,
		Products:           1_000,
		DevicesPerProduct:  500_000,
		Devices:            10_000_000,
		Tags:               100,
		TopicClasses:       50,
		QueuedMessages:     1_000,
		QueueTTL:           week,
		LogRetention:       week,
		HistoryRetention:   month,
		APIPub:             1_600,
		APIRRPC:            1_000,
		APIBroadcast:       1,
		APIKey:             50,
		APIAddress:         100,
	}
}

// Limits2018 returns the limits of the first documents, for gateways that count
// on them: 200 sub-devices online a gateway, and a keep-alive of 60 to 300 s.
func Limits2018() Limits {
	l := DefaultLimits()
	l.SubDevicesOnline = 200
	l.KeepAliveMin, l.KeepAliveMax = 60*time.Second, 300*time.Second
	return l
}

// NoLimits returns limits without bounds where that is safe: for tests and
// benchmarks. Message size, unacknowledged window, shadows and queues stay bounded.
func NoLimits() Limits {
	return Limits{}.withDefaults()
}

// withDefaults fills the fields that are never without limit.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.MessageBytes <= 0 {
		l.MessageBytes = d.MessageBytes
	}
	if l.Unacked <= 0 {
		l.Unacked = d.Unacked
	}
	if l.TokenTTL <= 0 {
		l.TokenTTL = d.TokenTTL
	}
	if l.PreAuthTTL <= 0 {
		l.PreAuthTTL = d.PreAuthTTL
	}
	if l.SubRequests <= 0 {
		l.SubRequests = d.SubRequests
	}
	if l.ShadowBytes <= 0 || l.ShadowDepth <= 0 || l.ShadowMembers <= 0 {
		l.ShadowBytes, l.ShadowDepth, l.ShadowMembers = d.ShadowBytes, d.ShadowDepth, d.ShadowMembers
	}
	if l.ConfigBytes <= 0 || l.ConfigBytes > ota.MaxConfig {
		l.ConfigBytes = d.ConfigBytes
	}
	if l.QueuedMessages <= 0 {
		l.QueuedMessages = d.QueuedMessages
	}
	l.QueuedMessages = min(l.QueuedMessages, 30_000) // packet ids must stay unique
	if l.QueueTTL <= 0 {
		l.QueueTTL = d.QueueTTL
	}
	if l.LogRetention <= 0 {
		l.LogRetention = d.LogRetention
	}
	if l.HistoryRetention <= 0 {
		l.HistoryRetention = d.HistoryRetention
	}
	return l
}
