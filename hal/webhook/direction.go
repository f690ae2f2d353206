// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"strings"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/topic"
)

// goesDown reports whether only the platform publishes to a topic. It saves
// remembering what was published there, and works where another process of the
// group published it.
func goesDown(t *topic.Topic) bool {
	if t.Family != topic.FamilySys && t.Family != topic.FamilyExt {
		return false
	}
	request, isReply := strings.CutSuffix(t.Path, topic.ReplySuffix)
	e, known := alink.Lookup(request)
	if !known {
		return strings.HasPrefix(t.Path, "rrpc/request/") || strings.HasPrefix(t.Path, "broadcast/request/")
	}
	return e.Direction == alink.Down && !isReply || e.Direction == alink.Up && isReply
}
