// SPDX-License-Identifier: Apache-2.0

package hub

// AppendMessage is the stored form of messages.
var AppendMessage = appendMessage

// AppendEntry and EncodeJSON are the two ways to store a log entry.
var (
	AppendEntry = appendEntry
	EncodeJSON  = encodeJSON
)
