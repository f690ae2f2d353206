// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal/webhook"
	"github.com/openalink/iot/hub"
)

// startMosquitto runs a broker with a file of passwords, or with nil accounts one
// that lets everybody in.
func startMosquitto(t *testing.T, p *platform, accounts map[string]string) {
	t.Helper()
	program := needProgram(t, "mosquitto", "apt-get install mosquitto")
	passwd := needProgram(t, "mosquitto_passwd", "apt-get install mosquitto")
	dir := t.TempDir()
	passwords := filepath.Join(dir, "passwords")
	if err := os.WriteFile(passwords, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for user, password := range accounts {
		if out, err := exec.Command(passwd, "-b", passwords, user, password).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
	}
	port := freePort(t)
	conf := strings.Join([]string{
		"listener " + port + " 127.0.0.1", "allow_anonymous false", "password_file " + passwords, "user root", "",
	}, "\n")
	if accounts == nil {
		conf = "listener " + port + " 127.0.0.1\nallow_anonymous true\nuser root\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "mosquitto.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(lockedBuffer)
	cmd := exec.Command(program, "-v", "-c", filepath.Join(dir, "mosquitto.conf"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, cmd, log)
	p.broker = "127.0.0.1:" + port
	eventually(t, "mosquitto listens", func() bool {
		nc, err := net.Dial("tcp", p.broker)
		if err == nil {
			_ = nc.Close()
		}
		return err == nil
	})
}

// asks posts a question as mosquitto-go-auth does. Debian has no package of that
// plugin, so mosquitto itself looks into a file, and the test asks in its place.
func (p *platform) asks(t *testing.T, path string, form url.Values) {
	t.Helper()
	resp, err := http.PostForm(p.questions.URL+"/"+brokerSecret+"/mosquitto/"+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", path, resp.Status)
	}
}

// TestMosquittoShared has Mosquitto as the broker of the consumer, with a shared
// subscription: post, answer, property set, acknowledgement after the commit.
func TestMosquittoShared(t *testing.T) {
	p := newPlatform(t)
	d := p.register(t, "shared-lamp")
	login := auth.SignMQTT(d.id, d.secret, auth.MQTTOptions{})
	accounts := map[string]string{login.UserName: login.Password.Reveal()}
	for user, password := range brokerServices {
		accounts[user] = password.Reveal()
	}
	startMosquitto(t, p, accounts)
	p.consume(t, webhook.Consumer{Group: "hubs"})

	p.asks(t, "user", url.Values{"username": {login.UserName}, "password": {login.Password.Reveal()}, "clientid": {login.ClientID}})
	acl := func(acc, topic string) {
		p.asks(t, "acl", url.Values{"username": {login.UserName}, "clientid": {login.ClientID}, "acc": {acc}, "topic": {topic}})
	}
	told := make(chan iotMessage, 16)
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + p.broker).SetClientID(login.ClientID).
		SetUsername(login.UserName).SetPassword(login.Password.Reveal()).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { told <- iotMessage{m.Topic(), string(m.Payload())} }))
	wait := func(token paho.Token) {
		t.Helper()
		if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("paho: %v", token.Error())
		}
	}
	wait(client.Connect())
	defer client.Disconnect(100)
	for _, path := range []string{"thing/event/property/post_reply", "thing/service/property/set"} {
		acl("4", d.sys(path))
		wait(client.Subscribe(d.sys(path), 1, nil))
	}
	post := propertyPost(d, `{"Power":1}`)
	acl("2", post.Topic)
	wait(client.Publish(post.Topic, 1, false, post.Payload))
	if m := next(t, told); m.topic != d.sys("thing/event/property/post_reply") || !strings.Contains(m.payload, `"code":200`) {
		t.Errorf("the device got %+v", m)
	}
	if got := p.Values(d.id)["Power"]; got != "1" {
		t.Errorf("Power is %s", got)
	}

	result := make(chan error, 1)
	go func() {
		_, err := p.SetProperties(t.Context(), d.id, object{"Power": 2}, hub.CallOptions{})
		result <- err
	}()
	m := next(t, told)
	var request struct{ ID string }
	if err := json.Unmarshal([]byte(m.payload), &request); err != nil || m.topic != d.sys("thing/service/property/set") {
		t.Fatalf("the device got %+v", m)
	}
	wait(client.Publish(d.sys("thing/service/property/set_reply"), 1, false, fmt.Sprintf(`{"id":%q,"code":200,"data":{}}`, request.ID)))
	if err := <-result; err != nil {
		t.Errorf("set: %v", err)
	}

	// With the consumer away nothing is lost.
	for i := range 30 {
		wait(client.Publish(post.Topic, 1, false, propertyPost(d, fmt.Sprintf(`{"Count":%d}`, i)).Payload))
		if i == 10 {
			if err := p.hook.Disconnect(t.Context(), "openalink"); err != nil { // takes its connection over
				t.Error(err)
			}
		}
	}
	p.subscribed(t)
	eventually(t, "all posts are kept", func() bool { return p.Values(d.id)["Count"] == "29" })
	if n := p.hook.Dropped(); n > 0 {
		t.Errorf("%d messages dropped", n)
	}
}

type iotMessage struct{ topic, payload string }

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came within 20 s")
		panic("unreachable")
	}
}
