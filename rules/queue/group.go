// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"fmt"
	"slices"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
)

// Kind is a kind of message (wire facts section 18.1).
type Kind string

// The kinds a group can subscribe to.
const (
	Upstream  Kind = "upstream"  // what devices send: custom topics, properties, events, replies
	Status    Kind = "status"    // devices coming and going
	Topology  Kind = "topology"  // sub-devices bound, or found by a gateway
	Lifecycle Kind = "lifecycle" // devices created, deleted, enabled, disabled
	OTA       Kind = "ota"       // versions, progress and results of updates
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{Upstream, Status, Topology, Lifecycle, OTA} }

const statusPrefix = "/as/mqtt/status/"

// kindOf classifies a topic of data forwarding and finds its product.
func kindOf(topic string) (kind Kind, product string) {
	if rest, ok := strings.CutPrefix(topic, statusPrefix); ok {
		product, _, _ = strings.Cut(rest, "/")
		return Status, product
	}
	product, rest, _ := strings.Cut(strings.TrimPrefix(topic, "/"), "/")
	_, path, _ := strings.Cut(rest, "/")
	switch {
	case path == "thing/lifecycle":
		return Lifecycle, product
	case path == "thing/topo/lifecycle", path == "thing/list/found":
		return Topology, product
	case strings.HasPrefix(path, "ota/"):
		return OTA, product
	}
	return Upstream, product
}

// Subscription is what a group wants of a product.
type Subscription struct {
	Product string `json:"productKey"`
	Kinds   []Kind `json:"kinds"`
}

// Group is a consumer group.
type Group struct {
	// ID names it: 1 to 48 letters, digits, '-', '_' and '.'.
	ID            string         `json:"id"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Bounds of groups.
const (
	MaxGroups    = 1000
	MaxConsumers = 64 // of a group, as documented
)

func (g *Group) check() error {
	if !rules.ValidID(g.ID) {
		return fmt.Errorf("%w: id %.64q: 1 to %d of the letters, the digits and '-_.' are allowed", ErrInvalid, g.ID, rules.MaxID)
	}
	if len(g.Subscriptions) == 0 {
		return fmt.Errorf("%w: group %s subscribes to nothing", ErrInvalid, g.ID)
	}
	for _, s := range g.Subscriptions {
		if err := iot.CheckProductKey(s.Product); err != nil {
			return fmt.Errorf("%w: group %s: %w", ErrInvalid, g.ID, err)
		}
		if len(s.Kinds) == 0 {
			return fmt.Errorf("%w: group %s: no kinds of product %s", ErrInvalid, g.ID, s.Product)
		}
		for _, k := range s.Kinds {
			if !slices.Contains(Kinds(), k) {
				return fmt.Errorf("%w: group %s: there is no kind %.32q", ErrInvalid, g.ID, k)
			}
		}
	}
	return nil
}

// wants reports whether the group subscribes to a topic.
func (g *Group) wants(topic string) bool {
	kind, product := kindOf(topic)
	return slices.ContainsFunc(g.Subscriptions, func(s Subscription) bool {
		return s.Product == product && slices.Contains(s.Kinds, kind)
	})
}
