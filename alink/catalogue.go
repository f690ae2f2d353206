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
// "thing/event/{id}/post"; of the latter Method, Path and Reply have the id filled
// in.
func Lookup(path string) (Entry, bool) {
	if r := find(path); r != nil {
		return r.entry(), true
	}
	r := find(formOf(path))
	if r == nil {
		return Entry{}, false
	}
	e := r.entry()
	e.Method, e.Path, e.Reply = dotted(path), path, topic.Reply(path)
	return e, true
}

// MethodOf returns the method a path stands for, whether it is the path of the
// request or of its answer. It allocates nothing for fixed paths. ok is false for
// paths without a method.
func MethodOf(path string) (method string, ok bool) {
	path = strings.TrimSuffix(path, topic.ReplySuffix)
	if r := find(path); r != nil {
		return string(r.method), r.method != ""
	}
	if formOf(path) == "" {
		return "", false
	}
	return string(dotted(path)), true
}

// Path returns the path of the method's requests in topics; of a method that is
// not in the catalogue, its text with slashes for dots.
func (m Method) Path() string {
	for i := range catalogue {
		if catalogue[i].method == m && m != "" {
			return catalogue[i].path
		}
	}
	return strings.ReplaceAll(string(m), ".", "/")
}

func dotted(path string) Method { return Method(strings.ReplaceAll(path, "/", ".")) }

// find returns the row of a path as it stands in the catalogue.
func find(path string) *row {
	i, ok := slices.BinarySearchFunc(catalogue[:], path, func(r row, path string) int { return strings.Compare(r.path, path) })
	if !ok {
		return nil
	}
	return &catalogue[i]
}

// formOf returns the path in the catalogue that stands for all paths like this
// one, or nothing.
func formOf(path string) string {
	if id, ok := strings.CutPrefix(path, "thing/service/"); ok && isLevel(id) {
		return "thing/service/{id}"
	}
	if rest, ok := strings.CutPrefix(path, "thing/event/"); ok {
		if id, ok := strings.CutSuffix(rest, "/post"); ok && isLevel(id) {
			return "thing/event/{id}/post"
		}
	}
	return ""
}

func isLevel(s string) bool { return s != "" && strings.IndexByte(s, '/') < 0 }
