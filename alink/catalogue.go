// SPDX-License-Identifier: Apache-2.0

package alink

import (
	"slices"
	"strings"

	"github.com/openalink/iot/topic"
)

// Direction is who sends a request: the device or the platform. Its answer goes
// the other way.
type Direction uint8

// The directions.
const (
	Up   Direction = iota + 1 // from the device
	Down                      // to the device
)

// String returns "up" or "down".
func (d Direction) String() string {
	switch d {
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "none"
}

// Entry is a row of the catalogue.
type Entry struct {
	Method    Method       // empty where the wire has none, as on /ota and /shadow
	Family    topic.Family // whose topics Path belongs to
	Path      string       // as in topic.Topic.Path; {id} and {mid} stand for one level
	Reply     string       // path of the answer, empty when there is none
	Direction Direction
	Note      string // for people
}

// Catalogue returns every request devices and platform know, sorted by Path. The
// slice is the caller's.
func Catalogue() []Entry {
	list := make([]Entry, len(catalogue))
	for i := range catalogue {
		list[i] = catalogue[i].entry()
	}
	return list
}

// Lookup returns the entry of a path, fixed or of a form such as
// "thing/event/{id}/post"; of the latter Method and Path have the id filled in. It
// allocates nothing for fixed paths.
func Lookup(path string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(catalogue[:], path, func(r row, p string) int { return strings.Compare(r.path, p) })
	if ok && !strings.Contains(path, "{") {
		return catalogue[i].entry(), true
	}
	return lookupForm(path)
}

// MethodOf returns the method a path stands for, whether it is the path of the
// request or of its answer. It allocates nothing for fixed paths. ok is false for
// paths without a method.
func MethodOf(path string) (method string, ok bool) {
	e, ok := Lookup(strings.TrimSuffix(path, topic.ReplySuffix))
	if !ok {
		e, ok = Lookup(path)
	}
	return string(e.Method), ok && e.Method != ""
}

// Path returns the path of the method's requests in topics; of an unknown method
// its text with slashes for dots.
func (m Method) Path() string {
	for i := range catalogue {
		if catalogue[i].method == m && m != "" {
			return catalogue[i].path
		}
	}
	return strings.ReplaceAll(string(m), ".", "/")
}

// lookupForm knows the paths that hold an identifier.
func lookupForm(path string) (Entry, bool) {
	form := ""
	if id, ok := strings.CutPrefix(path, "thing/service/"); ok {
		if id != "" && !strings.Contains(id, "/") {
			form = "thing/service/{id}"
		}
	} else if rest, ok := strings.CutPrefix(path, "thing/event/"); ok {
		if id, ok := strings.CutSuffix(rest, "/post"); ok && id != "" && !strings.Contains(id, "/") {
			form = "thing/event/{id}/post"
		}
	}
	if form == "" {
		return Entry{}, false
	}
	e, ok := Entry{}, false
	for i := range catalogue {
		if catalogue[i].path == form {
			e, ok = catalogue[i].entry(), true
		}
	}
	e.Method, e.Path, e.Reply = Method(strings.ReplaceAll(path, "/", ".")), path, topic.Reply(path)
	return e, ok
}
