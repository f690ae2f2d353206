// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/hub"
)

// samples renders a history.
func (p *platform) samples(q hub.HistoryQuery) string {
	p.t.Helper()
	var list []string
	for s, err := range p.hub.History(p.t.Context(), q) {
		if err != nil {
			return err.Error()
		}
		list = append(list, fmt.Sprintf("%s=%s%s@%d", s.Identifier, s.Value, s.Output, s.Time.UnixMilli()))
	}
	return strings.Join(list, " ")
}

func TestHistory(t *testing.T) {
	for _, modelled := range []bool{true, false} {
		t.Run(fmt.Sprint("model ", modelled), func(t *testing.T) {
			bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
				if modelled {
					p.model(hub.Strict)
				}
				history(t, p)
			})
		})
	}
}

func history(t *testing.T, p *platform) {
	t.Helper()
	d := p.register("lamp-1")
	c := p.connect(d)
	now := time.Now().UnixMilli()
	c.post("thing/event/property/post", `{"id":"1","params":{"Power":1,"Level":{"value":5,"time":2000}}}`)
	c.post("thing/event/Alarm/post", `{"id":"2","params":{"value":{"Code":3},"time":3000}}`)
	c.post("thing/event/property/batch/post", `{"id":"3","params":{"properties":{"Level":[{"value":6,"time":4000},{"value":7,"time":5000}]},"events":{"Alarm":[{"value":{"Code":4},"time":6000}]}}}`)
	c.post("thing/event/property/history/post", `{"id":"4","params":[{"properties":[{"Level":{"value":4,"time":1000}}],"events":[]}]}`)
	id := hub.HistoryQuery{Device: d.ID}
	for _, tt := range []struct {
		name string
		q    func(*hub.HistoryQuery)
		want string
	}{
		{"all", func(*hub.HistoryQuery) {}, fmt.Sprintf("Power=1@%d Level=5@2000 Level=6@4000 Level=7@5000 Level=4@1000", now)},
		{"one", func(q *hub.HistoryQuery) { q.Identifiers = []string{"Power"} }, fmt.Sprintf("Power=1@%d", now)},
		{"range", func(q *hub.HistoryQuery) { q.Since, q.Until = time.UnixMilli(2000), time.UnixMilli(5000) }, "Level=5@2000 Level=6@4000"},
		{"events", func(q *hub.HistoryQuery) { q.Kind = hub.EventHistory }, `Alarm={"Code":3}@3000 Alarm={"Code":4}@6000`},
		{"nonsense", func(q *hub.HistoryQuery) { q.Kind = "gossip" }, `hub: invalid argument: history of "gossip": property, event and service are known`},
		{"bad cursor", func(q *hub.HistoryQuery) { q.After = "7" }, `hub: invalid argument: cursor "7"`},
		{"unknown", func(q *hub.HistoryQuery) { q.Device.Name = "nobody" }, `hub: unknown device "a1TestPk0001/nobody"`},
	} {
		q := id
		tt.q(&q)
		if got := p.samples(q); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	// Page by page, one sample each.
	var paged []string
	for q := id; ; {
		more := false
		for s, err := range p.hub.History(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			paged = append(paged, string(s.Value))
			q.After, more = s.Cursor, true
			break
		}
		if !more {
			break
		}
	}
	if !slices.Equal(paged, []string{"1", "5", "6", "7", "4"}) {
		t.Errorf("pages %v", paged)
	}
	list, err := p.hub.Downsample(t.Context(), hub.HistoryQuery{Device: d.ID, Identifiers: []string{"Level"}}, 4*time.Second)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if a, b := list[0], list[1]; a.Start.UnixMilli() != 0 || a.Count != 2 || string(a.Last) != "5" || *a.Min != 4 || *a.Max != 5 || *a.Avg != 4.5 ||
		b.Start.UnixMilli() != 4000 || string(b.Last) != "7" || *b.Avg != 6.5 {
		t.Errorf("%+v", list)
	}
	if _, err := p.hub.Downsample(t.Context(), id, time.Millisecond); !errors.Is(err, hub.ErrInvalid) {
		t.Errorf("intervals of 1 ms: %v", err)
	}
}

func TestServiceHistory(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		c := p.connect(d)
		for _, async := range []bool{false, true} {
			answered := make(chan error, 1)
			go func() {
				_, err := p.hub.InvokeService(t.Context(), d.ID, "Blink", map[string]int{"Times": 3}, hub.CallOptions{Async: async})
				answered <- err
			}()
			synctest.Wait()
			c.answerOne(t, `{"Blinked":3}`)
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.hub.InvokeService(t.Context(), d.ID, "Blink", map[string]int{"Times": 4}, hub.CallOptions{Queue: true}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.answerOne(t, `{"Blinked":4}`)
		synctest.Wait()
		now := time.Now().UnixMilli()
		want := strings.TrimSpace(fmt.Sprintf("%s %[1]s %s", fmt.Sprintf(`Blink={"Times":3}{"Blinked":3}@%d`, now), fmt.Sprintf(`Blink={"Times":4}{"Blinked":4}@%d`, now)))
		if got := p.samples(hub.HistoryQuery{Device: d.ID, Kind: hub.ServiceHistory}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// answerOne answers the one request the device was sent.
func (c *client) answerOne(t *testing.T, data string) {
	t.Helper()
	got := c.take()
	if len(got) != 1 {
		t.Fatalf("%d messages, want one", len(got))
	}
	var m struct{ ID string }
	if err := json.Unmarshal(got[0].Message.Payload, &m); err != nil {
		t.Fatal(err)
	}
	name := got[0].Message.Topic
	if strings.Contains(name, "/rrpc/request/") {
		name = strings.Replace(name, "/request/", "/response/", 1)
	} else {
		name += "_reply"
	}
	if _, err := c.publish(name, `{"id":"`+m.ID+`","code":200,"data":`+data+`}`, 1); err != nil {
		t.Fatal(err)
	}
}

// TestHistoryIsKept wants thirty days kept and more removed, with the messages it
// is read from.
func TestHistoryIsKept(t *testing.T) {
	bubble(t, hub.Config{}, func(t *testing.T, p *platform) {
		d := p.register("lamp-1")
		c := p.connect(d)
		c.post("thing/event/property/post", `{"id":"1","params":{"Power":1}}`)
		time.Sleep(20 * 24 * time.Hour)
		c.post("thing/event/property/post", `{"id":"1","params":{"Power":2}}`)
		for _, want := range []int{2, 1, 0} {
			if err := p.hub.Trim(t.Context()); err != nil {
				t.Fatal(err)
			}
			n := 0
			for range p.hub.History(t.Context(), hub.HistoryQuery{Device: d.ID}) {
				n++
			}
			if n != want {
				t.Errorf("%d samples, want %d", n, want)
			}
			time.Sleep(15 * 24 * time.Hour)
			if want == 1 {
				time.Sleep(10 * 24 * time.Hour)
			}
		}
	})
}

// fixed is a history of one sample.
type fixed struct{}

func (fixed) History(_ context.Context, q hub.HistoryQuery) iter.Seq2[hub.Sample, error] {
	return func(yield func(hub.Sample, error) bool) {
		yield(hub.Sample{Identifier: q.Device.Name, Value: json.RawMessage("1"), Time: time.UnixMilli(5)}, nil)
	}
}

func TestHistoryElsewhere(t *testing.T) {
	bubble(t, hub.Config{History: fixed{}}, func(_ *testing.T, p *platform) {
		if got := p.samples(hub.HistoryQuery{Device: iot.DeviceID{Product: "x", Name: "y"}}); got != "y=1@5" {
			p.t.Errorf("got %q", got)
		}
	})
}
