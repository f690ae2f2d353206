// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc64"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/ota"
)

// files keeps uploads in memory.
type files struct{ kept map[string]string }

func (f *files) Create(_ context.Context, id iot.DeviceID, name string) (hub.File, error) {
	return &file{f: f, key: id.String() + " " + name}, nil
}

type file struct {
	bytes.Buffer
	f   *files
	key string
}

func (f *file) Close() error   { f.f.kept[f.key] = f.String(); return nil }
func (f *file) Discard() error { return nil }

// askFile publishes and returns what came on the reply topic.
func (c *client) askFile(path string, payload []byte) []byte {
	c.p.t.Helper()
	if _, err := c.publish(c.sys(path), string(payload), 1); err != nil {
		c.p.t.Fatalf("%s: %v", path, err)
	}
	synctest.Wait()
	got := c.take()
	if len(got) != 1 || got[0].Message.Topic != c.sys(path)+"_reply" {
		c.p.t.Fatalf("%s: answers %v", path, got)
	}
	return got[0].Message.Payload
}

// The request is what an old SDK sends, with its comma too many (wire facts
// section 1 row 24).
func block(stream int64, size, offset int) []byte {
	return fmt.Appendf(nil, `{"id":"1","version":"1.0","params":{"fileToken":"default","fileInfo":{"streamId":%d,"fileId":1,},"fileBlock":{"size":%d,"offset":%d}}}`, stream, size, offset)
}

func TestFileDownload(t *testing.T) {
	bubble(t, withOTA(t), func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		other := p.connect(p.register("lamp-2"))
		content := strings.Repeat("0123456789abcdef", 1000)
		pkg := p.upload("2.0", "", content)
		camp := p.campaign(hub.Campaign{Packages: []string{pkg.ID}, OverMQTT: true, Targets: hub.Targets{Devices: []string{"lamp-1"}}})
		p.control(camp, hub.StartCampaign)
		n := c.notice()
		var got []byte
		for len(got) < int(n.Size) {
			header, data, err := ota.ParseFrame(c.askFile("thing/file/download", block(n.Stream, 5<<10, len(got))))
			want := fmt.Sprintf(`{"id":"1","code":200,"message":"success","version":"1.0","method":"thing.file.download","data":{"bOffset":%d,"bSize":%d,"fileLength":16000,"fileToken":"default"}}`, len(got), len(data))
			if err != nil || string(header) != want {
				t.Fatalf("header %s, %v\nwant   %s", header, err, want)
			}
			got = append(got, data...)
		}
		if string(got) != content {
			t.Error("another file arrived")
		}
		for what, bad := range map[string][]byte{
			"behind the end":  c.askFile("thing/file/download", block(n.Stream, 512, 16000)),
			"another stream":  c.askFile("thing/file/download", block(n.Stream+1, 512, 0)),
			"another device":  other.askFile("thing/file/download", block(n.Stream, 512, 0)),
			"negative offset": c.askFile("thing/file/download", block(n.Stream, 512, -1)),
			"too large":       c.askFile("thing/file/download", block(n.Stream, 128<<10+1, 0)),
			"no JSON":         c.askFile("thing/file/download", []byte(`{`)),
		} {
			if bytes.Contains(bad, []byte(`"code":200`)) || bytes.Contains(bad, []byte("0123456789abcdef")) {
				t.Errorf("%s: %q", what, bad)
			}
		}
	})
}

func TestFileUpload(t *testing.T) {
	kept := &files{kept: map[string]string{}}
	cfg := withOTA(t)
	cfg.Files = kept
	bubble(t, cfg, func(t *testing.T, p *platform) {
		c := p.connect(p.register("lamp-1"))
		content := strings.Repeat("x", 1000)
		sum := fmt.Sprintf("%016X", crc64.Checksum([]byte(content), crc64.MakeTable(crc64.ECMA)))
		begin := func(name string, size int, sum string) (string, int) {
			t.Helper()
			raw := c.askFile("thing/file/upload/mqtt/init", fmt.Appendf(nil, `{"id":"7","params":{"fileName":%q,"fileSize":%d,"conflictStrategy":"overwrite","ficMode":"crc64","ficValue":%q}}`, name, size, sum))
			var r struct {
				Code int
				Data struct{ UploadID string }
			}
			if err := json.Unmarshal(raw, &r); err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			return r.Data.UploadID, r.Code
		}
		send := func(id string, at int, data string, last bool) string {
			t.Helper()
			header := fmt.Appendf(nil, `{"id":"8","params":{"uploadId":%q,"offset":%d,"bSize":%d,"isComplete":%v}}`, id, at, len(data), last)
			return string(c.askFile("thing/file/upload/mqtt/send", ota.AppendFrame(nil, header, []byte(data))))
		}
		id, code := begin("log.txt", 1000, sum)
		if code != 200 || id == "" {
			t.Fatalf("init: %d", code)
		}
		for _, step := range []struct {
			at   int
			data string
			last bool
			want string
		}{
			{0, content[:600], false, `"bSize":600`},
			{0, content[:600], false, `"bSize":600`}, // its answer was lost
			{700, content[700:], true, "offset must be 600"},
			{600, content[600:610], false, "256 bytes"},
			{600, content[600:], true, `"complete":true,"ficMode":"crc64","ficValueClient":"` + sum + `","ficValueServer":"` + sum + `"`},
			{600, content[600:], true, "no such upload"},
		} {
			if got := send(id, step.at, step.data, step.last); !strings.Contains(got, step.want) {
				t.Errorf("block at %d: %s, want %s", step.at, got, step.want)
			}
		}
		if kept.kept[c.id.String()+" log.txt"] != content {
			t.Errorf("kept %v", kept.kept)
		}
		id, _ = begin("bad.txt", 1000, strings.Repeat("0", 16))
		if got := send(id, 0, content, true); !strings.Contains(got, "checksum") {
			t.Errorf("wrong checksum: %s", got)
		}
		id, _ = begin("gone.txt", 1000, sum)
		if got := string(c.askFile("thing/file/upload/mqtt/cancel", fmt.Appendf(nil, `{"id":"9","params":{"uploadId":%q}}`, id))); !strings.Contains(got, `"code":200`) {
			t.Errorf("cancel: %s", got)
		}
		for _, name := range []string{"../x", "", ".x", "a/b", strings.Repeat("a", 101)} {
			if _, code := begin(name, 10, ""); code == 200 {
				t.Errorf("name %q is taken", name)
			}
		}
		if _, code := begin("big", 16<<20+1, ""); code == 200 {
			t.Error("a file over 16 MB is taken")
		}
		if len(kept.kept) != 1 {
			t.Errorf("kept %v", kept.kept)
		}
	})
}

func TestFileFolder(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f := hub.NewFileFolder(root)
	id := iot.DeviceID{Product: "a1TestPk0001", Name: "lamp-1"}
	for i, end := range []func(hub.File) error{hub.File.Close, hub.File.Discard} {
		made, err := f.Create(t.Context(), id, "log.txt")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprint(made, "content ", i); err != nil {
			t.Fatal(err)
		}
		if err := end(made); err != nil {
			t.Fatal(err)
		}
	}
	list, _ := os.ReadDir(dir + "/a1TestPk0001/lamp-1")
	if got, err := root.ReadFile("a1TestPk0001/lamp-1/log.txt"); string(got) != "content 0" || len(list) != 1 {
		t.Errorf("%q, %v, %d files", got, err, len(list))
	}
	for _, bad := range []struct {
		id   iot.DeviceID
		name string
	}{{id, "../x"}, {id, ".x"}, {iot.DeviceID{Product: "..", Name: ".."}, "x"}} {
		if _, err := f.Create(t.Context(), bad.id, bad.name); err == nil {
			t.Errorf("%v %q is taken", bad.id, bad.name)
		}
	}
}
