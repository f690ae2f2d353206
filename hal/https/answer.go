// SPDX-License-Identifier: Apache-2.0

package https

import (
	"encoding/base64"
	"net/http"
	"strconv"
)

// Answers are written by hand: devices read them with text scanners into small
// buffers, keys in lower case (wire facts section 1 rows 27 and 28).

// jsonType is shared by all headers: net/http reads it only.
var jsonType = []string{"application/json;charset=utf-8"}

// counted is how long a body net/http counts by itself.
const counted = 2000

func write(w http.ResponseWriter, body []byte) {
	header := w.Header()
	header["Content-Type"] = jsonType
	if len(body) > counted {
		header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	_, _ = w.Write(body) // who is gone needs no answer
}

func appendHead(b []byte, c Code) []byte {
	b = strconv.AppendInt(append(b, `{"code":`...), int64(c), 10)
	b = append(append(b, `,"message":"`...), c.String()...)
	return append(b, `","info":{`...)
}

func fail(w http.ResponseWriter, c Code) {
	write(w, append(appendHead(make([]byte, 0, 64), c), "}}"...))
}

// granted answers a login. A token is URL-safe base64: nothing in it is escaped.
func granted(w http.ResponseWriter, token string) {
	b := appendHead(make([]byte, 0, 192), CodeOK)
	b = append(append(b, `"token":"`...), token...)
	write(w, append(b, `"}}`...))
}

// kept answers a message: with its number, and in base64 what answers it, if
// anything does. It writes over b.
func kept(w http.ResponseWriter, b []byte, id int64, answer []byte) {
	b = appendHead(b[:0], CodeOK)
	b = strconv.AppendInt(append(b, `"messageId":`...), id, 10)
	if len(answer) > 0 {
		b = base64.StdEncoding.AppendEncode(append(b, `,"data":"`...), answer)
		b = append(b, '"')
	}
	write(w, append(b, "}}"...))
}
