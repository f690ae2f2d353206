// SPDX-License-Identifier: Apache-2.0

package http2_test

import (
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hal/http2"
)

// folder is a Folder that can be cut off from power.
type folder struct {
	*testing.T
	*http2.Folder
	dir string // of the lab device
}

func openFolder(t *testing.T) *folder {
	t.Helper()
	path := t.TempDir()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return &folder{t, http2.NewFolder(root), filepath.Join(path, lab.Product, lab.Name)}
}

func (f *folder) create(name string, overwrite bool) string {
	f.Helper()
	id, err := f.Create(f.Context(), lab, name, overwrite)
	if err != nil {
		f.Fatal(err)
	}
	return id
}

func (f *folder) append(id, text string, want int64) {
	f.Helper()
	var r io.Reader
	if text != "" {
		r = strings.NewReader(text)
	}
	if n, err := f.Append(f.Context(), lab, id, r); err != nil || n != want {
		f.Errorf("%d bytes, %v, want %d", n, err, want)
	}
}

func (f *folder) finish(id, want string) {
	f.Helper()
	s, err := f.Finish(f.Context(), lab, id)
	if sum := crc64.Checksum([]byte(want), crc64.MakeTable(crc64.ECMA)); err != nil || s.Size != int64(len(want)) || s.CRC != sum || s.ID == "" {
		f.Errorf("stored %+v, %v, want %d bytes, %d", s, err, len(want), sum)
	}
	name := s.ID[strings.LastIndexByte(s.ID, '/')+1:]
	if got, err := os.ReadFile(filepath.Join(f.dir, name)); err != nil || string(got) != want {
		f.Errorf("%s holds %q, %v, want %q", name, got, err, want)
	}
}

// names returns what is in the device's folder.
func (f *folder) names(prefix string) (list []string) {
	f.Helper()
	all, err := os.ReadDir(f.dir)
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Name(), prefix) {
			list = append(list, e.Name())
		}
	}
	return list
}

// What was answered stays, whatever a power cut left behind it.
func TestFolderPowerCut(t *testing.T) {
	f := openFolder(t)
	id := f.create("a", false)
	f.append(id, "", 0)
	f.append(id, "hello ", 6)
	part := filepath.Join(f.dir, "."+id+"-part")
	grow := func(text string) { // bytes that never became durable
		file, err := os.OpenFile(part, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteString(text)
		}
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	grow("\x00\x00\x00\x00\x00\x00\x00\x00")
	f.append(id, "", 6)
	f.append(id, "world", 11)
	grow("x")
	if err := os.WriteFile(filepath.Join(f.dir, "."+id+"-new"), []byte(`{"na`), 0o600); err != nil { // a note half written
		t.Fatal(err)
	}

	f.append(id, "", 11)
	f.append(id, "!", 12)
	f.finish(id, "hello world!")

	// The rename came through, the note of it did not.
	id = f.create("b", false)
	f.append(id, "bytes", 5)
	note := filepath.Join(f.dir, "."+id+"-upload")
	before, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	f.finish(id, "bytes")
	if err := os.WriteFile(note, before, 0o600); err != nil {
		t.Fatal(err)
	}
	f.append(id, "", 5)
	f.finish(id, "bytes")
	f.append(id, " more", 10)
	if got, err := os.ReadFile(filepath.Join(f.dir, "b")); err != nil || string(got) != "bytes" {
		t.Errorf("a file that goes on shows %q, %v", got, err)
	}
	f.finish(id, "bytes more")

	// A part that is shorter than was answered is no part: some disks lie.
	id = f.create("c", false)
	f.append(id, "bytes", 5)
	if err := os.Truncate(filepath.Join(f.dir, "."+id+"-part"), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Append(t.Context(), lab, id, nil); !errors.Is(err, http2.ErrNoUpload) {
		t.Errorf("a short part: %v", err)
	}
}

func TestFolderConflicts(t *testing.T) {
	f := openFolder(t)
	ctx := t.Context()
	if _, err := f.Append(ctx, lab, "UL1", nil); !errors.Is(err, http2.ErrNoUpload) {
		t.Errorf("before any: %v", err)
	}
	first := f.create("a", false)
	other := f.create("b", false)
	f.append(first, "one", 3)
	f.finish(first, "one")
	if _, err := f.Create(ctx, lab, "a", false); !errors.Is(err, http2.ErrExists) {
		t.Errorf("there is one: %v", err)
	}
	second := f.create("a", true)
	if _, err := f.Append(ctx, lab, first, strings.NewReader("x")); !errors.Is(err, http2.ErrNoUpload) {
		t.Errorf("one that was given up: %v", err)
	}
	f.append(second, "two", 3)
	f.finish(second, "two")
	f.append(second, "", 3)
	for _, id := range []string{"", "..", "../" + second, strings.Repeat("a", 40)} {
		if _, err := f.Finish(ctx, lab, id); !errors.Is(err, http2.ErrNoUpload) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if _, err := f.Append(ctx, iot.DeviceID{Product: lab.Product, Name: "other"}, second, nil); !errors.Is(err, http2.ErrNoUpload) {
		t.Errorf("another device's: %v", err)
	}
	for _, name := range []string{"..", "."} {
		if _, err := f.Create(ctx, iot.DeviceID{Product: lab.Product, Name: name}, "a", true); err == nil {
			t.Errorf("a device %q has a folder", name)
		}
	}
	broken := errors.New("broken")
	if n, err := f.Append(ctx, lab, other, io.MultiReader(strings.NewReader("kept"), iotest.ErrReader(broken))); n != 4 || !errors.Is(err, broken) {
		t.Errorf("cut off: %d, %v", n, err)
	}
	f.append(other, "", 4)
	if err := os.WriteFile(filepath.Join(f.dir, "b"), []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Finish(ctx, lab, other); !errors.Is(err, http2.ErrExists) {
		t.Errorf("somebody was first: %v", err)
	}
}

// What is never finished is bounded, and goes when its name comes again.
func TestFolderForgets(t *testing.T) {
	f := openFolder(t)
	for i := range 100 {
		f.append(f.create(fmt.Sprintf("f%d", i), false), "x", 1)
	}
	if n := len(f.names(".")); n != 32 {
		t.Errorf("%d files of unfinished uploads, want 32 of 16", n)
	}
	for range 10 {
		f.append(f.create("same", false), "x", 1)
	}
	if n := len(f.names(".")); n != 32 {
		t.Errorf("%d files of unfinished uploads, want 32 of 16", n)
	}
}

func TestFolderConcurrent(t *testing.T) {
	f := openFolder(t)
	var uploading sync.WaitGroup
	for n := range 8 {
		uploading.Go(func() {
			id := f.create(fmt.Sprintf("f%d", n), false)
			want := ""
			for i := range 10 {
				want += fmt.Sprint(n, i)
				f.append(id, fmt.Sprint(n, i), int64(len(want)))
			}
			f.finish(id, want)
		})
	}
	uploading.Wait()
}

func TestFilesOfADeviceAreBounded(t *testing.T) {
	f := openFolder(t)
	f.MaxFiles = 2
	first, second, third := f.create("a", false), f.create("b", false), f.create("c", false)
	f.append(first, "x", 1)
	f.finish(first, "x")
	f.finish(second, "")
	for name, overwrite := range map[string]bool{"c": false, "d": true} {
		if id, err := f.Create(t.Context(), lab, name, overwrite); !errors.Is(err, http2.ErrTooManyFiles) {
			t.Errorf("%s is begun: %q, %v", name, id, err)
		}
	}
	if s, err := f.Finish(t.Context(), lab, third); !errors.Is(err, http2.ErrTooManyFiles) {
		t.Errorf("begun in time, too late at its end: %+v, %v", s, err)
	}
	f.append(first, "y", 2) // what has its name may go on
	f.finish(first, "xy")
	replaced := f.create("a", true)
	f.append(replaced, "z", 1)
	f.finish(replaced, "z")
	other := iot.DeviceID{Product: lab.Product, Name: "other"}
	if _, err := f.Create(t.Context(), other, "a", false); err != nil {
		t.Errorf("another device: %v", err)
	}
	if err := os.Remove(filepath.Join(f.dir, "b")); err != nil {
		t.Fatal(err)
	}
	f.finish(third, "")
}
