// SPDX-License-Identifier: Apache-2.0

package tsl

import (
	"fmt"
	"strings"
)

// Join makes one model of a product's own model and its function blocks, each a
// document of its own with a FunctionBlockID. On the wire the features of a block
// are called block:identifier (wire facts section 17), and so they are in the
// joined model. The error is a *ModelError of the whole, or says which block has
// no id. The models are not changed.
func Join(own *Model, blocks ...*Model) (*Model, error) {
	all := *own
	all.Properties = append([]Property(nil), own.Properties...)
	all.Events = append([]Event(nil), own.Events...)
	all.Services = append([]Service(nil), own.Services...)
	for i, b := range blocks {
		if b.FunctionBlockID == "" {
			return nil, fmt.Errorf("tsl: block %d has no functionBlockId", i)
		}
		prefix := b.FunctionBlockID + ":"
		for _, p := range b.Properties {
			p.Identifier = prefix + p.Identifier
			all.Properties = append(all.Properties, p)
		}
		for _, e := range b.Events {
			if e.Identifier == "post" { // that of the whole says it all
				continue
			}
			e.Identifier, e.Method = prefix+e.Identifier, ""
			all.Events = append(all.Events, e)
		}
		for _, s := range b.Services {
			if s.Identifier == "set" || s.Identifier == "get" {
				continue
			}
			s.Identifier, s.Method = prefix+s.Identifier, ""
			all.Services = append(all.Services, s)
		}
	}
	if err := all.Check(); err != nil {
		return nil, err
	}
	return &all, nil
}

// splitBlock parts the identifier of a feature from its function block's.
func splitBlock(identifier string) (block, own string) {
	if block, own, ok := strings.Cut(identifier, ":"); ok {
		return block, own
	}
	return "", identifier
}
