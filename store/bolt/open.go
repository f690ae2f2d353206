// SPDX-License-Identifier: Apache-2.0

package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	bbolt "go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"

	"github.com/openalink/iot/store"
)

// lockTimeout is how long Open waits for another process to let the file go.
const lockTimeout = time.Second

// Open opens the engine whose file is path, and makes the file when there is
// none; its directory must exist. The file is locked: one engine, in one
// process, at a time.
//
// An error wraps store.ErrFormat when the file is of a newer format, of another
// program or no database at all. Such a file is not changed.
func Open(path string, o Options) (*Engine, error) {
	e, err := open(path, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	e.start()
	return e, nil
}

func open(path string, o Options) (*Engine, error) {
	if err := inspect(path); err != nil {
		return nil, err
	}
	began := time.Now()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:         lockTimeout,
		PageSize:        pageSize,
		InitialMmapSize: mapSize(),
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		NoStatistics:    true,
	})
	if err != nil {
		return nil, known(err)
	}
	db.AllocSize = growSize()
	if d := time.Since(began); d > time.Second {
		o.Logger.Info("walked the file for free pages", "path", path, "took", d)
	}
	e := &Engine{db: db, log: o.Logger, options: o, queue: newQueue(o.MaxQueue), commit: (*bbolt.Tx).Commit}
	if err := e.load(path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return e, nil
}

// load brings the file into shape and the engine to where it was.
func (e *Engine) load(path string) error {
	created := false
	err := e.view(context.Background(), func(tx *bbolt.Tx) error {
		created = tx.Bucket(bucketMeta) == nil
		return nil
	})
	if err != nil {
		return err
	}
	if created {
		if err := errors.Join(e.db.Update(create), syncDir(path)); err != nil {
			return err
		}
	}
	e.writer = &writer{streams: make(map[string]*stream), overlay: newOverlay(), options: e.options}
	e.indexer = newIndexer(e)
	return e.view(context.Background(), func(tx *bbolt.Tx) error {
		e.writer.revision = tx.Bucket(bucketKV).Sequence()
		e.stats.sum.Size = tx.Size()
		todo, err := e.writer.load(tx)
		e.indexer.add(todo)
		return err
	})
}

func create(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketKV, bucketStreams, bucketSegments} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta, err := tx.CreateBucket(bucketMeta)
	if err != nil {
		return err
	}
	return meta.Put(keyFormat, []byte{format})
}

// syncDir makes the name of a new file durable. Windows has no such call.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// inspect looks at a file without changing it: is it whole and ours? A file that
// is absent or empty is fine.
func inspect(path string) (err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() < 2*pageSize {
		return fmt.Errorf("%w: %d bytes are no database", store.ErrFormat, info.Size())
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true, PageSize: pageSize, NoStatistics: true})
	if err != nil {
		return known(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%w: the file is cut off, it has %d of at least %d bytes", errDamaged, info.Size(), tx.Size())
		}
		return checkFormat(tx)
	})
}

// checkFormat refuses what is not format 1 or a file without content. bbolt
// panics over damaged pages; that becomes an error.
func checkFormat(tx *bbolt.Tx) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return fmt.Errorf("%w: the file is a database of another program", store.ErrFormat)
		}
		return nil
	}
	stored := meta.Get(keyFormat)
	switch {
	case len(stored) != 1:
		return fmt.Errorf("%w: the file does not say its format", store.ErrFormat)
	case stored[0] > format:
		return fmt.Errorf("%w: the file has format %d, newer than %d, the newest this program reads", store.ErrFormat, stored[0], format)
	case stored[0] < format:
		return fmt.Errorf("%w: the file has format %d", store.ErrFormat, stored[0])
	}
	return nil
}

// known says bbolt's errors about opening in our words.
func known(err error) error {
	switch {
	case errors.Is(err, bberrors.ErrInvalid), errors.Is(err, bberrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w", store.ErrFormat, err)
	case errors.Is(err, bberrors.ErrTimeout):
		return fmt.Errorf("the file is in use: %w", err)
	}
	return err
}
