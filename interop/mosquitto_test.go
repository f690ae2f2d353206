// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"errors"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/openalink/iot/auth"
)

const installMosquitto = "apt-get install mosquitto-clients"

// mosquitto runs mosquitto_pub and mosquitto_sub as a device.
type mosquitto struct {
	pub, sub string
	h        *hubd
	d        device
	versions []string
}

func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	m := &mosquitto{d: lamp, versions: []string{"mqttv31", "mqttv311"}}
	m.pub, m.sub = needProgram(t, "mosquitto_pub", installMosquitto), needProgram(t, "mosquitto_sub", installMosquitto)
	m.h = startHubd(t)
	return m
}

// outcome is how a program ended.
type outcome struct {
	code int
	out  string // standard output and error
}

// run runs a program as the device over plain TCP. args behind override.
func (m *mosquitto) run(t *testing.T, program string, args ...string) outcome {
	t.Helper()
	return m.runAt(t, program, "mqtt", args...)
}

func (m *mosquitto) runAt(t *testing.T, program, listener string, args ...string) outcome {
	t.Helper()
	return run(t, m.command(t, program, listener, args...))
}

func (m *mosquitto) command(t *testing.T, program, listener string, args ...string) *exec.Cmd {
	t.Helper()
	host, port, err := net.SplitHostPort(m.h.addrs[listener])
	if err != nil {
		t.Fatal(err)
	}
	tr := auth.SignMQTT(m.d.id, m.d.secret, auth.MQTTOptions{SecureMode: auth.SecureTCP, Method: auth.HMACSHA1})
	login := []string{"-h", host, "-p", port, "-i", tr.ClientID, "-u", tr.UserName, "-P", tr.Password.Reveal()}
	return exec.CommandContext(t.Context(), program, append(login, args...)...)
}

func run(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	out, err := cmd.CombinedOutput()
	o := outcome{out: string(out)}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		o.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o outcome) want(t *testing.T, code int, text string) {
	t.Helper()
	if o.code != code || !strings.Contains(o.out, text) {
		t.Errorf("exit code %d, want %d with %q; it said\n%s", o.code, code, text, o.out)
	}
}

func TestMosquittoPublishes(t *testing.T) {
	m := newMosquitto(t)
	topic := m.d.sys("thing/event/property/post")
	n := 0.0
	for _, version := range m.versions {
		for _, qos := range []string{"0", "1"} {
			t.Run(version+"/qos"+qos, func(t *testing.T) {
				n++
				payload := `{"id":"1","version":"1.0","params":{"Count":` + qos + `.` + version[len(version)-1:] + `},"method":"thing.event.property.post"}`
				m.run(t, m.pub, "-V", version, "-q", qos, "-t", topic, "-m", payload).want(t, 0, "")
				eventually(t, "the post is in the message log", func() bool {
					all := m.h.messages(t, m.d)
					return len(all) == int(n) && string(all[int(n)-1].Payload) == payload
				})
			})
		}
	}
	if m.h.property(t, m.d, "Count") == nil {
		t.Error("the platform has no value of the property")
	}
}

func TestMosquittoRefused(t *testing.T) {
	m := newMosquitto(t)
	for _, version := range m.versions {
		t.Run(version, func(t *testing.T) {
			m.run(t, m.pub, "-V", version, "-P", "wrong", "-t", "/a", "-m", "x").want(t, 4, "Connection Refused: bad user name or password")
			m.run(t, m.pub, "-V", version, "-u", "ghost&"+productKey, "-t", "/a", "-m", "x").want(t, 4, "Connection Refused: bad user name or password")
			m.run(t, m.pub, "-V", version, "-i", "no bars", "-u", "nobody", "-t", "/a", "-m", "x").want(t, 4, "Connection Refused")
		})
	}
	t.Run("mqttv5", func(t *testing.T) {
		if o := m.run(t, m.pub, "-V", "mqttv5", "-t", "/a", "-m", "x"); o.code == 0 || !strings.Contains(o.out, "Unsupported Protocol Version") {
			t.Errorf("exit code %d: %s", o.code, o.out)
		}
	})
	t.Run("disabled", func(t *testing.T) {
		var out object
		m.h.do(t, "POST", devicePath(m.d)+"/disable", nil, &out)
		m.run(t, m.pub, "-t", "/a", "-m", "x").want(t, 5, "Connection Refused: not authorised")
	})
}

func TestMosquittoSubscribes(t *testing.T) {
	m := newMosquitto(t)
	topic := m.d.topic("user/get")
	for _, version := range m.versions {
		t.Run(version, func(t *testing.T) {
			cmd := m.command(t, m.sub, "mqtt", "-V", version, "-q", "1", "-t", topic, "-C", "1", "-W", "20", "-d")
			var said lockedBuffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the platform has somebody to send to", func() bool {
				var out object
				return m.h.try("POST", "/pub", object{"topic": topic, "payload": []byte("hello"), "qos": 1}, &out) == nil
			})
			if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), "received PUBLISH (d0, q1, r0") || !strings.Contains(said.String(), "hello") {
				t.Errorf("%v; it said\n%s", err, &said)
			}
		})
	}
}

func TestMosquittoGrants(t *testing.T) {
	m := newMosquitto(t)
	own, foreign := m.d.topic("user/get"), other.topic("user/get")
	for name, tt := range map[string]struct {
		args []string
		code int
		text string
	}{
		"qos2 is granted 1":  {[]string{"-q", "2", "-t", own, "-E"}, 0, "Subscribed (mid: 1): 1"},
		"foreign is refused": {[]string{"-q", "1", "-t", foreign, "-E"}, 0, "All subscription requests were denied"},
		"one of each":        {[]string{"-q", "1", "-t", foreign, "-t", own, "-E"}, 0, "Subscribed (mid: 1): 128, 1"},
		"everything":         {[]string{"-q", "1", "-t", "#", "-E"}, 0, "All subscription requests were denied"},
	} {
		t.Run(name, func(t *testing.T) { m.run(t, m.sub, append(tt.args, "-d")...).want(t, tt.code, tt.text) })
	}
}

func TestMosquittoForeignTopic(t *testing.T) {
	m := newMosquitto(t)
	foreign := other.sys("thing/event/property/post")
	m.run(t, m.pub, "-q", "1", "-t", foreign, "-m", `{"id":"1","params":{"Stolen":1}}`, "-d").want(t, 0, "received PUBACK")
	if got := m.h.property(t, other, "Stolen"); got != nil {
		t.Errorf("a device wrote %v to another", got)
	}
	if !slices.ContainsFunc(m.h.logs(t, m.d), func(e logEntry) bool { return e.Cause == "no-authorization" && e.Topic == foreign }) {
		t.Errorf("the refusal is not in the log: %+v", m.h.logs(t, m.d))
	}
}

// A stored session keeps subscriptions and QoS 1 messages: the second run hears
// the topic of the first.
func TestMosquittoResumes(t *testing.T) {
	m := newMosquitto(t)
	m.run(t, m.sub, "-c", "-q", "1", "-t", m.d.topic("user/get"), "-E").want(t, 0, "")
	for _, text := range []string{"first", "second", "third"} {
		m.h.publish(t, m.d.topic("user/get"), text, 1)
	}
	o := m.run(t, m.sub, "-c", "-q", "1", "-t", m.d.topic("user/other"), "-C", "3", "-W", "20")
	o.want(t, 0, "first\nsecond\nthird\n")
	// With a clean session nothing of it is left.
	m.run(t, m.sub, "-q", "1", "-t", m.d.topic("user/other"), "-E").want(t, 0, "")
	var out object
	if err := m.h.try("POST", "/pub", object{"topic": m.d.topic("user/get"), "payload": []byte("x"), "qos": 1}, &out); err == nil {
		t.Error("a message was taken for a device that is away and left nothing")
	}
}

func TestMosquittoWillAndRetain(t *testing.T) {
	m := newMosquitto(t)
	topic := m.d.sys("thing/event/property/post")
	m.run(t, m.pub, "-r", "--will-topic", topic, "--will-payload", "{}", "-q", "1", "-t", topic, "-m", `{"id":"1","params":{"Kept":1}}`).want(t, 0, "")
	if got := m.h.property(t, m.d, "Kept"); got != 1.0 {
		t.Errorf("Kept is %v at the platform, want 1", got)
	}
	if !slices.ContainsFunc(m.h.logs(t, m.d), func(e logEntry) bool { return e.Cause == "ignored" }) {
		t.Errorf("the log does not say that the will was ignored: %+v", m.h.logs(t, m.d))
	}
}

// The suites of firmware that knows RSA key exchange only, through a whole
// conversation.
func TestMosquittoStaticRSA(t *testing.T) {
	m := newMosquitto(t)
	topic := m.d.sys("thing/event/property/post")
	for _, listener := range []string{"mqtts", "any"} {
		for _, suite := range []string{"AES128-SHA", "AES256-SHA", "AES128-SHA256"} {
			t.Run(listener+"/"+suite, func(t *testing.T) {
				m.runAt(t, m.pub, listener, "--cafile", certificates.ca, "--tls-version", "tlsv1.2", "--ciphers", suite+":@SECLEVEL=0",
					"-q", "1", "-t", topic, "-m", `{"id":"1","params":{"Secure":1}}`, "-d").want(t, 0, "received PUBACK")
			})
		}
	}
}
