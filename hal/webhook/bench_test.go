// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/webhook"
	"github.com/openalink/iot/topic"
)

// nobody lets everybody in and does nothing.
type nobody struct{}

func (nobody) Connect(context.Context, *hal.ConnectRequest) (hal.Accepted, error) {
	return hal.Accepted{Session: nobody{}}, nil
}

func (nobody) Receive(_ context.Context, _ iot.Message, done func([]iot.Message, error)) {
	done(nil, nil)
}
func (nobody) Authorize(topic.Operation, string) error { return nil }
func (nobody) Close(hal.Cause)                         {}

// BenchmarkQuestions is what a broker's question costs beside HTTP itself: a login,
// and a publish of a device that is logged in.
func BenchmarkQuestions(b *testing.B) {
	for _, q := range []struct{ name, path, body string }{
		{"RabbitMQ/login", "/rabbitmq/user", rabbitLogin},
		{"RabbitMQ/publish", "/rabbitmq/topic", rabbitWrite},
		{"EMQX/publish", "/emqx/acl", `{"clientid":"` + clientID + `","username":"lamp&a1p","topic":"/sys/a1p/lamp/x","action":"publish"}`},
	} {
		b.Run(q.name, func(b *testing.B) {
			hook, err := webhook.New(webhook.Config{Access: nobody{}, Secret: auth.NewSecret(secret)})
			if err != nil {
				b.Fatal(err)
			}
			defer hook.Close()
			ask(hook, "/"+secret+"/rabbitmq/user", nil, rabbitLogin)
			header := http.Header{"Content-Type": {"application/json"}}
			if strings.HasPrefix(q.path, "/rabbitmq") {
				header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/"+secret+q.path, strings.NewReader(q.body))
				r.Header = header
				w := httptest.NewRecorder()
				hook.ServeHTTP(w, r)
				if !strings.Contains(w.Body.String(), "allow") {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
