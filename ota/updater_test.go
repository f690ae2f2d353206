// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/fileslot"
	"github.com/openalink/iot/iottest"
	"github.com/openalink/iot/ota"
)

// firmware makes an image: a line with the version, then bytes.
func firmware(version string, size int) []byte {
	b := append([]byte("version "+version+"\n"), make([]byte, size)...)
	r := mrand.New(mrand.NewPCG(uint64(size), 7))
	for i := len(version) + 9; i < len(b); i++ {
		b[i] = byte(r.Uint32())
	}
	return b
}

// digestOf uploads content to learn what a notice of it says.
func noticeOf(t testing.TB, version string, content []byte) ota.Notice {
	t.Helper()
	blobs, _ := folder(t)
	p, err := ota.Upload(t.Context(), blobs, ota.Package{Product: "a1", Version: version}, bytes.NewReader(content), ota.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ota.Notice{Version: version, Module: "default", Size: p.Size, MD5: p.MD5, SHA256: p.SHA256, URL: "http://x/y", SignMethod: "Md5", Sign: p.MD5}
}

// memory is a Source of bytes.
type memory []byte

func (m memory) Open(_ context.Context, _ *ota.Notice, from int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m[from:])), nil
}

// updater is one over a folder, with a source.
func updater(t testing.TB, source ota.Source, change func(*ota.UpdaterConfig)) (*ota.Updater, *bench) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	pair, err := fileslot.OpenFirmware(root)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{root: root, pair: pair}
	cfg := ota.UpdaterConfig{
		Product: "a1", Version: "1.0", State: fileslot.NewSlot(root), Firmware: pair, Source: source, Pause: time.Millisecond,
		Report: func(_ context.Context, p ota.Progress) error { b.steps = append(b.steps, p.Step); return nil },
		Reboot: func(context.Context) error { b.reboots++; return nil },
	}
	if change != nil {
		change(&cfg)
	}
	u, err := ota.NewUpdater(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	return u, b
}

type bench struct {
	root    *os.Root
	pair    *fileslot.Firmware
	steps   []ota.Step
	reboots int
}

func TestUpdaterRefuses(t *testing.T) {
	content := firmware("2.0", 5000)
	good := noticeOf(t, "2.0", content)
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	signed := func(key ed25519.PrivateKey) ota.Notice {
		n := good
		p := ota.Package{Product: "a1", Module: "default", Version: n.Version, Size: n.Size, MD5: n.MD5, SHA256: n.SHA256}
		n.Signature, _ = ota.Sign(&p, key)
		return n
	}
	with := func(change func(*ota.Notice)) ota.Notice {
		n := good
		change(&n)
		return n
	}
	trust := func(c *ota.UpdaterConfig) { c.Trusted = []crypto.PublicKey{public} }
	tampered := bytes.Clone(content)
	tampered[100] ^= 1
	for _, c := range []struct {
		name   string
		n      ota.Notice
		source ota.Source
		change func(*ota.UpdaterConfig)
		step   ota.Step
		want   error
	}{
		{"good", good, memory(content), nil, 100, nil},
		{"good and signed", signed(private), memory(content), trust, 100, nil},
		{"tampered", good, memory(tampered), nil, ota.VerifyFailed, ota.ErrDigest},
		{"not signed", good, memory(content), trust, ota.VerifyFailed, ota.ErrSignature},
		{"signed by a stranger", signed(stranger), memory(content), trust, ota.VerifyFailed, ota.ErrSignature},
		{"too short", good, memory(content[:4000]), func(c *ota.UpdaterConfig) { c.Stalls = 2 }, ota.DownloadFailed, io.EOF},
		{"downgrade", with(func(n *ota.Notice) { n.Version = "0.9" }), memory(content), nil, ota.UpgradeFailed, ota.ErrDowngrade},
		{"downgrade allowed", with(func(n *ota.Notice) { n.Version = "0.9" }), memory(content), func(c *ota.UpdaterConfig) { c.Downgrade = true }, 100, nil},
		{"difference", with(func(n *ota.Notice) { n.Diff = true }), memory(content), nil, ota.UpgradeFailed, ota.ErrDifference},
		{"other module", with(func(n *ota.Notice) { n.Module = "MCU" }), memory(content), nil, ota.UpgradeFailed, ota.ErrMessage},
		{"no digest", with(func(n *ota.Notice) { n.MD5, n.SHA256, n.Sign = "", "", "" }), memory(content), nil, ota.UpgradeFailed, ota.ErrMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, b := updater(t, c.source, c.change)
			err := u.Update(t.Context(), c.n)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("Update = %v, want %v", err, c.want)
			}
			if last := b.steps[len(b.steps)-1]; last != c.step {
				t.Errorf("reported %v, want %v last", b.steps, c.step)
			}
			state, _ := b.pair.State(t.Context())
			if tried := state == hal.FirmwarePending; tried != (c.want == nil) || tried != (b.reboots == 1) {
				t.Errorf("slot %v, %d reboots", state, b.reboots)
			}
		})
	}
}

// A firmware that says another version than promised is given up at once.
func TestUpdaterWrongVersionInside(t *testing.T) {
	content := firmware("2.0", 100)
	u, b := updater(t, memory(content), nil)
	if err := u.Update(t.Context(), noticeOf(t, "2.0", content)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pair.Boot(); err != nil {
		t.Fatal(err)
	}
	again, err := ota.NewUpdater(ota.UpdaterConfig{
		Version: "2.1", State: fileslot.NewSlot(b.root), Firmware: b.pair, Source: memory(nil), Reboot: func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	start, err := again.Resume(t.Context())
	state, _ := b.pair.State(t.Context())
	if err != nil || !start.Rebooting || state != hal.FirmwareRejected {
		t.Errorf("%+v %v %v", start, state, err)
	}
	if err := again.Confirm(t.Context()); !errors.Is(err, ota.ErrNoTrial) {
		t.Errorf("Confirm = %v", err)
	}
}

func TestUpdaterStatus(t *testing.T) {
	content := firmware("2.0", 100<<10)
	n := noticeOf(t, "2.0", content)
	var seen []ota.UpdateStatus
	var u *ota.Updater
	u, _ = updater(t, memory(content), func(c *ota.UpdaterConfig) {
		c.Report = func(context.Context, ota.Progress) error { seen = append(seen, u.Status()); return nil }
	})
	if err := u.Update(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	for i, s := range seen {
		if s.Version != "2.0" || s.Size != n.Size || s.Digest != n.SHA256 || i > 0 && s.Fetched < seen[i-1].Fetched || s.Valid != (s.Phase == ota.Ready) {
			t.Errorf("status %+v", s)
		}
	}
	if s := u.Status(); s.Phase != ota.Tried || !s.Valid || s.Fetched != n.Size {
		t.Errorf("in the end %+v", s)
	}
}

// Issue: a download cut at random bytes a hundred times goes on where it was; the
// digest is right and at most 1.1 times the size is transferred.
func TestDownloadCutAHundredTimes(t *testing.T) {
	content := firmware("2.0", 8<<20)
	s, _ := newSite(t, bytes.NewReader(content))
	faults := new(iottest.Faults)
	var passed atomic.Int64
	cuts := 0
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if cuts < 100 {
			cuts++
			faults.CutAfter(1 + mrand.Int64N(150<<10))
		} else {
			faults.CutAfter(0)
		}
		nc, err := faults.DialContext(ctx, network, addr)
		return counted{nc, &passed}, err
	}}
	defer transport.CloseIdleConnections()
	n := noticeOf(t, "2.0", content)
	n.URL = s.links.Sign(s.file, lamp, time.Now())
	u, b := updater(t, ota.HTTP{Client: &http.Client{Transport: transport}}, func(c *ota.UpdaterConfig) { c.Stalls = 100 })
	if err := u.Update(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	got, err := b.root.ReadFile("b.img")
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("image differs: %v", err)
	}
	ratio := float64(passed.Load()) / float64(len(content))
	t.Logf("%d cuts, %d bytes received for %d: %.3f", cuts, passed.Load(), len(content), ratio)
	if cuts != 100 || ratio > 1.1 {
		t.Errorf("%d cuts, ratio %.3f", cuts, ratio)
	}
}

// counted counts what is read.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// A link that expired is replaced by a fresh one; one of another file ends it.
func TestUpdaterRenewsLink(t *testing.T) {
	content := firmware("2.0", 50<<10)
	s, _ := newSite(t, bytes.NewReader(content))
	n := noticeOf(t, "2.0", content)
	n.URL = s.links.Sign(s.file, lamp, time.Now().Add(-2*time.Hour))
	fresh := n
	fresh.URL = s.links.Sign(s.file, lamp, time.Now())
	renewed := 0
	renew := func(n ota.Notice, ok bool) func(*ota.UpdaterConfig) {
		return func(c *ota.UpdaterConfig) {
			c.Renew = func(context.Context) (ota.Notice, bool, error) { renewed++; return n, ok, nil }
		}
	}
	client := ota.HTTP{Client: s.Client()}
	u, _ := updater(t, client, renew(fresh, true))
	if err := u.Update(t.Context(), n); err != nil || renewed != 1 {
		t.Errorf("%v after %d renewals", err, renewed)
	}
	other := fresh
	other.SHA256 = strings.Repeat("0", 64)
	u, b := updater(t, client, renew(other, true))
	if err := u.Update(t.Context(), n); !errors.Is(err, ota.ErrRefusedLink) || b.steps[len(b.steps)-1] != ota.DownloadFailed {
		t.Errorf("another file: %v %v", err, b.steps)
	}
	u, _ = updater(t, client, renew(ota.Notice{}, false))
	if err := u.Update(t.Context(), n); !errors.Is(err, ota.ErrRefusedLink) {
		t.Errorf("no update any more: %v", err)
	}
}

// A cancelled update is interrupted, not failed: the next run goes on.
func TestUpdaterInterrupted(t *testing.T) {
	content := firmware("2.0", 1<<20)
	n := noticeOf(t, "2.0", content)
	ctx, cancel := context.WithCancel(t.Context())
	var opened []int64
	source := sourceFunc(func(_ context.Context, _ *ota.Notice, from int64) (io.ReadCloser, error) {
		opened = append(opened, from)
		if len(opened) == 1 {
			return io.NopCloser(io.MultiReader(bytes.NewReader(content[:700<<10]), readFunc(func() { cancel() }))), nil
		}
		return io.NopCloser(bytes.NewReader(content[from:])), nil
	})
	u, b := updater(t, source, nil)
	if err := u.Update(ctx, n); !errors.Is(err, context.Canceled) {
		t.Fatalf("Update = %v", err)
	}
	for _, s := range b.steps {
		if s.Failed() {
			t.Errorf("reported %v", b.steps)
		}
	}
	again, err := ota.NewUpdater(ota.UpdaterConfig{
		Version: "1.0", State: fileslot.NewSlot(b.root), Firmware: b.pair, Source: source, Reboot: func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	start, err := again.Resume(t.Context())
	if err != nil || start.Unfinished == nil {
		t.Fatalf("%+v, %v", start, err)
	}
	if err := again.Update(t.Context(), *start.Unfinished); err != nil {
		t.Fatal(err)
	}
	if len(opened) != 2 || opened[1] < 512<<10 {
		t.Errorf("opened at %v", opened)
	}
}

type sourceFunc func(context.Context, *ota.Notice, int64) (io.ReadCloser, error)

func (f sourceFunc) Open(ctx context.Context, n *ota.Notice, from int64) (io.ReadCloser, error) {
	return f(ctx, n, from)
}

type readFunc func()

func (f readFunc) Read([]byte) (int, error) { f(); return 0, io.ErrUnexpectedEOF }

// Pauses between tries grow, and tries that stall come to an end.
func TestUpdaterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		source := sourceFunc(func(context.Context, *ota.Notice, int64) (io.ReadCloser, error) { tries++; return nil, net.ErrClosed })
		u, b := updater(t, source, func(c *ota.UpdaterConfig) { c.Pause, c.Stalls = time.Second, 5 })
		n := noticeOf(t, "2.0", firmware("2.0", 10))
		start := time.Now()
		if err := u.Update(t.Context(), n); !errors.Is(err, net.ErrClosed) || tries != 5 {
			t.Errorf("%v after %d tries", err, tries)
		}
		if took := time.Since(start); took != 15*time.Second {
			t.Errorf("took %v", took)
		}
		if len(b.steps) != 1 || b.steps[0] != ota.DownloadFailed {
			t.Errorf("reported %v", b.steps)
		}
	})
}

func TestCompareVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.0", "1.0", 0},
		{"1.9", "1.10", -1},
		{"2.0", "10.0", -1},
		{"1.0", "1.0.1", -1},
		{"app-1.0", "app-1.0.1", -1},
		{"1.01", "1.1", 0},
		{"b", "a", 1},
		{"", "1", -1},
		{"1.0-20250101", "1.0-20241231", 1},
	} {
		if got := ota.CompareVersions(c.a, c.b); got != c.want {
			t.Errorf("Compare(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := ota.CompareVersions(c.b, c.a); got != -c.want {
			t.Errorf("Compare(%q, %q) = %d, want %d", c.b, c.a, got, -c.want)
		}
	}
}
