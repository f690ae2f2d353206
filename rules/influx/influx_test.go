// SPDX-License-Identifier: Apache-2.0

package influx_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/influx"
	"github.com/openalink/iot/rules/sinktest"
)

// database remembers the lines it is given.
type database struct {
	mu     sync.Mutex
	lines  []string
	header http.Header
	status int
}

func (b *database) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.header = r.Header
	if b.status != 0 {
		w.WriteHeader(b.status)
		return
	}
	b.lines = append(b.lines, strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")...)
	w.WriteHeader(http.StatusNoContent)
}

func open(t *testing.T, b *database, o influx.Options) *influx.Sink {
	t.Helper()
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	o.URL, o.Measurement = server.URL, "rows"
	s, err := influx.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSink(t *testing.T) {
	n := regexp.MustCompile(`[ ,]n=(\d+)`)
	sinktest.TestSink(t, func(t *testing.T) sinktest.Target {
		b := &database{}
		return sinktest.Target{Sink: open(t, b, influx.Options{}), Arrived: func(t *testing.T) (list []int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, line := range b.lines {
				m := n.FindStringSubmatch(line)
				if m == nil {
					t.Fatalf("line %q", line)
				}
				i, _ := strconv.Atoi(m[1])
				list = append(list, i)
			}
			return list
		}}
	})
}

func TestLines(t *testing.T) {
	b := &database{}
	s := open(t, b, influx.Options{Tags: []string{"room", "gone"}, Token: auth.NewSecret("tok")})
	d := sinktest.Row("lamp 1", 0)
	d.Payload = []byte(`{"room":"hall, 3=x","gone":null,"t":20,"on":true,"s":"a \"b\" \\","o":{"x":1},"z":null,"a b":1.5e-7}`)
	if err := s.Send(t.Context(), []*rules.Delivery{d}); err != nil {
		t.Fatal(err)
	}
	want := `rows,device=lamp\ 1,product=a1Lamps0001,room=hall\,\ 3\=x t=20,on=true,s="a \"b\" \\",a\ b=1.5e-07 1772368205250000000`
	if b.lines[0] != want {
		t.Errorf("\n got %s\nwant %s", b.lines[0], want)
	}
	if b.header.Get("Authorization") != "Token tok" {
		t.Errorf("%v", b.header)
	}
	for _, bad := range []string{`[1]`, `{}`, `{"x":null}`, `no`} {
		d.Payload = []byte(bad)
		if err := s.Send(t.Context(), []*rules.Delivery{d}); !rules.IsPermanent(err) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	d.Payload = []byte(`{"t":1}`)
	for status, permanent := range map[int]bool{400: true, 401: false, 413: true, 500: false, 503: false} {
		b.status = status
		if err := s.Send(t.Context(), []*rules.Delivery{d}); err == nil || rules.IsPermanent(err) != permanent {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func Example() {
	s, err := influx.New(influx.Options{URL: "http://127.0.0.1:8086/write?db=iot", Measurement: "climate", Tags: []string{"room"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	rule := rules.Rule{
		ID: "climate", SQL: `SELECT t, humidity, attribute('room') AS room FROM "/a1Lamps0001/+/user/update"`,
		Mode: rules.AtLeastOnce, Actions: []rules.Action{{Sink: s, Batch: 500}},
	}
	fmt.Println(rule.Mode)
	// Output: at-least-once
}
