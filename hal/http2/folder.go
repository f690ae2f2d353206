// SPDX-License-Identifier: Apache-2.0

package http2

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/internal/durable"
)

// Folder keeps uploads in a folder, as product/device/name, beside those that hub's
// FileFolder takes over MQTT. What is not finished has a name with a dot in front. It
// implements Blobs.
type Folder struct {
	// MaxFiles is how many files a device may have in its folder, however they came
	// there, not counting what is not finished; 0 means 1000. A further one fails with
	// ErrTooManyFiles. Who takes files away makes room. It is set before the first use.
	MaxFiles int

	root  *os.Root
	seed  maphash.Seed
	locks [64]sync.Mutex // by device: over its notes
}

// NewFolder keeps uploads in root, which belongs to the caller and is closed by
// them.
func NewFolder(root *os.Root) *Folder { return &Folder{root: root, seed: maphash.MakeSeed()} }

const defaultMaxFiles = 1000

func (f *Folder) lock(device iot.DeviceID) *sync.Mutex {
	return &f.locks[maphash.Comparable(f.seed, device)%uint64(len(f.locks))]
}

// maxUploads is how many uploads of a device are remembered, so that they can go on.
// Beyond, the one nobody touched for longest is forgotten.
const maxUploads = 16

var crcTable = crc64.MakeTable(crc64.ECMA)

// progress is the state of an upload. It is written after the bytes it speaks of,
// so that a power cut never leaves a file shorter than that.
type progress struct {
	Name      string    `json:"name"`
	Overwrite bool      `json:"overwrite,omitempty"`
	Size      int64     `json:"size"`
	CRC       uint64    `json:"crc,string"`
	Finished  bool      `json:"finished,omitempty"` // under its name; nothing is in part
	Named     bool      `json:"named,omitempty"`    // it was finished once: the name is its own
	Touched   time.Time `json:"touched"`
}

// The hyphens keep these names apart from those of FileFolder.
func partOf(id string) string     { return "." + id + "-part" }
func progressOf(id string) string { return "." + id + progressSuffix }

const progressSuffix = "-upload"

// Create implements Blobs. It fails with ErrFileName too.
func (f *Folder) Create(_ context.Context, device iot.DeviceID, name string, overwrite bool) (string, error) {
	if !fileName.MatchString(name) {
		return "", fmt.Errorf("%w: %.100q", ErrFileName, name)
	}
	dir, err := f.open(device, true)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	mu := f.lock(device)
	mu.Lock()
	defer mu.Unlock()
	if err := f.room(dir, name, overwrite); err != nil {
		return "", err
	}
	if err := forget(dir, name); err != nil {
		return "", fmt.Errorf("http2: %w", err)
	}
	id := "UL" + strings.ToLower(rand.Text())
	part, err := dir.OpenFile(partOf(id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = part.Close()
	}
	if err == nil {
		err = (&progress{Name: name, Overwrite: overwrite}).save(dir, id)
	}
	if err != nil {
		return "", fmt.Errorf("http2: %w", err)
	}
	return id, nil
}

// Append implements Blobs.
func (f *Folder) Append(ctx context.Context, device iot.DeviceID, id string, r io.Reader) (int64, error) {
	dir, err := f.open(device, false)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	p, err := load(dir, id)
	if err != nil || r == nil {
		return p.Size, err
	}
	if p.Finished {
		if err := p.reopen(dir, id); err != nil {
			return p.Size, fmt.Errorf("http2: %w", err)
		}
	}
	before := p.Size
	readErr, err := p.append(ctx, dir, id, r)
	if err != nil {
		return before, fmt.Errorf("http2: %w", err)
	}
	mu := f.lock(device)
	mu.Lock()
	defer mu.Unlock()
	if _, err := dir.Stat(progressOf(id)); err != nil { // given up meanwhile
		return 0, fmt.Errorf("%w: %s", ErrNoUpload, id)
	}
	if err := p.save(dir, id); err != nil {
		return before, fmt.Errorf("http2: %w", err)
	}
	return p.Size, readErr
}

// Finish implements Blobs.
func (f *Folder) Finish(_ context.Context, device iot.DeviceID, id string) (Stored, error) {
	dir, err := f.open(device, false)
	if err != nil {
		return Stored{}, err
	}
	defer dir.Close()
	mu := f.lock(device)
	mu.Lock()
	defer mu.Unlock()
	p, err := load(dir, id)
	if err != nil {
		return Stored{}, err
	}
	if !p.Finished {
		if err := f.room(dir, p.Name, p.Overwrite || p.Named); err != nil {
			return Stored{}, err
		}
		if err := dir.Rename(partOf(id), p.Name); err != nil {
			return Stored{}, fmt.Errorf("http2: %w", err)
		}
		p.Finished, p.Named = true, true
		if err := p.save(dir, id); err != nil { // makes the new name durable too
			return Stored{}, fmt.Errorf("http2: %w", err)
		}
	}
	return Stored{ID: device.Product + "/" + device.Name + "/" + p.Name, Size: p.Size, CRC: p.CRC}, nil
}

// room reports whether a file of a name may be there, in place of an older one if
// overwrite says so. The device's lock is held.
func (f *Folder) room(dir *os.Root, name string, overwrite bool) error {
	if _, err := dir.Stat(name); err == nil {
		if !overwrite {
			return fmt.Errorf("%w: %s", ErrExists, name)
		}
		return nil
	}
	list, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return fmt.Errorf("http2: %w", err)
	}
	files := 0
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), ".") {
			files++
		}
	}
	if most := orDefault(f.MaxFiles, defaultMaxFiles); files >= most {
		return fmt.Errorf("%w: %d", ErrTooManyFiles, files)
	}
	return nil
}

// open opens the folder of a device. Without one there is no upload.
func (f *Folder) open(device iot.DeviceID, create bool) (*os.Root, error) {
	if err := device.Validate(); err != nil {
		return nil, fmt.Errorf("http2: %w", err)
	}
	path := device.Product + "/" + device.Name
	for _, part := range []string{device.Product, device.Name} {
		if part == "." || part == ".." || strings.ContainsAny(part, `\:`+"\x00") && os.PathSeparator != '/' {
			return nil, fmt.Errorf("%w: device %v has no folder", ErrFileName, device)
		}
	}
	if create {
		if err := f.root.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("http2: %w", err)
		}
	}
	dir, err := f.root.OpenRoot(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: of %v", ErrNoUpload, device)
	case err != nil:
		return nil, fmt.Errorf("http2: %w", err)
	}
	return dir, nil
}

// load reads the state of an upload and checks it against what is there.
func load(dir *os.Root, id string) (progress, error) {
	var p progress
	if !uploadID.MatchString(id) {
		return p, fmt.Errorf("%w: %.50q", ErrNoUpload, id)
	}
	raw, err := dir.ReadFile(progressOf(id))
	if err == nil && json.Unmarshal(raw, &p) != nil {
		err = fs.ErrNotExist
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return progress{}, fmt.Errorf("%w: %s", ErrNoUpload, id)
	case err != nil:
		return p, fmt.Errorf("http2: %w", err)
	}
	file := partOf(id)
	info, err := dir.Stat(file)
	if p.Finished || errors.Is(err, fs.ErrNotExist) { // or a power cut came between rename and note
		p.Finished, p.Named = true, true
		info, err = dir.Stat(p.Name)
	}
	if err != nil || info.Size() < p.Size || p.Finished && info.Size() != p.Size {
		return progress{}, fmt.Errorf("%w: the file of %s is another one", ErrNoUpload, id)
	}
	return p, nil
}

func (p *progress) save(dir *os.Root, id string) error {
	p.Touched = time.Now().UTC()
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = durable.Write(dir, progressOf(id), "."+id+"-new", bytes.NewReader(raw))
	return err
}

// reopen goes on with a file that has its name already: who reads it keeps seeing
// it as it is until Finish.
func (p *progress) reopen(dir *os.Root, id string) error {
	file, err := dir.Open(p.Name)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := durable.Write(dir, partOf(id), "."+id+"-copy", file); err != nil {
		return err
	}
	p.Finished = false
	return p.save(dir, id)
}

// append writes what r yields behind what counts. What a power cut left there
// beyond that is cut off first.
func (p *progress) append(ctx context.Context, dir *os.Root, id string, r io.Reader) (readErr, err error) {
	file, err := dir.OpenFile(partOf(id), os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Truncate(p.Size); err != nil {
		return nil, err
	}
	if _, err := file.Seek(p.Size, io.SeekStart); err != nil {
		return nil, err
	}
	buf := make([]byte, 32<<10)
	for {
		n, readErr := r.Read(buf)
		if _, err := file.Write(buf[:n]); err != nil {
			return nil, err
		}
		p.CRC = crc64.Update(p.CRC, crcTable, buf[:n])
		p.Size += int64(n)
		if readErr == nil {
			readErr = ctx.Err()
		}
		if readErr == io.EOF { //nolint:errorlint // readers return it bare
			return nil, file.Sync()
		}
		if readErr != nil {
			return readErr, file.Sync()
		}
	}
}

// forget gives up unfinished uploads of a name, and the oldest of too many.
func forget(dir *os.Root, name string) error {
	list, err := fs.ReadDir(dir.FS(), ".")
	if err != nil {
		return err
	}
	type known struct {
		id string
		progress
	}
	var all []known
	for _, e := range list {
		id, ok := strings.CutSuffix(strings.TrimPrefix(e.Name(), "."), progressSuffix)
		if !ok || !strings.HasPrefix(e.Name(), ".") {
			continue
		}
		p, err := load(dir, id)
		if err != nil || p.Name == name {
			if err := drop(dir, id); err != nil {
				return err
			}
			continue
		}
		all = append(all, known{id, p})
	}
	slices.SortFunc(all, func(a, b known) int { return cmp.Or(a.Touched.Compare(b.Touched), strings.Compare(a.id, b.id)) })
	for ; len(all) >= maxUploads; all = all[1:] {
		if err := drop(dir, all[0].id); err != nil {
			return err
		}
	}
	return nil
}

// drop removes what an upload left, the note last: it is how the rest is found.
func drop(dir *os.Root, id string) error {
	for _, name := range []string{partOf(id), "." + id + "-copy", "." + id + "-new", progressOf(id)} {
		if err := durable.Remove(dir, name); err != nil {
			return err
		}
	}
	return nil
}
