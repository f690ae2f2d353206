// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/token"
	"strings"
	"unicode"
)

// goName makes an exported Go name of an identifier: blade_list is BladeList,
// Pump:Speed is PumpSpeed.
func goName(identifier string) string {
	var b strings.Builder
	up := true
	for _, r := range identifier {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	name := b.String()
	if name == "" || !unicode.IsUpper([]rune(name)[0]) {
		name = "X" + name
	}
	if reserved[name] {
		name += "Value"
	}
	return name
}

// reserved are the names the generated file has anyway.
var reserved = map[string]bool{
	"Device": true, "NewDevice": true, "Handler": true, "Client": true, "NewClient": true, "Platform": true,
	"Values": true, "ParseEvent": true, "Model": true, "Connect": true, "Close": true, "Post": true, "Thing": true,
}

// wordName makes a name for a value of an enum, from its words when they are fit.
func wordName(text string) string {
	name := ""
	for _, r := range text {
		if r > unicode.MaxASCII {
			return ""
		}
	}
	name = goName(text)
	if name == "X" || !token.IsIdentifier(name) {
		return ""
	}
	return strings.TrimSuffix(name, "Value")
}

// line makes one line of text for a comment.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }
