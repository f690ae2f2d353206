// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"fmt"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/sql"
)

func Example() {
	st, err := sql.Compile(`SELECT deviceName() AS d, temperature FROM "/a1Lamps0001/+/user/update" WHERE temperature > 38`, sql.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := &sql.Message{
		Topic: "/a1Lamps0001/lamp-1/user/update", Device: iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"},
		Time: time.Now(), Payload: []byte(`{"temperature":38.5,"humidity":40}`),
	}
	var row sql.Row
	if st.Matches(m.Topic) && st.Eval(m, &row) {
		fmt.Println(string(row.AppendPayload(nil)))
	}
	_, err = sql.Compile(`SELECT temprature() AS t FROM "#"`, sql.Options{})
	fmt.Println(err)
	_, err = sql.Compile("SELECT *\nFROM \"#\"\nWHERE a = NULL", sql.Options{})
	fmt.Println(err)
	// Output:
	// {"d":"lamp-1","temperature":38.5}
	// sql: line 1, column 8: there is no function "temprature"
	// sql: line 3, column 9: a comparison with NULL is never true (write IS NULL or IS NOT NULL)
}

// Functions of one's own are called like the built-in ones.
func ExampleFunction() {
	fahrenheit := sql.Function{
		Name: "fahrenheit", Usage: "fahrenheit(celsius)", MinArgs: 1, MaxArgs: 1, Args: []sql.Kinds{sql.Numbers}, Result: sql.Numbers,
		Call: func(_ *sql.Message, args []sql.Value) sql.Value {
			c, _ := args[0].Number()
			return sql.NumberOf(c*9/5 + 32)
		},
	}
	st, err := sql.Compile(`SELECT fahrenheit(t) AS f FROM "#"`, sql.Options{Functions: []sql.Function{fahrenheit}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var row sql.Row
	st.Eval(&sql.Message{Topic: "t", Payload: []byte(`{"t":20}`)}, &row)
	fmt.Println(string(row.AppendPayload(nil)))
	// Output: {"f":68}
}

// Explain says why a message did not pass.
func ExampleStatement_Explain() {
	st, err := sql.Compile(`SELECT * FROM "a/#" WHERE t > 38 AND humidity < 60`, sql.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	x := st.Explain(&sql.Message{Topic: "a/b", Payload: []byte(`{"t":40}`)})
	fmt.Println(x.Passed)
	for _, c := range x.Conditions {
		fmt.Printf("%s: %s, %s\n", c.Text, c.Result, c.Reason)
	}
	// Output:
	// false
	// t > 38: true, t is 40
	// humidity < 60: unknown, humidity is NULL
}
