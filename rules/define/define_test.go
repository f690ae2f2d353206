// SPDX-License-Identifier: Apache-2.0

package define_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/internal/memlog"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/define"
	"github.com/openalink/iot/rules/sql"
	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
)

type publisher struct{ n atomic.Int32 }

func (p *publisher) PublishTo(context.Context, iot.DeviceID, string, []byte, iot.QoS) error {
	p.n.Add(1)
	return nil
}

func parse(t *testing.T, text string) (d define.Definition) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func open(t *testing.T, l *memlog.Log, st store.Engine, s define.Surroundings) *define.Set {
	t.Helper()
	runner, err := rules.Open(t.Context(), rules.Config{Source: l, Store: st})
	if err != nil {
		t.Fatal(err)
	}
	set, err := define.Open(t.Context(), runner, st, define.Kinds(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, set) })
	return set
}

func shut(t *testing.T, set *define.Set) {
	if err := errors.Join(set.Runner().Close(), set.Close()); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); {
		if time.Now().After(end) {
			t.Fatal(what)
		}
		time.Sleep(time.Millisecond)
	}
}

// Each kind delivers, and definitions live on.
func TestKinds(t *testing.T) {
	var posts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posts.Add(1) }))
	defer server.Close()
	l, st, dir, p := &memlog.Log{}, mem.New(), t.TempDir(), &publisher{}
	t.Cleanup(func() { st.Close() })
	around := define.Surroundings{Publisher: p, Folder: dir}
	set := open(t, l, st, around)
	d := parse(t, fmt.Sprintf(`{"id":"r","sql":"SELECT n FROM \"t\"","mode":"at-least-once","version":2,"actions":[
		{"type":"webhook","url":%[1]q,"headers":{"A":"b"},"token":"x","name":"hook","timeout":"5s","retry":{"attempts":3,"min":"10ms","max":"1s"}},
		{"type":"influx","url":%[1]q,"measurement":"m","tags":["x"],"token":"t","batch":10,"lanes":2},
		{"type":"republish","topic":"/a1Product01/other/user/get","qos":1},
		{"type":"file","folder":"r","maxBytes":1000,"maxFiles":2}],"onError":{"type":"file","folder":"errors"}}`, server.URL))
	if err := set.Put(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	l.Say("d", "t", `{"n":1}`)
	arrived := func(n int32) func() bool {
		return func() bool {
			b, err := os.ReadFile(filepath.Join(dir, "r", "rows.jsonl"))
			stats, _ := set.Runner().Stats("r")
			return stats.Pending == 0 && err == nil && strings.Count(string(b), "\n") == int(n) && posts.Load() == 2*n && p.n.Load() == n
		}
	}
	eventually(t, "the first message did not arrive everywhere", arrived(1))
	shut(t, set)
	l.Say("d", "t", `{"n":2}`)
	set = open(t, l, st, around)
	eventually(t, "the second message did not arrive everywhere", arrived(2))
	if e := set.Entries(); len(e) != 1 || e[0].ID != "r" || e[0].Version != 2 || e[0].Error != "" {
		t.Errorf("%+v", e)
	}
	if err := set.Remove(t.Context(), "r"); err != nil {
		t.Error(err)
	}
	if err := set.Remove(t.Context(), "r"); !errors.Is(err, rules.ErrUnknownRule) {
		t.Error(err)
	}
}

func TestRefuses(t *testing.T) {
	l, st := &memlog.Log{}, mem.New()
	t.Cleanup(func() { st.Close() })
	set := open(t, l, st, define.Surroundings{Publisher: &publisher{}, Folder: t.TempDir()})
	for action, want := range map[string]string{
		`{"type":"nothing"}`:                                           "there are file, influx, republish, webhook",
		`{"type":"webhook"}`:                                           "url is missing",
		`{"type":"webhook","url":"u","x":1}`:                           `unknown field "x"`,
		`{"type":"webhook","url":"u","timeout":"soon"}`:                "timeout",
		`{"type":"webhook","url":"u","retry":{"min":"-1s"}}`:           "retry.min",
		`{"type":"influx","url":"u"}`:                                  "Measurement",
		`{"type":"republish","topic":"/a/${"}`:                         "needs a path",
		`{"type":"republish","topic":"/a1Product01/d/user/x","qos":2}`: "0 or 1",
		`{"type":"file","folder":"../up"}`:                             "below the folder",
		`7`:                                                            "cannot unmarshal",
	} {
		err := set.Put(t.Context(), parse(t, `{"id":"r","sql":"SELECT * FROM 't'","actions":[`+action+`]}`))
		if !errors.Is(err, define.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", action, err)
		}
	}
	if err := set.Put(t.Context(), parse(t, `{"id":"r","sql":"SELECT * FROM 't'","mode":"sure","actions":[{"type":"webhook","url":"u"}]}`)); !errors.Is(err, define.ErrInvalid) {
		t.Error(err)
	}
	if err := set.Put(t.Context(), parse(t, `{"id":"scene.r","sql":"SELECT * FROM 't'","actions":[{"type":"webhook","url":"u"}]}`)); !errors.Is(err, define.ErrInvalid) {
		t.Error(err)
	}
	err := set.Put(t.Context(), parse(t, `{"id":"r","sql":"SELECT","actions":[{"type":"webhook","url":"u"}]}`))
	if _, ok := errors.AsType[*sql.Error](err); !ok {
		t.Error(err)
	}
	if len(set.Entries()) != 0 {
		t.Errorf("%+v", set.Entries())
	}
}

func TestEntriesHideSecrets(t *testing.T) {
	l, st := &memlog.Log{}, mem.New()
	t.Cleanup(func() { st.Close() })
	set := open(t, l, st, define.Surroundings{Publisher: &publisher{}})
	err := set.Put(t.Context(), parse(t, `{"id":"r","sql":"SELECT * FROM 't'","actions":[
		{"type":"webhook","url":"https://user:hush1@example.com/x","headers":{"Authorization":"Bearer hush2","X-Api-Key":"hush3","Accept":"*/*"},"token":"hush4"},
		{"type":"influx","url":"http://h","measurement":"m","token":"hush5"}],"onError":{"type":"webhook","url":"http://h","token":"hush6"}}`))
	if err != nil {
		t.Fatal(err)
	}
	shown, err := json.Marshal(set.Entries())
	if err != nil || strings.Contains(string(shown), "hush") || !strings.Contains(string(shown), `"Accept":"*/*"`) || !strings.Contains(string(shown), "example.com") {
		t.Errorf("%s, %v", shown, err)
	}
}

// A definition whose sink cannot be made any more says so and is kept.
func TestBroken(t *testing.T) {
	l, st := &memlog.Log{}, mem.New()
	t.Cleanup(func() { st.Close() })
	set := open(t, l, st, define.Surroundings{Publisher: &publisher{}})
	if err := set.Put(t.Context(), parse(t, `{"id":"r","sql":"SELECT * FROM 't'","actions":[{"type":"republish","topic":"/a1Product01/d/user/x"}]}`)); err != nil {
		t.Fatal(err)
	}
	shut(t, set)
	set = open(t, l, st, define.Surroundings{})
	if e := set.Entries(); len(e) != 1 || !strings.Contains(e[0].Error, "republish") {
		t.Errorf("%+v", e)
	}
	if err := set.Remove(t.Context(), "r"); err != nil {
		t.Error(err)
	}
}

func Example() {
	ctx := context.Background()
	l, st := &memlog.Log{}, mem.New() // a hub's RuleSource and store
	defer st.Close()
	runner, err := rules.Open(ctx, rules.Config{Source: l, Store: st})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer runner.Close()
	set, err := define.Open(ctx, runner, st, define.Kinds(define.Surroundings{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = set.Put(ctx, define.Definition{ID: "heat", SQL: `SELECT * FROM "#" WHERE t >`, Actions: []json.RawMessage{
		json.RawMessage(`{"type":"webhook","url":"https://example.com/heat"}`),
	}})
	fmt.Println(err)
	// Output: rules: rule heat: sql: line 1, column 28: expected an expression, found the end
}
