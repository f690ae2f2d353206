// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/openalink/iot/rules/define"
)

// ApplyRules puts the rules of a file into a set and reports each, in order. It
// goes on after one that fails; the error joins all failures.
func (f *File) ApplyRules(ctx context.Context, set *define.Set, report func(Line)) error {
	var failed error
	for _, d := range f.Rules {
		err := set.Put(ctx, d)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("provision: rule %s: %w", d.ID, err))
		}
		report(Line{Kind: "rule", Name: d.ID, Err: err})
	}
	return failed
}
