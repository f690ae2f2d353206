// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// coded makes a function that writes text, or with * the payload, in another form.
func coded(name, summary string, f func([]byte) string) Function {
	return Function{
		Name: name, Usage: name + "(text) or " + name + "(*)", Summary: summary, star: true,
		MinArgs: 1, MaxArgs: 1, Args: []Kinds{Texts | Numbers}, Result: Texts,
		Call: func(_ *Message, args []Value) Value { return textValue(f([]byte(args[0].Text()))) },
	}
}

// digests are the algorithms of crypto.
func digests() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"md2":    sumMD2,
		"md5":    func(b []byte) []byte { s := md5.Sum(b); return s[:] },
		"sha1":   func(b []byte) []byte { s := sha1.Sum(b); return s[:] },
		"sha256": func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
		"sha384": func(b []byte) []byte { s := sha512.Sum384(b); return s[:] },
		"sha512": func(b []byte) []byte { s := sha512.Sum512(b); return s[:] },
	}
}

func codecFunctions() []Function {
	table := digests()
	find := func(name string) func([]byte) []byte {
		return table[strings.ToLower(strings.ReplaceAll(name, "-", ""))]
	}
	return []Function{
		coded("to_base64", "The text, or the payload, in base64.", base64.StdEncoding.EncodeToString),
		coded("to_hex", "The text, or the payload, in hexadecimal.", hex.EncodeToString),
		{
			Name: "crypto", Usage: "crypto(text, 'MD2'|'MD5'|'SHA1'|'SHA-256'|'SHA-384'|'SHA-512')", Summary: "The digest of the text, in hexadecimal.",
			MinArgs: 2, MaxArgs: 2, Args: []Kinds{Texts | Numbers, Texts}, Result: Texts,
			Call: func(_ *Message, args []Value) Value {
				sum := find(args[1].Text())
				if sum == nil {
					return Value{}
				}
				return textValue(hex.EncodeToString(sum([]byte(args[0].Text()))))
			},
			check: func(i int, v Value) string {
				if i == 1 && find(v.Text()) == nil {
					return "there is no such algorithm"
				}
				return ""
			},
		},
		{
			Name: "bin_to_dec", Usage: "bin_to_dec(text)", Summary: "The number that binary digits write.",
			MinArgs: 1, MaxArgs: 1, Args: []Kinds{Texts | Numbers}, Result: 1 << Number,
			Call: func(_ *Message, args []Value) Value {
				n, err := strconv.ParseUint(args[0].Text(), 2, 53)
				if err != nil {
					return Value{}
				}
				return numberValue(float64(n))
			},
		},
	}
}
