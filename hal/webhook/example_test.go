// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/haltest"
	"github.com/openalink/iot/hal/webhook"
)

// A platform behind RabbitMQ: the broker asks the server, and a consumer takes
// what devices publish.
func Example() {
	platform := new(haltest.FakeAccess) // a *hub.Hub
	hook, err := webhook.New(webhook.Config{
		Access:   platform,
		Secret:   auth.NewSecret("between-us"),
		Services: map[string]auth.Secret{"platform": auth.NewSecret("its-password")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hook.Close()
	go hook.Consume(context.Background(), webhook.Consumer{
		URL: "mqtt://127.0.0.1:1", UserName: "platform", Password: auth.NewSecret("its-password"),
	})

	// What RabbitMQ posts when a device connects; auth_http.user_path is
	// http://platform:8085/between-us/rabbitmq/user.
	question := httptest.NewRequest(http.MethodPost, "/between-us/rabbitmq/user",
		strings.NewReader("username=lamp%26a1product&password=0123&vhost=%2F&client_id=lamp%7Csecuremode%3D3%7C"))
	answer := httptest.NewRecorder()
	hook.ServeHTTP(answer, question)
	fmt.Println(answer.Body, hook.Clients())
	// Output: allow 1
}
