// SPDX-License-Identifier: Apache-2.0

package hal

// Cause is why a connection ended. It is a word that lands in presence records
// and logs as it is, so the set is closed to values that are stable over time;
// a platform may add its own.
type Cause string

// The causes listeners and platforms know.
const (
	CauseClient     Cause = "client"      // the client said goodbye (MQTT DISCONNECT)
	CauseReset      Cause = "reset"       // the transport broke or closed without goodbye
	CauseKeepAlive  Cause = "keepalive"   // silent for longer than allowed
	CauseProtocol   Cause = "protocol"    // the client broke the protocol
	CauseKicked     Cause = "kicked"      // a newer connection of the same device
	CauseDisabled   Cause = "disabled"    // the device was disabled
	CauseDeleted    Cause = "deleted"     // the device was deleted
	CauseSlow       Cause = "slow"        // the client did not take what was sent
	CauseNotKept    Cause = "not-kept"    // a message could not be made durable
	CauseServerStop Cause = "server-stop" // the platform or the listener stops
	CauseGateway    Cause = "gateway-lost"
)
