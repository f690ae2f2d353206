// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules/sql"
)

// example is a statement, a message and what comes out.
type example struct {
	line                     int
	text, topic, payload, to string
}

// read takes examples from lines: statement lines, "<- topic payload", "-> row".
func read(t *testing.T, lines []string, first int) (list []example) {
	t.Helper()
	var e example
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "<- "):
			e.topic, e.payload, _ = strings.Cut(line[3:], " ")
		case strings.HasPrefix(line, "-> "):
			e.to, e.line = line[3:], first+i
			list, e = append(list, e), example{}
		case line != "" && !strings.HasPrefix(line, "#"):
			e.text += line + "\n"
		}
	}
	if e.text != "" {
		t.Fatalf("an example without a row: %s", e.text)
	}
	return list
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}

// documented are the examples of LANGUAGE.md.
func documented(t *testing.T) (list []example) {
	var block []string
	inside, first := false, 0
	for i, line := range lines(t, "LANGUAGE.md") {
		switch {
		case line == "```rule":
			inside, first, block = true, i+2, nil
		case line == "```" && inside:
			inside = false
			list = append(list, read(t, block, first)...)
		case inside:
			block = append(block, line)
		}
	}
	return list
}

func message(topic, payload string) *sql.Message {
	return &sql.Message{
		ID: 1500, Topic: topic, Payload: []byte(payload), QoS: 1,
		Device:     iot.DeviceID{Product: "a1Lamps0001", Name: "lamp-1"},
		Time:       time.Date(2026, 3, 1, 12, 30, 5, 250e6, time.UTC),
		Attributes: func(key string) (string, bool) { return "hall", key == "room" },
		Properties: map[string]string{"k": "v"},
	}
}

func run(t *testing.T, file string, e example) {
	t.Helper()
	st, err := sql.Compile(e.text, sql.Options{})
	if err != nil {
		t.Errorf("%s:%d: %v", file, e.line, err)
		return
	}
	m := message(e.topic, e.payload)
	got := "nothing"
	var row sql.Row
	if st.Matches(e.topic) && st.Eval(m, &row) {
		got = string(row.AppendPayload(nil))
	}
	if got != e.to {
		t.Errorf("%s:%d: %s\n got %s\nwant %s", file, e.line, e.text, got, e.to)
	}
	checkSame(t, e, st, m, got)
}

// checkSame runs the statement in the other ways there are.
func checkSame(t *testing.T, e example, st *sql.Statement, m *sql.Message, want string) {
	t.Helper()
	again, err := sql.Compile(st.Format(), sql.Options{})
	if err != nil {
		t.Errorf("written anew %s: %v", st.Format(), err)
		return
	}
	if again.Format() != st.Format() {
		t.Errorf("written twice:\n%s\n%s", st.Format(), again.Format())
	}
	x := again.Explain(m)
	if x.Passed != (want != "nothing") || x.Passed && x.Row != want {
		t.Errorf("line %d explained: %+v", e.line, x)
	}
	var set sql.Set[int]
	set.Put(1, st)
	got := "nothing"
	var row sql.Row
	set.Match(m, &row, func(_ int, row *sql.Row) { got = string(row.AppendPayload(nil)) })
	if got != want {
		t.Errorf("line %d in a set: %s", e.line, got)
	}
}

func TestDocumented(t *testing.T) {
	list := documented(t)
	text := ""
	for _, e := range list {
		run(t, "LANGUAGE.md", e)
		text += strings.ToLower(e.text)
	}
	for _, fn := range sql.Functions() {
		if !strings.Contains(text, strings.ToLower(fn.Name)+"(") {
			t.Errorf("no example of %s", fn.Usage)
		}
		if fn.Summary == "" || !strings.HasPrefix(fn.Usage, fn.Name+"(") {
			t.Errorf("%s: %q, %q", fn.Name, fn.Usage, fn.Summary)
		}
	}
}

func TestCorpus(t *testing.T) {
	list := read(t, lines(t, "testdata/corpus.txt"), 1)
	if len(list) < 60 {
		t.Errorf("only %d statements", len(list))
	}
	for _, e := range list {
		run(t, "corpus.txt", e)
	}
}

func TestWrong(t *testing.T) {
	text, n := "", 0
	for i, line := range lines(t, "testdata/wrong.txt") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if text == "" {
			text = line
			continue
		}
		_, err := sql.Compile(strings.ReplaceAll(text, `\n`, "\n"), sql.Options{})
		wrong(t, i+1, text, line, err)
		text = ""
		n++
	}
	if n < 60 {
		t.Errorf("only %d texts", n)
	}
}

func wrong(t *testing.T, at int, text, want string, err error) {
	t.Helper()
	e, ok := errors.AsType[*sql.Error](err)
	if !ok {
		t.Errorf("wrong.txt:%d: %s: %v", at, text, err)
		return
	}
	if got := fmt.Sprintf("%d:%d %s", e.Line, e.Column, e.Message); !strings.HasPrefix(got, want) {
		t.Errorf("wrong.txt:%d: %s\n got %s\nwant %s", at, text, got, want)
	}
}
