// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/device"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/mqtt"
	"github.com/openalink/iot/hub"
)

// childEnv makes the test binary be hubd, so that it can be killed.
const childEnv = "HUBD_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	apiKey     = "test-key"
	productKey = "a1Hubd0001"
	secret     = "5f2c8b1e9a7d4c3fb0e6d1a2c4f80719"
)

// hubd is a running child.
type hubd struct {
	t      *testing.T
	cmd    *exec.Cmd
	addr   map[string]string // by listener
	stderr bytes.Buffer
}

func fleetFile(t *testing.T, devices int) string {
	t.Helper()
	type entry map[string]any
	f := entry{"products": []entry{{"productKey": productKey}}}
	var list []entry
	for n := range devices {
		list = append(list, entry{"productKey": productKey, "deviceName": name(n), "deviceSecret": secret})
	}
	f["devices"] = list
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fleet.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func name(n int) string { return fmt.Sprintf("device-%02d", n) }

func startHubd(t *testing.T, args ...string) *hubd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, exe, args...)
}

// startProgram runs a program that is hubd, such as the test's own.
func startProgram(t *testing.T, exe string, args ...string) *hubd {
	t.Helper()
	h := &hubd{t: t, cmd: exec.Command(exe, args...), addr: map[string]string{}}
	h.cmd.Env = append(os.Environ(), childEnv+"=1")
	h.cmd.Stderr = &h.stderr
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 3 && f[0] == "listening":
			h.addr[f[1]] = f[2]
		case lines.Text() == "ready":
			go io.Copy(io.Discard, out)
			return h
		case strings.Contains(lines.Text(), "failed"):
			t.Errorf("hubd: %s", lines.Text())
		}
	}
	t.Fatalf("hubd ended before it was ready: %s", &h.stderr)
	return nil
}

func (h *hubd) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// get calls the management API.
func (h *hubd) get(path string, out any) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), "GET", "http://"+h.addr["http"]+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+apiKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		h.t.Fatalf("%s: %s %s %v", path, resp.Status, body, err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		h.t.Fatalf("%s: %s: %v", path, body, err)
	}
}

func (h *hubd) connect(n int, url string) *device.Client {
	h.t.Helper()
	c, err := device.New(device.Config{
		Identity:  hal.Identity{Device: iot.DeviceID{Product: productKey, Name: name(n)}, DeviceSecret: auth.NewSecret(secret)},
		Transport: mqtt.New(url), MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	if err := c.Connect(h.t.Context()); err != nil {
		h.t.Fatalf("%s: %v", url, err)
	}
	return c
}

func TestDrainsOnSIGTERM(t *testing.T) {
	dir := t.TempDir()
	h := startHubd(t, "-data", dir, "-provision", fleetFile(t, 4), "-limits", "none", "-api-key", apiKey,
		"-any", "127.0.0.1:0", "-mqtt", "127.0.0.1:0", "-ws", "127.0.0.1:0", "-http", "127.0.0.1:0")
	for n, url := range []string{"tcp://" + h.addr["mqtt"], "tcp://" + h.addr["any"], "ws://" + h.addr["ws"] + "/mqtt", "ws://" + h.addr["any"] + "/mqtt"} {
		if err := h.connect(n, url).PostProperties(t.Context(), map[string]int{"n": n}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	var values map[string]hub.Value
	h.get("/api/v1/devices/"+productKey+"/"+name(3)+"/properties", &values)
	if string(values["n"].Value) != "3" {
		t.Errorf("values %v", values)
	}
	if resp, err := http.Get("http://" + h.addr["any"] + "/api/v1/products"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("management on the devices' port: %v, %v", resp, err)
	}
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Wait(); err != nil {
		t.Errorf("exit: %v\n%s", err, &h.stderr)
	}
}

// TestNothingAcknowledgedIsLost kills hubd 30 times while 20 devices post, and
// then looks for every acknowledged post in the message log.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	const devices, kills = 20, 30
	dir, fleet := t.TempDir(), fleetFile(t, devices+1)
	args := []string{
		"-data", dir, "-provision", fleet, "-limits", "none", "-api-key", apiKey, "-log", "error",
		"-mqtt", "127.0.0.1:0", "-http", "127.0.0.1:0",
	}
	var mu sync.Mutex
	acked := map[string]bool{}
	for round := range kills {
		h := startHubd(t, args...)
		ctx, cancel := context.WithCancel(t.Context())
		var posting sync.WaitGroup
		for n := range devices {
			posting.Go(func() { h.post(ctx, round, n, &mu, acked) })
		}
		h.absent(devices)
		// Device 20 connects and is cut off by the kill: the next round finds it absent.
		late := h.dial(devices)
		time.Sleep(time.Duration(50+rand.IntN(250)) * time.Millisecond)
		h.kill()
		cancel()
		posting.Wait()
		if late != nil {
			_ = late.Close()
		}
	}
	h := startHubd(t, args...)
	h.absent(devices)
	found := h.logged()
	lost := 0
	for marker := range acked {
		if !found[marker] {
			lost++
		}
	}
	t.Logf("%d kills, %d posts acknowledged, %d in the log, %d lost", kills, len(acked), len(found), lost)
	if lost > 0 || len(acked) < 1000 {
		t.Errorf("%d of %d acknowledged posts lost", lost, len(acked))
	}
}

// dial connects a device once, without an SDK above it.
func (h *hubd) dial(n int) hal.Conn {
	id := iot.DeviceID{Product: productKey, Name: name(n)}
	tr := auth.SignMQTT(id, auth.NewSecret(secret), auth.MQTTOptions{})
	c, err := mqtt.New("tcp://"+h.addr["mqtt"]).Connect(h.t.Context(), hal.Login{
		ClientID: tr.ClientID, UserName: tr.UserName, Password: tr.Password, KeepAlive: time.Minute,
	}, func(iot.Message) {})
	if err != nil {
		h.t.Errorf("device %d: %v", n, err)
		return nil
	}
	return c
}

// post keeps four QoS 1 posts in flight until ctx ends or the hub dies, and
// notes each that was acknowledged.
func (h *hubd) post(ctx context.Context, round, n int, mu *sync.Mutex, acked map[string]bool) {
	c := h.dial(n)
	if c == nil {
		return
	}
	defer c.Close()
	topic := "/sys/" + productKey + "/" + name(n) + "/thing/event/property/post"
	var flying sync.WaitGroup
	for lane := range 4 {
		flying.Go(func() {
			for i := 0; ; i++ {
				marker := fmt.Sprintf("r%d-d%d-l%d-%d", round, n, lane, i)
				err := c.Publish(ctx, iot.Message{Topic: topic, QoS: 1, Payload: fmt.Appendf(nil, `{"id":"%s","params":{"n":%d}}`, marker, i)})
				if err != nil {
					return
				}
				mu.Lock()
				acked[marker] = true
				mu.Unlock()
			}
		})
	}
	flying.Wait()
}

// absent checks that device n, which nothing connected since the start, is not
// shown online, and why.
func (h *hubd) absent(n int) {
	h.t.Helper()
	var p hub.Presence
	h.get("/api/v1/devices/"+productKey+"/"+name(n)+"/presence", &p)
	if p.State == hub.Online {
		h.t.Errorf("device %d is shown online after a restart", n)
	}
	if p.State == hub.Offline && p.Last.Cause != hal.CauseServerStop {
		h.t.Errorf("device %d went offline with cause %q, want server-stop", n, p.Last.Cause)
	}
}

// logged pages through the message log and returns the ids of all posts.
func (h *hubd) logged() map[string]bool {
	found := map[string]bool{}
	cursor := ""
	for {
		var page struct {
			Items  []struct{ Payload string }
			Cursor string
		}
		h.get("/api/v1/messages?limit=1000&productKey="+productKey+"&cursor="+cursor, &page)
		for _, m := range page.Items {
			raw, err := base64.StdEncoding.DecodeString(m.Payload)
			if err != nil {
				h.t.Fatal(err)
			}
			var post struct{ ID string }
			if err := json.Unmarshal(raw, &post); err != nil {
				h.t.Fatalf("%s: %v", raw, err)
			}
			found[post.ID] = true
		}
		if cursor = page.Cursor; cursor == "" {
			return found
		}
	}
}

func TestLimitsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.json")
	for text, want := range map[string]string{
		`{"UplinkQoS1": 7, "KeepAliveMin": "5s"}`: "",
		`{"Unknown": 1}`:           "there is no limit",
		`{"KeepAliveMin": "soon"}`: "invalid duration",
		`[]`:                       "cannot unmarshal",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := readLimits(path)
		if want == "" && (err != nil || l.UplinkQoS1 != 7 || l.KeepAliveMin != 5*time.Second || l.UplinkQoS0 != 30) {
			t.Errorf("%s: %+v, %v", text, l, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFlags(t *testing.T) {
	if _, err := parse([]string{"-mqtt", ":0"}, io.Discard); err == nil {
		t.Error("no -data")
	}
	if err := run(t.Context(), flags{data: t.TempDir(), limits: "default", log: "loud"}, io.Discard); err == nil {
		t.Error("unknown log level")
	}
	err := run(t.Context(), flags{data: t.TempDir(), limits: "default", log: "error", mqtt: "256.0.0.1:0"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-mqtt") {
		t.Errorf("bad address: %v", err)
	}
	if err := run(t.Context(), flags{data: t.TempDir(), limits: "default", log: "error", provision: "nowhere.json"}, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing provision file: %v", err)
	}
}
