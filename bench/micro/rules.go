// SPDX-License-Identifier: Apache-2.0

package micro

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/sql"
)

const (
	ruleTopic = "/a1Lamps0001/lamp-1/user/update"
	ruleText  = `SELECT deviceName() AS d, temperature FROM "` + ruleTopic + `" WHERE temperature > 38 AND humidity < 60`
)

// rulePayload has 450 bytes; what the rule asks for stands in its first half.
func rulePayload(temperature string) []byte {
	s := `{"deviceId":"sensor-000017","site":"hall 3","temperature":` + temperature +
		`,"humidity":40,"position":{"lat":30.27415,"lon":120.15515,"floor":4},"battery":3.61,"rssi":-71,"tags":["a","b","c"],"note":"`
	return []byte(s + strings.Repeat("x", 448-len(s)) + `"}`)
}

func ruleMessage(temperature string) *sql.Message {
	return &sql.Message{
		ID: 1, Topic: ruleTopic, Device: iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"}, Time: time.UnixMilli(1), Payload: rulePayload(temperature),
	}
}

func compile(text string) *sql.Statement {
	st, err := sql.Compile(text, sql.Options{})
	if err != nil {
		panic(err)
	}
	return st
}

// Rule judges a message from its bytes to the row in JSON, if it passes.
func Rule(passes bool) func() {
	m := ruleMessage("20.5")
	if passes {
		m = ruleMessage("41.5")
	}
	st := compile(ruleText)
	var row sql.Row
	var out []byte
	return func() {
		if st.Eval(m, &row) != passes {
			panic("wrong")
		}
		if passes {
			out = row.AppendPayload(out[:0])
		}
	}
}

// Expr is the same with encoding/json and a compiled expression of expr-lang.
func Expr() func() {
	payload := rulePayload("41.5")
	program, err := expr.Compile("temperature > 38 && humidity < 60", expr.AllowUndefinedVariables(), expr.AsBool())
	if err != nil {
		panic(err)
	}
	var machine vm.VM
	return func() {
		var doc map[string]any
		if err := json.Unmarshal(payload, &doc); err != nil {
			panic(err)
		}
		if ok, err := machine.Run(program, doc); err != nil || ok != true {
			panic(fmt.Sprint(ok, err))
		}
		if _, err := json.Marshal(map[string]any{"d": "lamp-1", "temperature": doc["temperature"]}); err != nil {
			panic(err)
		}
	}
}

// Rules judges a message against n rules: on its topic, or on topics of their own.
func Rules(n int, same bool) func() {
	var set sql.Set[int]
	for i := range n {
		text := strings.Replace(ruleText, "38", fmt.Sprint(i%100), 1)
		if !same {
			text = strings.Replace(text, "lamp-1", fmt.Sprintf("lamp-%d", i+1), 1)
		}
		set.Put(i, compile(text))
	}
	m := ruleMessage("41.5")
	var row sql.Row
	return func() { set.Match(m, &row, func(int, *sql.Row) {}) }
}

// Singly judges a message with n statements, one after the other.
func Singly(n int) func() {
	list := make([]*sql.Statement, n)
	for i := range list {
		list[i] = compile(strings.Replace(ruleText, "38", fmt.Sprint(i%100), 1))
	}
	m := ruleMessage("41.5")
	var row sql.Row
	return func() {
		for _, st := range list {
			st.Eval(m, &row)
		}
	}
}
