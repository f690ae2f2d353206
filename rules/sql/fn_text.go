// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"crypto/rand"
	"fmt"
	"strings"
	"unicode/utf8"
)

// text makes a function of one text.
func text(name, summary string, f func(string) Value, result Kinds) Function {
	return Function{
		Name: name, Usage: name + "(text)", Summary: summary, MinArgs: 1, MaxArgs: 1, Args: []Kinds{Texts | Numbers}, Result: result,
		Call: func(_ *Message, args []Value) Value { return f(args[0].Text()) },
	}
}

// texts makes a function of two texts that is true or false.
func texts(name, usage, summary string, f func(a, b string) bool) Function {
	return Function{
		Name: name, Usage: usage, Summary: summary, MinArgs: 2, MaxArgs: 2, Args: []Kinds{Texts}, Result: Bools,
		Call: func(_ *Message, args []Value) Value {
			if args[0].kind != Text || args[1].kind != Text {
				return Value{}
			}
			return boolValue(f(args[0].text, args[1].text))
		},
	}
}

func textFunctions() []Function {
	return []Function{
		text("upper", "The text in capital letters.", func(s string) Value { return textValue(strings.ToUpper(s)) }, Texts),
		text("lower", "The text in small letters.", func(s string) Value { return textValue(strings.ToLower(s)) }, Texts),
		text("trim", "The text without the spaces around it.", func(s string) Value { return textValue(strings.TrimSpace(s)) }, Texts),
		text("length", "How many characters the text has.", func(s string) Value { return numberValue(float64(utf8.RuneCountInString(s))) }, 1<<Number),
		texts("endswith", "endswith(text, end)", "Whether the text ends so.", strings.HasSuffix),
		texts("startswith", "startswith(text, begin)", "Whether the text begins so.", strings.HasPrefix),
		texts("contains", "contains(text, part)", "Whether the part is in the text.", strings.Contains),
		concat(),
		substring(),
		{
			Name: "replace", Usage: "replace(text, part, by)", Summary: "The text with each part replaced.",
			MinArgs: 3, MaxArgs: 3, Args: []Kinds{Texts | Numbers}, Result: Texts,
			Call: func(_ *Message, args []Value) Value {
				part := args[1].Text()
				if part == "" {
					return textValue(args[0].Text())
				}
				return textValue(strings.ReplaceAll(args[0].Text(), part, args[2].Text()))
			},
		},
		{
			Name: "newuuid", Usage: "newuuid()", Summary: "A random UUID (RFC 9562, version 4).", Result: Texts,
			Call: func(*Message, []Value) Value { return textValue(uuid()) },
		},
		{
			Name: "requestId", Usage: "requestId()", Summary: "A random UUID; Tencent's name of it.", Result: Texts,
			Call: func(*Message, []Value) Value { return textValue(uuid()) },
		},
	}
}

func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// maxJoined bounds what functions build, in bytes.
const maxJoined = 1 << 20

func concat() Function {
	return Function{
		Name: "concat", Usage: "concat(a, b, ...)", Summary: "The texts joined; numbers are written as text.",
		MinArgs: 1, MaxArgs: -1, Args: []Kinds{Any}, Result: Texts,
		Call: func(_ *Message, args []Value) Value {
			var b strings.Builder
			for _, a := range args {
				b.WriteString(a.Text())
				if b.Len() > maxJoined {
					return Value{}
				}
			}
			return textValue(b.String())
		},
	}
}

func substring() Function {
	return Function{
		Name: "substring", Usage: "substring(text, begin[, end])",
		Summary: "The characters from begin, counted from 0, up to but without end.",
		MinArgs: 2, MaxArgs: 3, Args: []Kinds{Texts | Numbers, Numbers}, Result: Texts,
		Call: func(_ *Message, args []Value) Value {
			s := args[0].Text()
			n := float64(utf8.RuneCountInString(s))
			begin, ok := args[1].Number()
			end, okEnd := n, true
			if len(args) == 3 {
				end, okEnd = args[2].Number()
			}
			if !ok || !okEnd {
				return Value{}
			}
			begin, end = min(max(begin, 0), n), min(max(end, 0), n)
			if end <= begin {
				return textValue("")
			}
			return textValue(s[byteOf(s, int(begin)):byteOf(s, int(end))])
		},
	}
}

// byteOf returns where character n of s begins.
func byteOf(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}
