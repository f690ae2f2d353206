// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strconv"
	"strings"
)

func (p *parser) call(name token) (expr, *fault) {
	fn := p.functions[strings.ToLower(name.text)]
	if fn == nil {
		return nil, faultf(name.at, nearest(name.text, p.functions), "there is no function %s", name.describe())
	}
	if f := p.advance(); f != nil {
		return nil, f
	}
	args, f := p.list("the arguments")
	if f != nil {
		return nil, f
	}
	if len(args) < fn.MinArgs || fn.MaxArgs >= 0 && len(args) > fn.MaxArgs {
		return nil, faultf(name.at, "write "+fn.Usage, "%s takes %s, not %d", fn.Name, countText(fn), len(args))
	}
	own := *fn // a statement does not keep the whole table
	return &call{name.at, &own, args}, nil
}

func countText(fn *Function) string {
	switch {
	case fn.MaxArgs < 0:
		return "at least " + strconv.Itoa(fn.MinArgs) + " arguments"
	case fn.MaxArgs == 0:
		return "no arguments"
	case fn.MinArgs == fn.MaxArgs && fn.MinArgs == 1:
		return "1 argument"
	case fn.MinArgs == fn.MaxArgs:
		return strconv.Itoa(fn.MinArgs) + " arguments"
	}
	return strconv.Itoa(fn.MinArgs) + " to " + strconv.Itoa(fn.MaxArgs) + " arguments"
}

// nearest looks for a name that is two letters away at most.
func nearest(name string, functions map[string]*Function) string {
	name = strings.ToLower(name)
	best, hint := 3, ""
	for key, fn := range functions {
		if d := distance(name, key); d < best || d == best && fn.Name < hint {
			best, hint = d, fn.Name
		}
	}
	if hint == "" || best > 2 {
		return ""
	}
	return "did you mean " + hint + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
