// SPDX-License-Identifier: Apache-2.0

package device

import (
	"strings"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
)

// isEcho reports whether a message is of those devices send and never get. A
// general broker brings a client what it published itself, if one of its own
// filters matches.
func isEcho(t *topic.Topic) bool {
	if t.Family != topic.FamilySys && t.Family != topic.FamilyExt {
		return false
	}
	request, isReply := strings.CutSuffix(t.Path, topic.ReplySuffix)
	e, known := alink.Lookup(request)
	if !known {
		return strings.HasPrefix(t.Path, "rrpc/response/")
	}
	return e.Direction == alink.Up && !isReply || e.Direction == alink.Down && isReply
}
