// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"fmt"
	"slices"
	"strings"
)

// fits checks that a scene can be put: that there is room, that those in it exist,
// and that no scene becomes too deep, too large or its own.
func (s *Set) fits(c *compiled, isNew bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isNew && len(s.scenes) >= MaxScenes {
		return fmt.Errorf("%w: allowed are %d", ErrTooMany, MaxScenes)
	}
	find := func(id string) *compiled {
		if id == c.ID {
			return c
		}
		if x := s.scenes[id]; x != nil {
			return x.compiled
		}
		return nil
	}
	// A scene that another one runs may be what makes that one too large.
	for id := range s.scenes {
		if x := find(id); x != nil && id != c.ID {
			if err := expand(x, c.ID, find); err != nil {
				return err
			}
		}
	}
	return expand(c, c.ID, find)
}

// expand goes through all that root leads to. Only what concerns the scene put is
// an error: what was wrong before stays as it is.
func expand(root *compiled, put string, find func(string) *compiled) error {
	left := MaxTotal
	var visit func(c *compiled, trail []string) error
	visit = func(c *compiled, trail []string) error {
		again := slices.Contains(trail, c.ID)
		trail = append(trail[:len(trail):len(trail)], c.ID)
		way := strings.Join(trail, ", ")
		switch {
		case again:
			return fmt.Errorf("%w: the scene leads to itself: %s", ErrInvalid, way)
		case len(trail) > MaxDepth:
			return fmt.Errorf("%w: more than %d scenes in each other: %s", ErrInvalid, MaxDepth, way)
		case root.byTime() && c.needsDevice():
			return fmt.Errorf("%w: %s: a time triggers for no device, and scene %s names none", ErrInvalid, way, c.ID)
		}
		for i := range c.Actions {
			if left--; left < 0 {
				return fmt.Errorf("%w: scene %s does more than %d things", ErrInvalid, root.ID, MaxTotal)
			}
			if c.Actions[i].Type != "scene" {
				continue
			}
			inner := find(c.Actions[i].Scene)
			if inner == nil {
				return fmt.Errorf("%w: %.64q, which scene %s runs", ErrUnknownScene, c.Actions[i].Scene, c.ID)
			}
			if err := visit(inner, trail); err != nil {
				return err
			}
		}
		return nil
	}
	err := visit(root, nil)
	if err != nil && root.ID != put && !leads(root, put, find, MaxDepth) {
		return nil
	}
	return err
}

// leads reports whether a scene runs the one put.
func leads(c *compiled, put string, find func(string) *compiled, depth int) bool {
	if c == nil || depth == 0 {
		return false
	}
	return c.ID == put || slices.ContainsFunc(c.Actions, func(a Action) bool {
		return a.Type == "scene" && leads(find(a.Scene), put, find, depth-1)
	})
}
