// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/openalink/iot/rules/scene"
)

// ApplyScenes puts the scenes of a file into a set and reports each, in order: one
// that runs another stands behind it. It goes on after one that fails; the error
// joins all failures.
func (f *File) ApplyScenes(ctx context.Context, set *scene.Set, report func(Line)) error {
	var failed error
	for _, s := range f.Scenes {
		err := set.Put(ctx, s)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("provision: scene %s: %w", s.ID, err))
		}
		report(Line{Kind: "scene", Name: s.ID, Err: err})
	}
	return failed
}
