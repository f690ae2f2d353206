// SPDX-License-Identifier: Apache-2.0

package sql

import "github.com/tidwall/gjson"

// flatColumn compiles thingPropertyFlatMap.
func flatColumn(c compiler, e *call) column {
	col := column{flat: []string{}}
	for _, x := range e.args {
		if l, ok := x.(*literal); ok {
			col.flat = append(col.flat, l.v.text)
		}
	}
	c.tree.add([]step{{key: "items", index: -1}})
	return col
}

// flatten makes a column of each property of a property post: items.X.value as X,
// and of a structure's members X_member.
func (r *Row) flatten(c *column) {
	r.json.find(&r.frame)
	if !r.json.valid {
		return
	}
	items := gjson.GetBytes(r.frame.m.Payload, "items")
	if !items.IsObject() {
		return
	}
	items.ForEach(func(key, item gjson.Result) bool {
		if name := key.String(); c.wants(name) && item.IsObject() {
			r.flattenValue(name, item.Get("value"), 0)
		}
		return true
	})
}

func (c *column) wants(name string) bool {
	for _, want := range c.flat {
		if want == name {
			return true
		}
	}
	return len(c.flat) == 0
}

// maxFlat is how deep structures are flattened; the thing model has one level.
const maxFlat = 4

func (r *Row) flattenValue(name string, v gjson.Result, depth int) {
	switch {
	case !v.Exists():
	case v.IsObject() && depth < maxFlat:
		v.ForEach(func(key, member gjson.Result) bool {
			r.flattenValue(name+"_"+key.String(), member, depth+1)
			return true
		})
	default:
		r.set(name, rawValue([]byte(v.Raw)))
	}
}
