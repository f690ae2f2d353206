// SPDX-License-Identifier: Apache-2.0

package tsl_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/openalink/iot/tsl"
)

// typicalPost is ten properties of all kinds in about 450 bytes.
const typicalPost = `{"Power":1,"Target":21.5,"Indoor":-3.25,"Mode":3,"Runtime":99310,"Label":"kitchen, left of the door, above the table",` +
	`"Cleaned":"1524448722000","Curve":[18,18.5,19,19.5,20,20.5,21,21.5,22,22,21.5,21,20.5,20,19.5,19,18.5,18,18,18,18,18,18,18],"Filter":{"Hours":310,"State":1},` +
	`"Zones":[{"Name":"hall and stairs","Open":1},{"Name":"kitchen, table","Open":0},{"Name":"bath, upstairs","Open":1},{"Name":"bedroom, left","Open":0}]}`

// BenchmarkPost judges a post of ten properties, by the validator and by
// encoding/json and a schema of the same constraints that knows bare values only,
// and reports the ratio of the two.
func BenchmarkPost(b *testing.B) {
	m := model(b, "airconditioner.json")
	v, err := tsl.Compile(m)
	if err != nil {
		b.Fatal(err)
	}
	all := tsl.Event{Identifier: "All", Type: tsl.Info}
	for _, p := range m.Properties {
		all.Output = append(all.Output, tsl.Param{Identifier: p.Identifier, Data: p.Data})
	}
	m.Events = append(m.Events, all)
	raw, err := m.EventSchema("All")
	s := schema(b, raw, err)
	params := []byte(typicalPost)
	good := func(p tsl.Verdict) bool { return p.Reason == nil }
	ours := func() {
		if v.Post(params, good) != nil {
			b.Fatal("refused")
		}
	}
	theirs := func() {
		var doc any
		if json.Unmarshal(params, &doc) != nil || s.Validate(doc) != nil {
			b.Fatal("refused")
		}
	}
	if n := testing.AllocsPerRun(100, ours); n > 2 {
		b.Errorf("%v allocations, at most 2", n)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(params)))
	for b.Loop() {
		ours()
	}
	b.StopTimer()
	b.ReportMetric(ratio(ours, theirs), "ratio")
}

// ratio compares the fastest rounds of two functions, taken in turn.
func ratio(ours, theirs func()) float64 {
	const rounds, calls = 40, 200
	best := [2]time.Duration{time.Hour, time.Hour}
	for range rounds {
		for i, f := range []func(){ours, theirs} {
			begin := time.Now()
			for range calls {
				f()
			}
			best[i] = min(best[i], time.Since(begin))
		}
	}
	return float64(best[0]) / float64(best[1])
}

func fullModel() *tsl.Model {
	m := &tsl.Model{}
	for i := range tsl.MaxFeatures {
		m.Properties = append(m.Properties, tsl.Property{Identifier: fmt.Sprintf("p%d", i), Access: tsl.ReadWrite, Data: tsl.DataType{
			Type: tsl.Struct, Members: []tsl.Param{
				{Identifier: "a", Data: tsl.DataType{Type: tsl.Float, Min: "0", Max: "100", Step: "0.5"}},
				{Identifier: "b", Data: tsl.DataType{Type: tsl.Enum, Words: []tsl.Word{{Value: 1, Text: "x"}, {Value: 2, Text: "y"}}}},
				{Identifier: "c", Data: tsl.DataType{Type: tsl.Array, Size: 9, Item: &tsl.DataType{Type: tsl.Int}}},
			},
		}})
	}
	return m
}

// BenchmarkCompile makes the validator of a model of 200 structs.
func BenchmarkCompile(b *testing.B) {
	m := fullModel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tsl.Compile(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	raw, err := json.Marshal(fullModel())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tsl.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}
