// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/sql"
	"github.com/tidwall/gjson"
)

// payload450 is what the bars of the design were measured with: the two members a
// rule asks for stand in the first half.
func payload450(temperature, humidity string) []byte {
	s := `{"deviceId":"sensor-000017","site":"hall 3","temperature":` + temperature + `,"humidity":` + humidity +
		`,"position":{"lat":30.27415,"lon":120.15515,"floor":4},"battery":3.61,"rssi":-71,"tags":["a","b","c"],"note":"`
	s += strings.Repeat("x", 448-len(s)) + `"}`
	return []byte(s)
}

const benchStatement = `SELECT deviceName() AS d, temperature FROM "/a1Lamps0001/lamp-1/user/update" WHERE temperature > 38 AND humidity < 60`

func benchMessage(payload []byte) *sql.Message {
	return &sql.Message{
		ID: 1, Topic: "/a1Lamps0001/lamp-1/user/update", Device: iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"},
		Time: time.UnixMilli(1700000000000), Payload: payload,
	}
}

// BenchmarkYardstick is what times are stated relative to: 186 ns where the bars
// were set.
func BenchmarkYardstick(b *testing.B) {
	p := payload450("41.5", "40")
	for b.Loop() {
		gjson.GetBytes(p, "temperature")
		gjson.GetBytes(p, "humidity")
		gjson.GetBytes(p, "battery")
	}
}

func BenchmarkEval(b *testing.B) {
	st, err := sql.Compile(benchStatement, sql.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for name, m := range map[string]*sql.Message{
		"passes": benchMessage(payload450("41.5", "40")), "cold": benchMessage(payload450("20.5", "40")), "wet": benchMessage(payload450("41.5", "90")),
	} {
		b.Run(name, func(b *testing.B) {
			var row sql.Row
			out := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				if st.Eval(m, &row) != (name == "passes") {
					b.Fatal("wrong")
				}
				if name == "passes" {
					out = row.AppendPayload(out[:0])
				}
			}
		})
	}
}

// BenchmarkSet is one message and many statements.
func BenchmarkSet(b *testing.B) {
	for _, same := range []bool{true, false} {
		for _, n := range []int{10, 1000, 10000} {
			b.Run(fmt.Sprintf("same=%v/%d", same, n), func(b *testing.B) {
				var set sql.Set[int]
				for i := range n {
					text := fmt.Sprintf(`SELECT deviceName() AS d FROM "/a1Lamps0001/lamp-1/user/update" WHERE temperature > %d AND humidity < 60`, i%100)
					if !same {
						text = strings.Replace(text, "lamp-1/", fmt.Sprintf("lamp-%d/", i), 1)
					}
					st, err := sql.Compile(text, sql.Options{})
					if err != nil {
						b.Fatal(err)
					}
					set.Put(i, st)
				}
				m := benchMessage(payload450("41.5", "40"))
				var row sql.Row
				b.ReportAllocs()
				for b.Loop() {
					set.Match(m, &row, func(int, *sql.Row) {})
				}
			})
		}
	}
}
