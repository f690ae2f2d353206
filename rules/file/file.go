// SPDX-License-Identifier: Apache-2.0

// Package file is a rules.Sink that writes rows to files, one JSON document a line.
package file

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/internal/tokens"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sql"
)

// Options of a Sink. The zero Options are useful.
type Options struct {
	// Name is that of the file being written, without ".jsonl"; empty means "rows".
	// Full ones are kept beside it as Name-TIME.jsonl.
	Name string
	// MaxBytes is from which size on a file is full; zero means 64 MiB.
	MaxBytes int64
	// MaxFiles is how many full ones are kept; zero means all.
	MaxFiles int
	// SyncEvery is the least time between two syncs: calls in between share the next
	// one. Zero means 10 ms; negative means none. Each sync holds up everything else
	// that writes to the disk.
	SyncEvery time.Duration
	// NoSync leaves it to the operating system when lines reach the disk: a power cut
	// may then take rows that were reported delivered.
	NoSync bool
}

// Sink appends a line for each row:
//
//	{"key":"...","time":1772368205250,"device":"pk/dn","topic":"...","row":{...}}
//
// A row that is not JSON is the member "base64" instead. Send returns when the
// lines are on the disk; calls that run at once share one sync. A Sink is safe for
// concurrent use; two must not write one file.
type Sink struct {
	dir     *os.Root
	options Options

	mu      sync.Mutex
	file    *os.File
	size    int64
	buf     []byte
	written uint64 // calls whose lines are in the file
	kept    uint64 // calls whose lines are on the disk because their file was full
	failed  error  // a write went wrong: the file's end is not known

	syncing sync.Mutex
	synced  uint64 // calls whose lines are on the disk
	began   time.Time
}

// ErrClosed is what Send returns after Close.
var ErrClosed = errors.New("file: closed")

// Open opens the file for appending, in a folder it makes if need be. What a crash
// left of a last line is cut off: it was never reported delivered.
func Open(dir string, o Options) (*Sink, error) {
	if o.Name == "" {
		o.Name = "rows"
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = 10 * time.Millisecond
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	s := &Sink{dir: root, options: o}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return s, nil
}

func (s *Sink) name() string { return s.options.Name + ".jsonl" }

func (s *Sink) open() error {
	f, err := s.dir.OpenFile(s.name(), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if s.size, err = wholeLines(f); err == nil {
		err = f.Truncate(s.size)
	}
	if err == nil {
		_, err = f.Seek(s.size, io.SeekStart)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("file: %w", err), f.Close())
	}
	s.file, s.failed = f, nil
	return nil
}

// wholeLines returns the length of f up to its last line end.
func wholeLines(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	var b [4096]byte
	for end > 0 && err == nil {
		n := min(end, int64(len(b)))
		if _, err = f.ReadAt(b[:n], end-n); err != nil {
			break
		}
		if i := slices.Index(reversed(b[:n]), '\n'); i >= 0 {
			return end - int64(i), nil
		}
		end -= n
	}
	return end, err
}

func reversed(b []byte) []byte {
	slices.Reverse(b)
	return b
}

// Send implements rules.Sink.
func (s *Sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	mine, err := s.write(batch)
	if err != nil || s.options.NoSync {
		return err
	}
	return s.sync(ctx, mine)
}

// write appends the lines and returns the number of the call.
func (s *Sink) write(batch []*rules.Delivery) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil && s.failed == nil {
		return 0, ErrClosed
	}
	if s.failed != nil {
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	s.buf = s.buf[:0]
	for _, d := range batch {
		s.buf = appendLine(s.buf, d)
	}
	if s.size > 0 && s.size+int64(len(s.buf)) > s.options.MaxBytes {
		if err := s.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := s.file.Write(s.buf)
	s.size += int64(n)
	if err != nil {
		// Half a line may be in the file: the next call opens it afresh.
		s.failed = errors.Join(fmt.Errorf("file: %w", err), s.file.Close())
		s.file = nil
		return 0, s.failed
	}
	s.written++
	return s.written, nil
}

// sync waits until the lines of call mine are on the disk: one of those that wait
// syncs for all.
func (s *Sink) sync(ctx context.Context, mine uint64) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if s.synced >= mine {
		return nil
	}
	if pause := s.options.SyncEvery - time.Since(s.began); pause > 0 {
		if err := tokens.Sleep(ctx, pause); err != nil {
			return err
		}
	}
	s.began = time.Now()
	s.mu.Lock()
	f, upTo := s.file, s.written
	s.mu.Unlock()
	if f == nil {
		return ErrClosed
	}
	if err := f.Sync(); err != nil && !s.full(mine) {
		return fmt.Errorf("file: %w", err)
	} else if err == nil {
		s.synced = upTo
	}
	return nil
}

// full reports that the lines of a call are in a file that is full: it was synced
// and closed, maybe while sync was looking at it.
func (s *Sink) full(mine uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept >= mine
}

// rotate keeps the full file under another name and begins a new one.
func (s *Sink) rotate() error {
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	s.kept = s.written
	kept := s.options.Name + "-" + time.Now().UTC().Format("20060102T150405.000000000") + ".jsonl"
	err := s.dir.Rename(s.name(), kept)
	if err == nil {
		err = s.file.Close()
	}
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	s.file = nil
	if err := s.open(); err != nil {
		s.failed = err
		return err
	}
	return s.prune()
}

// prune removes the oldest full files.
func (s *Sink) prune() error {
	if s.options.MaxFiles <= 0 {
		return nil
	}
	d, err := s.dir.Open(".")
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, s.options.Name+"-") || !strings.HasSuffix(n, ".jsonl")
	})
	slices.Sort(names)
	for len(names) > s.options.MaxFiles {
		if err := s.dir.Remove(names[0]); err != nil {
			return fmt.Errorf("file: %w", err)
		}
		names = names[1:]
	}
	return nil
}

// Close closes the file. Send fails afterwards.
func (s *Sink) Close() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Sync(), s.file.Close(), s.dir.Close())
	s.file, s.failed = nil, nil
	return err
}

// appendLine writes one row.
func appendLine(dst []byte, d *rules.Delivery) []byte {
	m := &d.Message
	dst = appendText(append(dst, `{"key":`...), d.Key)
	dst = strconv.AppendInt(append(dst, `,"time":`...), m.Time.UnixMilli(), 10)
	dst = appendText(append(dst, `,"device":`...), m.Device.String())
	dst = appendText(append(dst, `,"topic":`...), m.Topic)
	if d.Error != "" {
		dst = appendText(append(dst, `,"error":`...), d.Error)
	}
	switch {
	case alink.Valid(d.Payload) && bytes.IndexByte(d.Payload, '\n') < 0:
		dst = append(append(dst, `,"row":`...), d.Payload...)
	case alink.Valid(d.Payload):
		dst = appendCompact(append(dst, `,"row":`...), d.Payload)
	default:
		dst = append(dst, `,"base64":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, d.Payload), '"')
	}
	return append(dst, '}', '\n')
}

// appendCompact writes JSON on one line.
func appendCompact(dst, payload []byte) []byte {
	b := bytes.NewBuffer(dst)
	if json.Compact(b, payload) != nil {
		return append(dst, "null"...) // it was found valid
	}
	return b.Bytes()
}

// appendText writes a JSON string.
func appendText(dst []byte, s string) []byte { return sql.TextOf(s).AppendJSON(dst) }
