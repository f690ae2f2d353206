// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/topic"
)

// login is a broker's question who somebody is.
type login struct {
	kind           *kind
	clientID, user string
	password       string
	addr           string // an IP address, or empty
	clean          bool
}

// access is a broker's question what somebody may do.
type access struct {
	clientID, user string
	op             topic.Operation
	topic          string
	subscribes     bool // it is a SUBSCRIBE, not a look at one delivery
	qos            iot.QoS
}

// form answers one kind of question of one broker.
type form = func(*Server, context.Context, *request) reply

// request is a broker's request, in whatever form it was.
type request struct {
	header http.Header
	fields map[string]string // of a form, or the flat members of an object
	topics []filter          // of VerneMQ's auth_on_subscribe
	err    error             // it could not be read
}

type filter struct {
	Topic string `json:"topic"`
	QoS   int    `json:"qos"`
}

var (
	errNotJSON = errors.New("webhook: body is not a JSON object")
	errForm    = errors.New("webhook: form cannot be read")
)

// read takes JSON or a form by its content type, and what has none by its first
// byte.
func (q *request) read(body io.Reader, contentType string) {
	b, err := io.ReadAll(body)
	if err != nil {
		q.err = fmt.Errorf("webhook: body: %w", err)
		return
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	if kind == "application/x-www-form-urlencoded" || kind != "application/json" && !bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		q.readForm(string(b))
		return
	}
	q.readJSON(b)
}

func (q *request) readForm(text string) {
	values, err := url.ParseQuery(text)
	if err != nil {
		q.err = errForm
		return
	}
	q.fields = make(map[string]string, len(values))
	for k, v := range values {
		if len(v) > 1 { // who asks twice could mean either
			q.err = errForm
			return
		}
		q.fields[k] = v[0]
	}
}

func (q *request) readJSON(b []byte) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil || members == nil {
		q.err = errNotJSON
		return
	}
	q.fields = make(map[string]string, len(members))
	for k, v := range members {
		switch {
		case k == "topics":
			if json.Unmarshal(v, &q.topics) != nil {
				q.err = errNotJSON
				return
			}
		case v[0] == '"':
			var s string
			if json.Unmarshal(v, &s) != nil {
				q.err = errNotJSON
				return
			}
			q.fields[k] = s
		case v[0] != '{' && v[0] != '[' && string(v) != "null":
			q.fields[k] = string(v)
		}
	}
}

// number returns a field that is a small number; -1 when it is not.
func (q *request) number(name string) int {
	n, err := strconv.ParseUint(q.fields[name], 10, 8)
	if err != nil {
		return -1
	}
	return int(n)
}

// reply is an answer in the broker's words.
type reply struct {
	status int // 0 is 200
	kind   string
	body   string
}

func (a reply) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "no-store")
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = io.WriteString(w, a.body)
}

const (
	typeJSON = "application/json"
	typeText = "text/plain; charset=utf-8"
)

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func clone(s string) string { return strings.Clone(s) }

// forms are the questions by path.
var forms = map[string]form{
	"/emqx/auth":           (*Server).emqxAuth,
	"/emqx/acl":            (*Server).emqxACL,
	"/emqx/event":          (*Server).emqxEvent,
	"/rabbitmq/user":       (*Server).rabbitUser,
	"/rabbitmq/vhost":      (*Server).rabbitVHost,
	"/rabbitmq/resource":   (*Server).rabbitResource,
	"/rabbitmq/topic":      (*Server).rabbitTopic,
	"/vernemq":             (*Server).verneHook,
	"/mosquitto/user":      (*Server).mosquittoUser,
	"/mosquitto/superuser": (*Server).mosquittoSuperuser,
	"/mosquitto/acl":       (*Server).mosquittoACL,
}
