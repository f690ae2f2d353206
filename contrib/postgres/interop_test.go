// SPDX-License-Identifier: Apache-2.0

//go:build interop

package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/openalink/iot/contrib/postgres"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/sinktest"
)

const insert = `INSERT INTO heat (key, device, at, n) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`

// server runs PostgreSQL in a folder of its own and returns its connection string.
func server(t *testing.T) string {
	t.Helper()
	bin := programs(t)
	// Short, because the name of a socket is bounded, and open to the user postgres.
	dir, err := os.MkdirTemp("", "pg") //nolint:usetesting
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := owner(t, dir)
	start := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL}
		cmd.Dir, cmd.Stderr = dir, io.Discard
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := start("initdb", "-D", data, "-U", "iot", "--auth=trust", "-N").Output(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	cmd := start("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		_ = cmd.Wait()
	})
	return fmt.Sprintf("host=%s user=iot dbname=postgres", dir)
}

// programs finds the folder with initdb, which distributions keep off the path.
func programs(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Fatal("PostgreSQL is not installed; .ci/run installs it")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// owner gives the folder to the user PostgreSQL runs as: it refuses to be root.
func owner(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// connect waits for the server and makes the table afresh.
func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err = db.Exec(`DROP TABLE IF EXISTS heat; CREATE TABLE heat (id serial, key text PRIMARY KEY, device text, at timestamptz, n int CHECK (n < 1000))`)
		if err == nil {
			return db
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestPostgreSQL(t *testing.T) {
	url := server(t)
	open := func(t *testing.T) *postgres.Sink {
		s, err := postgres.Open(postgres.Options{URL: url, Statement: insert, Values: []string{"$key", "$deviceName", "$time", "n"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	sinktest.TestSink(t, func(t *testing.T) sinktest.Target {
		db := connect(t, url)
		return sinktest.Target{Sink: open(t), Arrived: func(t *testing.T) (list []int) {
			rows, err := db.Query(`SELECT n FROM heat ORDER BY id`)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var n int
				if err := rows.Scan(&n); err != nil {
					t.Fatal(err)
				}
				list = append(list, n)
			}
			return list
		}}
	})
	t.Run("Errors", func(t *testing.T) {
		db := connect(t, url)
		s := open(t)
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 1), sinktest.Row("d", 5000)}); !rules.IsPermanent(err) {
			t.Errorf("a constraint: %v", err)
		}
		var n int
		if err := db.QueryRow(`SELECT count(*) FROM heat`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows of a batch that failed, %v", n, err)
		}
		if _, err := db.Exec(`DROP TABLE heat`); err != nil {
			t.Fatal(err)
		}
		if err := s.Send(t.Context(), []*rules.Delivery{sinktest.Row("d", 1)}); !rules.IsPermanent(err) {
			t.Errorf("no table: %v", err)
		}
		down, err := postgres.Open(postgres.Options{URL: "host=/nowhere user=iot", Statement: insert})
		if err != nil {
			t.Fatal(err)
		}
		defer down.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := down.Send(ctx, []*rules.Delivery{sinktest.Row("d", 1)}); err == nil || rules.IsPermanent(err) {
			t.Errorf("nobody there: %v", err)
		}
	})
}
