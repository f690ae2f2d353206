// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"fmt"
	"maps"
)

const maxTagText = 100 // bytes of a key, wire facts section 11 (thing.deviceinfo.update)

// checkTags holds tags to the documented form and number.
func (h *Hub) checkTags(tags map[string]string) error {
	if n := h.limits.Tags; n > 0 && len(tags) > n {
		return fmt.Errorf("%w: %d tags, at most %d", ErrInvalid, len(tags), n)
	}
	for k := range tags {
		if !validTagKey(k) {
			return fmt.Errorf("%w: tag key %.64q: 1 to %d letters, digits and '_', not beginning with a digit", ErrInvalid, k, maxTagText)
		}
	}
	return nil
}

func validTagKey(k string) bool {
	if k == "" || len(k) > maxTagText || '0' <= k[0] && k[0] <= '9' {
		return false
	}
	for i := range len(k) {
		c := k[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

func cloneTags(tags map[string]string) map[string]string { return maps.Clone(tags) }

// mergeTags returns old with change applied: an empty value removes the key.
func mergeTags(old, change map[string]string) map[string]string {
	merged := maps.Clone(old)
	if merged == nil {
		merged = make(map[string]string, len(change))
	}
	for k, v := range change {
		if v == "" {
			delete(merged, k)
		} else {
			merged[k] = v
		}
	}
	return merged
}
