// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openalink/iot/ota"
)

// simulate rolls out to n devices with failures, and returns a digest of all that
// was decided, in order.
func simulate(tb testing.TB, n int) (*ota.Campaign, string) {
	c, err := ota.New(ota.Plan{
		Version: "2.0", Stages: []ota.Stage{{Percent: 1}, {Percent: 10}, {Percent: 100}},
		Rate:       ota.Rate{PerMinute: 60_000, Factor: 2, Every: 10_000, Max: 6_000_000},
		Concurrent: 200_000, Retries: 2, RetryAfter: 30 * time.Second, Timeout: 5 * time.Minute,
		Thresholds: []ota.Threshold{{Outcome: ota.Failures, Percent: 60, Min: 100, Abort: true}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	now := epoch
	for i := range n {
		c.Add(now, fmt.Sprintf("device-%08d", i), "1.0")
	}
	if err := c.Start(now); err != nil {
		tb.Fatal(err)
	}
	digest := sha256.New()
	seed := uint64(1)
	random := func() uint64 { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return seed }
	var told []string
	for range 100_000 {
		told = told[:0]
		c.Tick(now, func(d string) { told = append(told, d) }, func(d string) { digest.Write([]byte(d)) })
		for _, d := range told {
			digest.Write([]byte(d))
			c.Progress(now, d, 50, "")
			switch r := random() % 100; {
			case r < 2: // silent: times out
			case r < 7:
				c.Progress(now, d, ota.DownloadFailed, "cut")
			default:
				c.Progress(now, d, 100, "")
				c.Report(now, d, "2.0")
			}
		}
		if s, _ := c.Status(); s == ota.Completed {
			break
		}
		now = now.Add(time.Second)
	}
	fmt.Fprint(digest, c.Stats(), now)
	return c, hex.EncodeToString(digest.Sum(nil))
}

// Issue: 1,000,000 devices in under 30 s, at most 200 bytes of state each, and
// the same result twice.
func TestMillionDevices(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raced {
		n = 20_000
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	c, first := simulate(t, n)
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (int(after.HeapAlloc) - int(before.HeapAlloc)) / n // few of them, and it may be less
	s, _ := c.Status()
	t.Logf("%d devices in %v, %d bytes each, %+v", n, took, per, c.Stats())
	if took > 30*time.Second || per > 200 || s != ota.Completed {
		t.Errorf("took %v, %d bytes a device, %s", took, per, s)
	}
	runtime.KeepAlive(c)
	c = nil
	if _, second := simulate(t, n); first != second {
		t.Error("the same schedule gave another result")
	}
}

// A campaign that was kept and restored at any point goes on as it would have.
func TestCampaignRestore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := ota.Plan{
			Version: "2.0", Retries: rapid.IntRange(0, 2).Draw(rt, "retries"), Timeout: time.Minute, RetryAfter: 10 * time.Second,
			Concurrent: rapid.IntRange(0, 5).Draw(rt, "concurrent"), Stages: []ota.Stage{{Percent: 30}, {Percent: 100}},
		}
		c, err := ota.New(p)
		if err != nil {
			rt.Fatal(err)
		}
		now := epoch
		for i := range 12 {
			c.Add(now, name(i), "1.0")
		}
		_ = c.Start(now)
		var open []string
		act := func(c *ota.Campaign, op int, d string) {
			switch op {
			case 0:
				c.Tick(now, func(s string) { open = append(open, s) }, func(string) {})
			case 1:
				c.Progress(now, d, 40, "")
			case 2:
				c.Progress(now, d, ota.VerifyFailed, "bad")
			case 3:
				c.Report(now, d, "2.0")
			case 4:
				c.Away(now, d)
			case 5:
				c.Back(d)
			case 6:
				c.Cancel(now, d, "by hand")
			}
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "seconds")) * time.Second)
			act(c, rapid.IntRange(0, 6).Draw(rt, "op"), name(rapid.IntRange(0, 11).Draw(rt, "device")))
			invariants(rt, c)
		}
		again := restore(rt, c, now)
		invariants(rt, again)
		if a, b := c.Stats(), again.Stats(); a != b {
			rt.Fatalf("restored %+v, was %+v", b, a)
		}
		for i := range 12 {
			a, _ := c.Job(name(i))
			b, _ := again.Job(name(i))
			if a != b {
				rt.Fatalf("restored %+v, was %+v", b, a)
			}
			if x, y := c.Explain(now, name(i)), again.Explain(now, name(i)); x != y {
				rt.Fatalf("explains %q, was %q", y, x)
			}
		}
		for range 1000 { // and ends
			now = now.Add(time.Second)
			open = open[:0]
			again.Tick(now, func(s string) { open = append(open, s) }, func(string) {})
			for _, d := range open {
				again.Report(now, d, "2.0")
			}
			for i := range 12 {
				again.Back(name(i))
			}
		}
		if s, _ := again.Status(); s != ota.Completed {
			rt.Fatalf("ends as %s %+v", s, again.Stats())
		}
	})
}

func restore(t interface{ Fatal(...any) }, c *ota.Campaign, now time.Time) *ota.Campaign {
	text, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ota.Restore(text)
	if err != nil {
		t.Fatal(err)
	}
	for j := range c.Jobs {
		kept, err := ota.ParseJob(j.Device, c.AppendJob(nil, j.Device))
		if err != nil {
			t.Fatal(err)
		}
		if err := again.RestoreJob(kept); err != nil {
			t.Fatal(err)
		}
	}
	again.Settle(now)
	return again
}

func invariants(t interface{ Fatalf(string, ...any) }, c *ota.Campaign) {
	s := c.Stats()
	if n := s.Pending + s.Notified + s.Downloading + s.Installing + s.Succeeded + s.Failed + s.TimedOut + s.Cancelled; n != s.Total {
		t.Fatalf("states add up to %d: %+v", n, s)
	}
	count := map[ota.State]int{}
	for j := range c.Jobs {
		count[j.State]++
	}
	if count[ota.Pending] != s.Pending || count[ota.Succeeded] != s.Succeeded || count[ota.Failed] != s.Failed {
		t.Fatalf("counted %v, stats %+v", count, s)
	}
}

func TestRecordDamaged(t *testing.T) {
	r := newRollout(t, ota.Plan{}, 1)
	whole := r.c.AppendJob(nil, "d0")
	for n := range len(whole) {
		if j, err := ota.ParseJob("d0", whole[:n]); err == nil {
			t.Errorf("%d of %d bytes: %+v", n, len(whole), j)
		}
	}
	for _, text := range []string{"", "{}", "[]", `{"plan":{"version":"1"},"stage":7}`} {
		if _, err := ota.Restore([]byte(text)); err == nil {
			t.Errorf("restored from %q", text)
		}
	}
}

func FuzzParseJob(f *testing.F) {
	c, _ := ota.New(ota.Plan{Version: "2"})
	c.Add(epoch, "d", "1.0")
	f.Add(c.AppendJob(nil, "d"))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := ota.ParseJob("d", b)
		if err != nil {
			return
		}
		c, _ := ota.New(ota.Plan{Version: "2"})
		if err := c.RestoreJob(j); err != nil {
			t.Fatal(err)
		}
		again, err := ota.ParseJob("d", c.AppendJob(nil, "d"))
		if err != nil {
			t.Fatal(err)
		}
		if j.From = again.From; j != again {
			t.Errorf("%+v became %+v", j, again)
		}
	})
}

func BenchmarkReport(b *testing.B) {
	c, _ := ota.New(ota.Plan{Version: "2.0"})
	for i := range 100_000 {
		c.Add(epoch, name(i), "1.0")
	}
	names := make([]string, 100_000)
	for i := range names {
		names[i] = name(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Report(epoch, names[i%len(names)], "1.0")
	}
}
