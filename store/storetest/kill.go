// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openalink/iot/store"
)

const (
	// crashDir names the environment variable that makes a process the child.
	crashDir     = "STORETEST_CRASH_DIR"
	crashWriters = 4
	crashKills   = 12
	// crashKept is how far behind the slowest writer the child trims.
	crashKept = 50
)

// testKill kills a child in the midst of its commits, several times over the
// same files. Whatever the child said was committed must be there, whole and in
// order.
func testKill(t *testing.T, openAt func(t *testing.T, dir string) store.Engine) {
	dir := t.TempDir()
	kills := crashKills
	if testing.Short() {
		kills = 3
	}
	for range kills {
		acknowledged := runAndKill(t, dir, rand.IntN(3000))
		e := openAt(t, dir)
		counts, fewest := make([]int, crashWriters), math.MaxInt
		for w, want := range acknowledged {
			counts[w] = checkWriter(t, e, w, want)
			fewest = min(fewest, counts[w])
		}
		for w, n := range counts {
			checkYoung(t, e, w, n, fewest-crashKept)
		}
		closeEngine(t, e)
	}
}

// runAndKill starts a child over dir, kills it after n acknowledgements and
// returns the last one of each writer.
func runAndKill(t *testing.T, dir string, n int) (last [crashWriters]int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run="+anchored(rootName(t)), "-test.count=1")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	stdin, err := cmd.StdinPipe() // the child ends with it, should we die
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	count := 0
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // with the last, torn line
		}
		var w, i int
		if _, err := fmt.Sscanf(line, "ack %d %d\n", &w, &i); err != nil || w >= crashWriters {
			t.Errorf("the child says %q", line)
			continue
		}
		if i <= last[w] {
			t.Errorf("writer %d: batch %d acknowledged after %d", w, i, last[w])
		}
		last[w] = i
		if count++; count == n+1 {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); count <= n {
		t.Fatalf("the child ended after %d acknowledgements: %v", count, err)
	}
	return last
}

// rootName is the name of the test that called TestDurable.
func rootName(t *testing.T) string { return strings.TrimSuffix(t.Name(), "/Kill") }

func anchored(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// checkWriter demands batches 1 to m of writer w without a gap, m at least want,
// and everything of batch m. It returns m.
func checkWriter(t *testing.T, e store.Engine, w, want int) int {
	t.Helper()
	name := writerName(w)
	all := readKey(t, e, "all", name, 0, milli(0), milli(1<<40))
	for i, r := range all {
		if r.Value != strconv.Itoa(i+1) {
			t.Fatalf("record %d of %s is %q", i+1, name, r.Value)
		}
	}
	if len(all) < want {
		t.Fatalf("%s has %d records, %d were acknowledged", name, len(all), want)
	}
	if len(all) == 0 {
		return 0
	}
	if got := get(t, e, name); string(got.Value) != strconv.Itoa(len(all)) {
		t.Errorf("%s is %q after %d records", name, got.Value, len(all))
	}
	return len(all)
}

// checkYoung demands of the trimmed stream all records of writer w from kept to the
// n-th, in order. Older ones may be there or not: a segment outlives Trim when a
// quicker writer has a younger record in it.
func checkYoung(t *testing.T, e store.Engine, w, n, kept int) {
	t.Helper()
	name := writerName(w)
	last := 0
	for _, r := range readKey(t, e, "young", name, 0, milli(0), milli(1<<40)) {
		i, err := strconv.Atoi(r.Value)
		if err != nil || i <= last || last > 0 && i > last+1 && last+1 >= kept {
			t.Fatalf("young record %q of %s follows %d; trimmed was what is below %d", r.Value, name, last, kept)
		}
		if last == 0 && i > max(kept, 1) {
			t.Fatalf("the young records of %s begin with %d; trimmed was what is below %d", name, i, kept)
		}
		last = i
	}
	if last != n {
		t.Errorf("the young records of %s end with %d of %d", name, last, n)
	}
}

func writerName(w int) string { return "writer" + strconv.Itoa(w) }

// crashChild commits and says so until it is killed or its stdin ends.
func crashChild(t *testing.T, e store.Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var low [crashWriters]atomic.Int64 // committed by each writer
	var all sync.WaitGroup
	for w := range crashWriters {
		all.Go(func() { crashWriter(ctx, t, e, w, &low[w]) })
	}
	for ctx.Err() == nil {
		oldest := low[0].Load()
		for w := range low {
			oldest = min(oldest, low[w].Load())
		}
		if err := e.Trim(ctx, "young", milli(oldest-crashKept)); err != nil {
			t.Error(err)
			break
		}
	}
	all.Wait()
}

// crashWriter commits batch after batch, 8 at a time on their way, from where
// the one before it was killed.
func crashWriter(ctx context.Context, t *testing.T, e store.Engine, w int, committed *atomic.Int64) {
	name := writerName(w)
	first := 1
	switch entry, err := e.Get(ctx, []byte(name)); {
	case err == nil:
		n, err := strconv.Atoi(string(entry.Value))
		if err != nil {
			t.Error(err)
		}
		first = n + 1
	case !errors.Is(err, store.ErrNotFound):
		t.Error(err)
		return
	}
	free := make(chan *store.Batch, 8)
	for range cap(free) {
		free <- new(store.Batch)
	}
	for i := first; ; i++ {
		b := <-free
		b.Reset()
		value := strconv.AppendInt(nil, int64(i), 10)
		b.Put([]byte(name), value)
		b.Append("all", name, milli(int64(i)), value)
		b.Append("young", name, milli(int64(i)), value)
		err := e.Submit(ctx, b, func(err error) {
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(os.Stdout, "ack %d %d\n", w, i)
			committed.Store(int64(i))
			free <- b
		})
		if err != nil {
			t.Error(err)
			return
		}
	}
}
