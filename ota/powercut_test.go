// SPDX-License-Identifier: Apache-2.0

package ota_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/hal/fileslot"
	"github.com/openalink/iot/ota"
)

// Power cuts and reboots end a boot of the simulated device by panic.
type (
	powerCut struct{}
	reboot   struct{}
)

// machine is a device with two images in a folder, a campaign that updates it,
// and a power supply that fails at chosen operations.
type machine struct {
	t        testing.TB
	dir      string
	old, new []byte
	campaign *ota.Campaign
	notice   ota.Notice
	works    bool // the new firmware confirms itself
	now      time.Time

	left []int // operations until each next cut
	mode int   // 0 before the operation, 1 after it, 2 in the middle
	ops  int
	dirt []span // written and not synced

	trial      bool // the firmware that runs is on trial
	cutOnTrial bool
}

type span struct {
	at   int64
	size int
}

func newMachine(t testing.TB, works bool) *machine {
	t.Helper()
	m := &machine{t: t, dir: t.TempDir(), old: firmware("1.0", 900), new: firmware("2.0", 3000), works: works, now: epoch}
	m.notice = noticeOf(t, "2.0", m.new)
	if err := os.WriteFile(filepath.Join(m.dir, "a.img"), m.old, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.campaign, err = ota.New(ota.Plan{Version: "2.0", Timeout: time.Hour}); err != nil {
		t.Fatal(err)
	}
	m.campaign.Add(m.now, "dev", "1.0")
	if err := m.campaign.Start(m.now); err != nil {
		t.Fatal(err)
	}
	m.campaign.Tick(m.now, func(string) {}, func(string) {})
	return m
}

// op is one operation on storage. cut is called when the power fails in the
// middle of it.
func (m *machine) op(do, half func() error) error {
	m.ops++
	if len(m.left) > 0 {
		if m.left[0]--; m.left[0] == 0 {
			m.left = m.left[1:]
			switch m.mode {
			case 1:
				_ = do()
			case 2:
				_ = half()
			}
			m.cutOnTrial = m.cutOnTrial || m.trial
			panic(powerCut{})
		}
	}
	return do()
}

func nothing() error { return nil }

// The seams, each operation of which may be the last.
type (
	brittleSlot struct {
		*machine
		hal.Slot
	}
	brittleFirmware struct {
		*machine
		hal.FirmwareSlot
	}
	brittleImage struct {
		*machine
		hal.FirmwareImage
	}
)

func (s brittleSlot) Store(ctx context.Context, name string, value []byte) error {
	return s.op(func() error { return s.Slot.Store(ctx, name, value) }, nothing)
}

func (f brittleFirmware) Mark(ctx context.Context, k hal.FirmwareMark) error {
	return f.op(func() error { return f.FirmwareSlot.Mark(ctx, k) }, nothing)
}

func (f brittleFirmware) Spare(ctx context.Context) (hal.FirmwareImage, error) {
	image, err := f.FirmwareSlot.Spare(ctx)
	if err != nil {
		return nil, err
	}
	return brittleImage{f.machine, image}, f.op(nothing, nothing)
}

func (i brittleImage) WriteAt(b []byte, at int64) (n int, err error) {
	i.dirt = append(i.dirt, span{at, len(b)})
	err = i.op(func() error { n, err = i.FirmwareImage.WriteAt(b, at); return err }, func() error {
		_, err := i.FirmwareImage.WriteAt(b[:len(b)/2], at)
		return err
	})
	return n, err
}

func (i brittleImage) Sync() error {
	return i.op(func() error { i.machine.dirt = nil; return i.FirmwareImage.Sync() }, nothing)
}

func (i brittleImage) Truncate(size int64) error {
	return i.op(func() error { return i.FirmwareImage.Truncate(size) }, nothing)
}

// boot is the device from power on to reboot, power cut, or nothing left to do.
func (m *machine) boot() {
	defer func() {
		switch p := recover(); p.(type) {
		case nil, reboot:
		case powerCut:
			m.lose()
		default:
			panic(p)
		}
	}()
	root, err := os.OpenRoot(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	defer root.Close()
	pair, err := fileslot.OpenFirmware(root)
	if err != nil {
		m.t.Fatal(err)
	}
	image, err := pair.Boot()
	if err != nil {
		m.t.Fatal(err)
	}
	content, err := root.ReadFile(image)
	version := "1.0"
	switch {
	case err != nil:
		m.t.Fatal(err)
	case bytes.Equal(content, m.new):
		version = "2.0"
	case !bytes.Equal(content, m.old):
		m.t.Fatalf("boots neither the old nor the new firmware: %d bytes of %s", len(content), image)
	}
	m.live(version, brittleSlot{m, fileslot.NewSlot(root)}, brittleFirmware{m, pair})
}

// live is what the running firmware does.
func (m *machine) live(version string, state hal.Slot, images hal.FirmwareSlot) {
	ctx := context.Background()
	m.now = m.now.Add(time.Second)
	m.trial = version == "2.0"
	u, err := ota.NewUpdater(ota.UpdaterConfig{
		Version: version, State: state, Firmware: images, Source: memory(m.new), Chunk: 512, Checkpoint: 1024, Pause: time.Millisecond,
		Report: func(_ context.Context, p ota.Progress) error {
			m.campaign.Progress(m.now, "dev", p.Step, p.Detail)
			return nil
		},
		Reboot: func(context.Context) error { panic(reboot{}) },
	})
	if err != nil {
		m.t.Fatal(err)
	}
	b, err := u.Resume(ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	m.trial = b.Trial
	if b.Trial {
		if version == "2.0" && !m.works {
			panic(powerCut{}) // it hangs until the watchdog bites
		}
		if err := u.Confirm(ctx); err != nil {
			m.t.Fatal(err)
		}
	}
	m.trial = false
	m.campaign.Report(m.now, "dev", version)
	if j, _ := m.campaign.Job("dev"); j.State.Open() && version == "1.0" {
		_ = u.Update(ctx, m.notice)
	}
}

// lose is what a power cut does to what was not synced.
func (m *machine) lose() {
	for _, s := range m.dirt {
		for _, name := range []string{"a.img", "b.img"} {
			if content, err := os.ReadFile(filepath.Join(m.dir, name)); err == nil && bytes.Equal(content, m.old) && name == "a.img" {
				continue
			}
			f, err := os.OpenFile(filepath.Join(m.dir, name), os.O_RDWR, 0)
			if err != nil {
				continue
			}
			if st, err := f.Stat(); err == nil && st.Size() >= s.at+int64(s.size) {
				_, _ = f.WriteAt(make([]byte, s.size), s.at)
			}
			_ = f.Close()
		}
	}
	m.dirt = nil
}

// toTheEnd boots until the campaign is done with the device.
func (m *machine) toTheEnd(what string) {
	m.t.Helper()
	for range 30 {
		m.boot()
		if j, _ := m.campaign.Job("dev"); j.State.Done() {
			// A cut before the confirmation is durable looks like firmware that hangs.
			if j.State != ota.Failed && (j.State != ota.Succeeded || !m.works) || j.State == ota.Failed && m.works && !m.cutOnTrial {
				m.t.Errorf("%s: ends %v (%s)", what, j.State, j.Detail)
			}
			m.left = nil
			m.boot() // whatever it is, it boots again
			return
		}
	}
	m.t.Errorf("%s: the campaign does not end", what)
}

// Issue: the power is cut before, after and in the middle of every single
// operation of an update; the device always boots the old or the new firmware,
// and the campaign ends.
func TestPowerCutTable(t *testing.T) {
	for _, works := range []bool{true, false} {
		whole := newMachine(t, works)
		whole.toTheEnd("without a cut")
		t.Logf("works %v: %d operations", works, whole.ops)
		if whole.ops < 10 {
			t.Errorf("only %d operations", whole.ops)
		}
		for at := 1; at <= whole.ops; at++ {
			for mode := range 3 {
				m := newMachine(t, works)
				m.left, m.mode = []int{at}, mode
				m.toTheEnd(fmt.Sprintf("works %v, cut at operation %d, mode %d", works, at, mode))
			}
		}
	}
}

func TestPowerCutsTogether(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t, rapid.Bool().Draw(rt, "works"))
		m.left = rapid.SliceOfN(rapid.IntRange(1, 25), 1, 4).Draw(rt, "cuts")
		m.mode = rapid.IntRange(0, 2).Draw(rt, "mode")
		m.toTheEnd("cuts")
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}

// The same with a process that is killed, at moments nobody chose.
func TestKilledUpdater(t *testing.T) {
	if dir := os.Getenv("OTA_TEST_MACHINE"); dir != "" {
		child(t, dir)
		return
	}
	m := newMachine(t, true)
	m.new = firmware("2.0", 2<<20)
	m.notice = noticeOf(t, "2.0", m.new)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for try := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(15+try%20*6)*time.Millisecond)
		cmd := exec.CommandContext(ctx, self, "-test.run=^TestKilledUpdater$")
		cmd.Env = append(os.Environ(), "OTA_TEST_MACHINE="+m.dir)
		out, err := cmd.CombinedOutput()
		if ctx.Err() != nil {
			kills++
		}
		cancel()
		if strings.Contains(string(out), "NEITHER") {
			t.Fatalf("after %d kills: %s", kills, out)
		}
		if err == nil && strings.Contains(string(out), "RUNS 2.0 SETTLED") {
			t.Logf("new firmware confirmed after %d kills in %d boots", kills, try+1)
			return
		}
	}
	t.Logf("%d kills, not through yet", kills)
	for range 5 {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestKilledUpdater$")
		cmd.Env = append(os.Environ(), "OTA_TEST_MACHINE="+m.dir)
		if out, _ := cmd.CombinedOutput(); strings.Contains(string(out), "RUNS 2.0 SETTLED") {
			return
		}
	}
	t.Error("the update does not end")
}

// child is one boot of the device in a process of its own.
func child(t *testing.T, dir string) {
	m := &machine{t: t, dir: dir, old: firmware("1.0", 900), new: firmware("2.0", 2<<20), works: true, now: epoch}
	m.notice = noticeOf(t, "2.0", m.new)
	m.campaign, _ = ota.New(ota.Plan{Version: "2.0"})
	m.campaign.Add(epoch, "dev", "1.0")
	_ = m.campaign.Start(epoch)
	m.campaign.Tick(epoch, func(string) {}, func(string) {})
	m.boot()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	pair, err := fileslot.OpenFirmware(root)
	if err != nil {
		t.Fatal(err)
	}
	state, _ := pair.State(t.Context())
	if j, _ := m.campaign.Job("dev"); j.State == ota.Succeeded && state == hal.FirmwareSettled {
		fmt.Println("RUNS 2.0 SETTLED")
	}
}
