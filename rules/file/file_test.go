// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/file"
	"github.com/openalink/iot/rules/sinktest"
	"github.com/tidwall/gjson"
)

func open(t *testing.T, dir string, o file.Options) *file.Sink {
	t.Helper()
	s, err := file.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// rows lists member n of the lines of all files, oldest first.
func rows(t *testing.T, dir string) (list []int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names { // "rows-2026..." sorts before "rows.jsonl"
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if !gjson.ValidBytes(lines.Bytes()) {
				t.Errorf("%s: %s", name, lines.Bytes())
			}
			list = append(list, int(gjson.GetBytes(lines.Bytes(), "row.n").Int()))
		}
	}
	return list
}

func TestSink(t *testing.T) {
	for name, o := range map[string]file.Options{"one file": {}, "many files": {MaxBytes: 300}, "no sync": {NoSync: true}} {
		t.Run(name, func(t *testing.T) {
			sinktest.TestSink(t, func(t *testing.T) sinktest.Target {
				dir := t.TempDir()
				return sinktest.Target{Sink: open(t, dir, o), Arrived: func(t *testing.T) []int { return rows(t, dir) }}
			})
		})
	}
}

func TestReopens(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, file.Options{})
	if err := s.Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 1)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 1)}); !errors.Is(err, file.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "rows.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	// A crash in the middle of a line longer than what is read at a time.
	if _, err := f.WriteString(`{"key":"` + strings.Repeat("x", 10000)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s = open(t, dir, file.Options{})
	if err := s.Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 2)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 2}, rows(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestMaxFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, file.Options{MaxBytes: 1, MaxFiles: 2})
	for n := range 6 {
		if err := s.Send(t.Context(), []*rules.Delivery{sinktest.Row("d", n)}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int{3, 4, 5}, rows(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "rows")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := file.Open(dir, file.Options{Name: "heat"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	d := sinktest.Row("lamp-1", 7)
	d.Payload = []byte(`{"t":40.5}`)
	if err := s.Send(context.Background(), []*rules.Delivery{d}); err != nil {
		fmt.Println(err)
		return
	}
	b, err := os.ReadFile(filepath.Join(dir, "heat.jsonl"))
	fmt.Print(string(b))
	fmt.Println(err)
	// Output:
	// {"key":"rule/0/7","time":1772368205257,"device":"a1Lamps0001/lamp-1","topic":"/a1Lamps0001/lamp-1/user/update","row":{"t":40.5}}
	// <nil>
}
