// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqttd"
	"github.com/openalink/iot/topic"
)

// asker asks a webhook the questions of one make of broker.
type asker interface {
	login(r *hal.ConnectRequest) bool
	publish(client, user, name string) bool
	subscribe(client, user, filter string, qos int) bool
	gone(client, user string, takenOver bool)
}

// broker is a little MQTT broker that asks a webhook, as those of others do: on
// sockets, with sessions that outlive connections.
type broker struct {
	t    *testing.T
	ask  asker
	addr string
	// breaks off when a clean session is taken over by one that is not, as RabbitMQ
	// does, whose queues cannot be both.
	breaksOff bool
	deaf      atomic.Bool // hears no acknowledgements

	mu      sync.Mutex
	clients map[string]*brokerClient
}

type brokerClient struct {
	b       *broker
	id      string
	link    hal.Link // nil while away
	filters map[string]int
	clean   bool
	waiting map[uint16]iot.Message
	sent    map[uint16]hal.Link // to whom
	order   []uint16
	last    uint16
}

func newBroker(t *testing.T, ask asker) *broker {
	t.Helper()
	b := &broker{t: t, ask: ask, clients: make(map[string]*brokerClient)}
	door, err := mqttd.New(mqttd.Config{Access: b})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	_, b.breaksOff = ask.(rabbitAsker)
	served := make(chan struct{})
	go func() { defer close(served); _ = door.Serve(l) }()
	t.Cleanup(func() { _ = door.Close(); <-served })
	return b
}

func (b *broker) Connect(_ context.Context, r *hal.ConnectRequest) (hal.Accepted, error) {
	if !b.ask.login(r) {
		return hal.Accepted{}, &hal.RefusedError{Reason: hal.BadCredentials}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.clients[r.ClientID]
	if c != nil && c.link != nil {
		c.link.Close(hal.CauseKicked)
		c.link = nil
		if b.breaksOff && c.clean && !r.CleanSession && len(c.filters) > 0 {
			delete(b.clients, c.id)
			r.Link.Close(hal.CauseReset)
			return hal.Accepted{}, io.ErrUnexpectedEOF
		}
	}
	if c == nil || r.CleanSession || c.clean {
		c = &brokerClient{b: b, id: strings.Clone(r.ClientID), filters: map[string]int{}, waiting: map[uint16]iot.Message{}, sent: map[uint16]hal.Link{}}
		b.clients[c.id] = c
	}
	c.link, c.clean = r.Link, r.CleanSession
	c.pump()
	return hal.Accepted{Session: &brokerSession{c, strings.Clone(r.UserName), r.Link}}, nil
}

// brokerSession is one connection of a client.
type brokerSession struct {
	*brokerClient
	user string
	mine hal.Link
}

func (c *brokerSession) Authorize(topic.Operation, string) error { return nil }

func (c *brokerSession) Receive(_ context.Context, m iot.Message, done func([]iot.Message, error)) {
	if !c.b.ask.publish(c.id, c.user, m.Topic) {
		done(nil, io.ErrClosedPipe) // closes the connection
		return
	}
	c.b.route(m)
	done(nil, nil)
}

func (c *brokerSession) Close(hal.Cause) {
	c.b.mu.Lock()
	mine := c.link == c.mine
	if mine {
		c.link = nil
		if c.clean {
			delete(c.b.clients, c.id)
		}
	}
	c.b.mu.Unlock()
	c.b.ask.gone(c.id, c.user, !mine)
}

func (c *brokerSession) Subscribe(_ context.Context, filters []hal.Filter) []hal.Grant {
	grants := make([]hal.Grant, len(filters))
	for i, f := range filters {
		name := f.Topic
		if rest, ok := strings.CutPrefix(name, "$share/"); ok {
			_, name, _ = strings.Cut(rest, "/")
		}
		if !c.b.ask.subscribe(c.id, c.user, name, int(f.QoS)) {
			grants[i] = hal.Refused
			continue
		}
		grants[i] = hal.Grant(min(f.QoS, 1))
		c.b.mu.Lock()
		c.filters[name] = int(grants[i])
		c.b.mu.Unlock()
	}
	return grants
}

func (c *brokerSession) Unsubscribe(context.Context, []string) {}

// route sends a message to who subscribed, and keeps it for who is away.
func (b *broker) route(m iot.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.Topic, m.Payload = strings.Clone(m.Topic), append([]byte(nil), m.Payload...)
	for _, c := range b.clients {
		best := -1
		for f, qos := range c.filters {
			if topic.Match(f, m.Topic) {
				best = max(best, qos)
			}
		}
		out := m
		out.QoS = min(out.QoS, iot.QoS(max(best, 0)))
		switch {
		case best < 0:
		case out.QoS == 0 && c.link != nil:
			c.link.Send(context.Background(), hal.Delivery{Message: out}, nil)
		case out.QoS > 0:
			c.last++
			c.waiting[c.last] = out
			c.order = append(c.order, c.last)
			c.pump()
		}
	}
}

// window is how many messages a consumer may leave unacknowledged, as with RabbitMQ.
const window = 10

// pump sends what the window has room for. b.mu is held.
func (c *brokerClient) pump() {
	if c.link == nil {
		return
	}
	room := len(c.order)
	if !c.clean { // a consumer
		room = min(window, room)
	}
	for _, id := range c.order[:room] {
		if was := c.sent[id]; was != c.link {
			c.sent[id] = c.link
			c.link.Send(context.Background(), hal.Delivery{Message: c.waiting[id], PacketID: id, Dup: was != nil}, c.acked(id))
		}
	}
}

func (c *brokerClient) acked(id uint16) func(error) {
	return func(err error) {
		if err != nil || c.b.deaf.Load() {
			return
		}
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		delete(c.waiting, id)
		delete(c.sent, id)
		defer c.pump()
		for i, o := range c.order {
			if o == id {
				c.order = append(c.order[:i:i], c.order[i+1:]...)
				break
			}
		}
	}
}

// pending returns how many messages a client has not acknowledged.
func (b *broker) pending(client string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.clients[client]; c != nil {
		return len(c.order)
	}
	return 0
}

// poster posts to a webhook.
type poster struct {
	t   *testing.T
	url string // with the secret
}

func (p poster) form(path string, pairs ...string) (status int, body string) {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return p.send(path, "application/x-www-form-urlencoded", v.Encode(), nil)
}

func (p poster) json(path string, body any, header http.Header) (status int, text string) {
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Error(err)
	}
	return p.send(path, "application/json", string(b), header)
}

func (p poster) send(path, kind, body string, header http.Header) (status int, text string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return 0, ""
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func passwordOf(r *hal.ConnectRequest) string {
	p, _ := r.Credential.(auth.Password)
	return string(p.Bytes())
}

type emqxAsker struct{ poster }

func (a emqxAsker) login(r *hal.ConnectRequest) bool {
	_, body := a.json("/emqx/auth", map[string]string{"clientid": r.ClientID, "username": r.UserName, "password": passwordOf(r), "peerhost": "127.0.0.1"}, nil)
	return strings.Contains(body, `"allow"`)
}

func (a emqxAsker) acl(client, user, name, action string) bool {
	_, body := a.json("/emqx/acl", map[string]string{"clientid": client, "username": user, "topic": name, "action": action}, nil)
	return strings.Contains(body, `"allow"`)
}

func (a emqxAsker) publish(client, user, name string) bool {
	return a.acl(client, user, name, "publish")
}

func (a emqxAsker) subscribe(client, user, filter string, _ int) bool {
	return a.acl(client, user, filter, "subscribe")
}

func (a emqxAsker) gone(client, user string, takenOver bool) {
	reason := "normal"
	if takenOver {
		reason = "takenover"
	}
	a.json("/emqx/event", map[string]any{"event": "client.disconnected", "clientid": client, "username": user, "reason": reason, "disconnected_at": 1}, nil)
}

// rabbitAsker flattens topics as RabbitMQ does.
type rabbitAsker struct{ poster }

func (a rabbitAsker) login(r *hal.ConnectRequest) bool {
	_, body := a.form("/rabbitmq/user", "username", r.UserName, "password", passwordOf(r), "vhost", "/", "client_id", r.ClientID)
	if body != "allow" {
		return false
	}
	_, body = a.form("/rabbitmq/vhost", "username", r.UserName, "vhost", "/", "ip", "127.0.0.1", "tags", "", "client_id", r.ClientID)
	return body == "allow"
}

var amqp = strings.NewReplacer("/", ".", "+", "*")

func (a rabbitAsker) topic(client, user, name, permission string) bool {
	_, body := a.form("/rabbitmq/topic", "username", user, "vhost", "/", "resource", "topic", "name", "amq.topic", "permission", permission,
		"tags", "", "routing_key", amqp.Replace(name), "variable_map.client_id", client, "variable_map.username", user, "variable_map.vhost", "/")
	return body == "allow"
}

func (a rabbitAsker) resource(client, user, kind, name, permission string) bool {
	_, body := a.form("/rabbitmq/resource", "username", user, "vhost", "/", "resource", kind, "name", name, "permission", permission, "tags", "", "client_id", client)
	return body == "allow"
}

func (a rabbitAsker) publish(client, user, name string) bool {
	return a.topic(client, user, name, "write") && a.resource(client, user, "exchange", "amq.topic", "write")
}

func (a rabbitAsker) subscribe(client, user, filter string, _ int) bool {
	queue := "mqtt-subscription-" + client + "qos1"
	return a.resource(client, user, "queue", queue, "configure") && a.resource(client, user, "queue", queue, "read") &&
		a.resource(client, user, "exchange", "amq.topic", "read") && a.topic(client, user, filter, "read")
}

func (rabbitAsker) gone(string, string, bool) {}

type verneAsker struct{ poster }

func (a verneAsker) hook(name string, body any) string {
	_, text := a.json("/vernemq", body, http.Header{"Vernemq-Hook": {name}})
	return text
}

func (a verneAsker) login(r *hal.ConnectRequest) bool {
	return a.hook("auth_on_register", map[string]any{
		"peer_addr": "127.0.0.1", "peer_port": 8888, "mountpoint": "", "client_id": r.ClientID,
		"username": r.UserName, "password": passwordOf(r), "clean_session": r.CleanSession,
	}) == `{"result":"ok"}`
}

func (a verneAsker) publish(client, user, name string) bool {
	return a.hook("auth_on_publish", map[string]any{
		"client_id": client, "mountpoint": "", "username": user, "qos": 1, "topic": name, "payload": "aGVsbG8=", "retain": false,
	}) == `{"result":"ok"}`
}

func (a verneAsker) subscribe(client, user, filter string, qos int) bool {
	text := a.hook("auth_on_subscribe", map[string]any{
		"client_id": client, "mountpoint": "", "username": user, "topics": []map[string]any{{"topic": filter, "qos": qos}},
	})
	return strings.HasPrefix(text, `{"result":"ok"`) && !strings.Contains(text, "128")
}

func (a verneAsker) gone(client, _ string, _ bool) {
	a.hook("on_client_gone", map[string]any{"client_id": client, "mountpoint": ""})
}

type mosquittoAsker struct{ poster }

func (a mosquittoAsker) login(r *hal.ConnectRequest) bool {
	status, _ := a.json("/mosquitto/user", map[string]any{"username": r.UserName, "password": passwordOf(r), "clientid": r.ClientID}, nil)
	return status == http.StatusOK
}

func (a mosquittoAsker) acl(client, user, name string, acc int) bool {
	if status, _ := a.form("/mosquitto/superuser", "username", user); status == http.StatusOK {
		return true
	}
	status, _ := a.json("/mosquitto/acl", map[string]any{"username": user, "clientid": client, "topic": name, "acc": acc}, nil)
	return status == http.StatusOK
}

func (a mosquittoAsker) publish(client, user, name string) bool { return a.acl(client, user, name, 2) }

func (a mosquittoAsker) subscribe(client, user, filter string, _ int) bool {
	return a.acl(client, user, filter, 4)
}

func (mosquittoAsker) gone(string, string, bool) {}
