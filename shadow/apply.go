// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"fmt"
	"time"

	"github.com/tidwall/gjson"
)

// Source is who makes a request.
type Source uint8

// The sources.
const (
	// Device may write reported, and clear desired.
	Device Source = iota
	// Application may write both sections.
	Application
)

// Apply carries a request out at a time. The document is unchanged when it
// returns an error, which is an *Error. A get changes nothing.
func (d *Document) Apply(r *Request, from Source, now time.Time, rules *Rules) error {
	switch r.Method {
	case "get":
		return nil
	case "update":
		if err := r.checkUpdate(from); err != nil {
			return err
		}
	case "delete":
		if err := r.checkDelete(); err != nil {
			return err
		}
	default:
		return refuse(UnknownMethod, "method is none of update, get and delete")
	}
	version, err := d.next(r, from, rules)
	if err != nil {
		return err
	}
	next := Document{
		reported: d.reported.clone(), desired: d.desired.clone(), version: version,
		revision: d.revision + 1, desiredAt: d.desiredAt, time: now.Unix(), weight: d.weight + r.weight,
	}
	next.change(r, &next.reported, r.reported)
	if r.replace {
		next.desired.kids = nil
	}
	if next.change(r, &next.desired, r.desired) {
		next.desiredAt = next.revision
	}
	if err := next.check(rules); err != nil {
		return err
	}
	next.compact()
	*d = next
	return nil
}

// compact copies the parts of requests the document keeps once they pin a
// multiple of what it needs: one small member would hold all of a large request.
func (d *Document) compact() {
	if d.weight < 4<<10 || d.weight < 4*d.room() {
		return
	}
	fresh, err := Decode(d.Append(nil))
	if err != nil {
		return // never: it was checked when it came
	}
	*d = *fresh
}

// checkUpdate holds the state of an update to what its source may write.
func (r *Request) checkUpdate(from Source) *Error {
	clears := r.desired.Exists() && isNull(r.desired)
	switch {
	case !r.state.IsObject():
		return refuse(NoState, "state is missing")
	case from == Device && r.desired.Exists() && !clears:
		return refuse(BadJSON, "a device may only clear desired")
	case !r.reported.Exists() && !r.desired.Exists():
		return refuse(NoReported, "reported is missing")
	case from == Application && r.desired.Exists() && !clears && !r.desired.IsObject():
		return refuse(BadJSON, "desired is not an object")
	case !r.reported.Exists():
		return nil
	case isNull(r.reported):
		return nil
	case !r.reported.IsObject():
		return refuse(BadJSON, "reported is not an object")
	case isEmpty(r.reported):
		return refuse(EmptyReported, "reported is empty")
	}
	return nil
}

func isEmpty(object gjson.Result) bool {
	empty := true
	object.ForEach(func(_, _ gjson.Result) bool {
		empty = false
		return false
	})
	return empty
}

// checkDelete wants something to delete: names with null, or a whole section.
func (r *Request) checkDelete() *Error {
	switch {
	case !r.state.IsObject():
		return refuse(NoState, "state is missing")
	case !r.reported.Exists() && !r.desired.Exists():
		return refuse(NoReported, "reported is missing")
	}
	for _, section := range []gjson.Result{r.reported, r.desired} {
		if section.Exists() && !isNull(section) && !onlyNulls(section) {
			return refuse(BadJSON, "delete takes attributes with the value null")
		}
	}
	return nil
}

func onlyNulls(object gjson.Result) bool {
	only := object.IsObject()
	object.ForEach(func(_, v gjson.Result) bool {
		only = isNull(v) || v.IsObject() && onlyNulls(v)
		return only
	})
	return only
}

// next is the version after a request: greater than the stored one, one more
// without a wish, 0 for -1 (wire facts section 14).
func (d *Document) next(r *Request, from Source, rules *Rules) (int64, error) {
	switch {
	case !r.HasVersion:
		return d.version + 1, nil
	case r.Version == -1:
		return 0, nil
	case r.Version > maxVersion:
		return 0, refuse(BadVersion, "version is too large")
	case r.Version > d.version:
		return r.Version, nil
	case from == Device && rules.RenumberStale:
		return d.version + 1, nil
	}
	return 0, refuse(VersionConflict, fmt.Sprintf("version %d is not above the stored %d", r.Version, d.version))
}

// change writes one section and reports whether the request named it.
func (d *Document) change(r *Request, section *node, value gjson.Result) bool {
	switch {
	case !value.Exists():
		return false
	case isNull(value):
		section.kids = nil
	case r.Method == "delete":
		section.prune(value)
	default:
		section.merge(value, d.time)
	}
	return true
}

// check holds the changed document to the limits.
func (d *Document) check(rules *Rules) error {
	for _, section := range []*node{&d.reported, &d.desired} {
		members, depth := section.measure()
		switch {
		case rules.MaxMembers > 0 && members > rules.MaxMembers:
			return refuse(TooManyMembers, fmt.Sprintf("%d attributes, at most %d", members, rules.MaxMembers))
		case rules.MaxDepth > 0 && depth > rules.MaxDepth:
			return refuse(BadJSON, fmt.Sprintf("%d levels, at most %d", depth, rules.MaxDepth))
		}
	}
	if rules.MaxBytes > 0 {
		if n := d.size(); n > rules.MaxBytes {
			return refuse(BadJSON, fmt.Sprintf("the document has %d bytes, at most %d", n, rules.MaxBytes))
		}
	}
	return nil
}

// size is the length of the state as JSON.
func (d *Document) size() int { return d.reported.size() + d.desired.size() }

func (n *node) size() int {
	if !n.object() {
		return len(n.raw)
	}
	total := 2
	for i := range n.kids {
		total += len(n.kids[i].name) + 4 + n.kids[i].size()
	}
	return total
}
