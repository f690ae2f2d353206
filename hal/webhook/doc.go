// SPDX-License-Identifier: Apache-2.0

// Package webhook lets devices in through a broker of others, or a cluster of
// them: EMQX, RabbitMQ, VerneMQ or Mosquitto. The broker asks a Server over HTTP
// who may come in and what he may do, and tells it who left; a consumer takes the
// devices' messages from the broker and publishes what they are told.
//
//	hook, err := webhook.New(webhook.Config{Access: h, Secret: secret, Services: ...})
//	go http.ListenAndServe("10.0.0.5:8085", hook)
//	err = hook.Consume(ctx, webhook.Consumer{URL: "mqtt://broker:1883", ...})
//
// The paths, each in the form its broker speaks:
//
//	/emqx/auth /emqx/acl /emqx/event                    EMQX 4 and 5
//	/rabbitmq/user /rabbitmq/vhost /rabbitmq/resource   RabbitMQ, rabbitmq_auth_backend_http,
//	/rabbitmq/topic                                     http_method post
//	/vernemq                                            VerneMQ webhooks, every hook
//	/mosquitto/user /mosquitto/superuser /mosquitto/acl Mosquitto with mosquitto-go-auth,
//	                                                    response mode status or json
//
// Whoever can ask can find passwords out, so each request shows the secret: as
// "Authorization: Bearer ...", or, for brokers that cannot send a header, as the
// first element of the path. It is no replacement for a private network or TLS
// between broker and Server: the broker sends the devices' signatures.
//
// What an external broker leaves of order, acknowledgement, presence and kicks is
// a table in docs/brokers.md; so are settings for each broker.
package webhook
