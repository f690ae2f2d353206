// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/openalink/iot/alink"
)

// about makes a function without arguments that tells something of the message.
func about(name, summary string, result Kinds, f func(*Message) Value) Function {
	return Function{
		Name: name, Usage: name + "()", Summary: summary, Result: result,
		Call: func(m *Message, _ []Value) Value { return f(m) },
	}
}

func messageFunctions() []Function {
	name := func(m *Message) Value { return textValue(m.Device.Name) }
	product := func(m *Message) Value { return textValue(m.Device.Product) }
	length := func(m *Message) Value { return numberValue(float64(len(m.Payload))) }
	return []Function{
		about("deviceName", "The name of the device.", Texts, name),
		about("productKey", "The key of the product.", Texts, product),
		about("productId", "The key of the product; Tencent's name of it.", Texts, product),
		about("messageId", "The platform's id of the message, in decimal.", Texts, func(m *Message) Value {
			return textValue(strconv.FormatInt(m.ID, 10))
		}),
		about("qos", "The QoS the message came with.", 1<<Number, func(m *Message) Value { return numberValue(float64(m.QoS)) }),
		about("payloadLength", "The bytes of the payload.", 1<<Number, length),
		about("payloadLen", "The bytes of the payload; Tencent's name of it.", 1<<Number, length),
		{
			Name: "topic", Usage: "topic([n])", Summary: "The topic, or its level n, counted from 1; 0 is the whole.",
			MaxArgs: 1, Args: []Kinds{Numbers}, Result: Texts, Call: topicLevel,
		},
		{
			Name: "attribute", Usage: "attribute(key)", Summary: "A tag of the device.",
			MinArgs: 1, MaxArgs: 1, Args: []Kinds{Texts}, Result: Texts,
			Call: func(m *Message, args []Value) Value {
				if m.Attributes != nil {
					if v, ok := m.Attributes(args[0].Text()); ok {
						return textValue(v)
					}
				}
				return Value{}
			},
		},
		{
			Name: "user_property", Usage: "user_property(key)", Summary: "A user property of the message.",
			MinArgs: 1, MaxArgs: 1, Args: []Kinds{Texts}, Result: Texts,
			Call: func(m *Message, args []Value) Value {
				if v, ok := m.Properties[args[0].Text()]; ok {
					return textValue(v)
				}
				return Value{}
			},
		},
		payload(),
		{
			Name: "thingPropertyFlatMap", Usage: "thingPropertyFlatMap(['identifier', ...])",
			Summary: "A column for each property of a property post, all without arguments; members of structures are joined by _.",
			MaxArgs: -1, Args: []Kinds{Texts}, flat: true,
		},
	}
}

func topicLevel(m *Message, args []Value) Value {
	if len(args) == 0 {
		return textValue(m.Topic)
	}
	n, ok := args[0].Number()
	switch {
	case !ok || n < 0 || n != float64(int(n)):
		return Value{}
	case n == 0:
		return textValue(m.Topic)
	}
	rest := strings.TrimPrefix(m.Topic, "/")
	for ; n > 1; n-- {
		_, after, more := strings.Cut(rest, "/")
		if !more {
			return Value{}
		}
		rest = after
	}
	level, _, _ := strings.Cut(rest, "/")
	return textValue(level)
}

// payload gives the whole payload: as JSON when it is, else as text in UTF-8, or
// in another encoding.
func payload() Function {
	encodings := map[string]func(*Message) Value{
		"utf-8":  func(m *Message) Value { return textValue(strings.ToValidUTF8(view(m.Payload), "\ufffd")) },
		"base64": func(m *Message) Value { return textValue(base64.StdEncoding.EncodeToString(m.Payload)) },
		"hex":    func(m *Message) Value { return textValue(hex.EncodeToString(m.Payload)) },
	}
	encodings["utf8"] = encodings["utf-8"]
	return Function{
		Name: "payload", Usage: "payload(['utf-8'|'base64'|'hex'])", Summary: "The whole payload: as it is when it is JSON, or as text.",
		MaxArgs: 1, Args: []Kinds{Texts}, Result: Any,
		Call: func(m *Message, args []Value) Value {
			if len(args) > 0 {
				if f := encodings[strings.ToLower(args[0].Text())]; f != nil {
					return f(m)
				}
				return Value{}
			}
			if alink.Valid(m.Payload) {
				return rawValue(trimSpace(m.Payload))
			}
			return encodings["utf-8"](m)
		},
		check: func(_ int, v Value) string {
			if encodings[strings.ToLower(v.Text())] == nil {
				return "there is no such encoding"
			}
			return ""
		},
	}
}
