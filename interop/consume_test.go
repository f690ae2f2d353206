// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bufio"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
)

// TestNodeConsumes has a program in Node consume a group over HTTP/2: it gets the
// messages of two devices, each in order, gives one back and gets it again, and a
// second one takes over what it leaves.
func TestNodeConsumes(t *testing.T) {
	node := needProgram(t, "node", "install node 18 or newer")
	h := startHubd(t)
	var group struct{ ID string }
	h.do(t, "POST", "/groups", object{"id": "billing", "subscriptions": []object{{"productKey": productKey, "kinds": []string{"upstream"}}}}, &group)
	consume := func() (*exec.Cmd, *bufio.Scanner) {
		cmd := exec.Command(node, "npm/consume.js", "http://"+h.addrs["http"], apiKey, "billing", "lamp-2")
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "status 200" {
			t.Fatalf("node says %q", lines.Text())
		}
		return cmd, lines
	}
	first, lines := consume()
	for i := range 4 {
		for _, d := range []device{lamp, other} {
			say(t, h, d, fmt.Sprintf("%s-%d", d.id.Name, i))
		}
	}
	got := map[string][]string{}
	for range 9 {
		if !lines.Scan() {
			t.Fatal("node ended")
		}
		f := strings.Fields(lines.Text())
		got[f[1]] = append(got[f[1]], f[3]+" try "+f[5])
	}
	want := map[string][]string{
		"lamp":  {"lamp-0 try 1", "lamp-1 try 1", "lamp-2 try 1", "lamp-2 try 2", "lamp-3 try 1"},
		"other": {"other-0 try 1", "other-1 try 1", "other-2 try 1", "other-3 try 1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_ = first.Process.Kill()
	_, lines = consume()
	say(t, h, lamp, "after")
	for lines.Scan() && !strings.Contains(lines.Text(), "after") {
		// What the first had not answered when it was killed comes once more.
		if !slices.Contains([]string{"lamp-3", "other-3"}, strings.Fields(lines.Text())[3]) {
			t.Errorf("again: %s", lines.Text())
		}
	}
	var stats struct{ Stats struct{ Lag, Consumers int } }
	eventually(t, "the group has nothing left", func() bool {
		return h.try("GET", "/groups/billing", nil, &stats) == nil && stats.Stats.Lag == 0 && stats.Stats.Consumers == 1
	})
}

// say publishes as a device, on a connection of its own.
func say(t *testing.T, h *hubd, d device, payload string) {
	t.Helper()
	tr := auth.SignMQTT(d.id, d.secret, auth.MQTTOptions{})
	c, err := mqtt.New("tcp://"+h.addrs["mqtt"]).Connect(t.Context(), hal.Login{
		ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, KeepAlive: time.Minute,
	}, func(iot.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Publish(t.Context(), iot.Message{Topic: d.topic("user/update"), QoS: 1, Payload: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
}
