// SPDX-License-Identifier: Apache-2.0

package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/database"
	"github.com/openalink/iot/rules/sinktest"
)

// table is a driver with one table. contrib/postgres tests against a real database.
type table struct {
	mu      sync.Mutex
	rows    [][]driver.Value
	refuses error
}

func (b *table) Connect(context.Context) (driver.Conn, error) { return &conn{table: b}, nil }
func (b *table) Driver() driver.Driver                        { return nil }

type conn struct {
	table *table
	tx    [][]driver.Value
}

func (c *conn) Prepare(string) (driver.Stmt, error) { return c, nil }
func (c *conn) Close() error                        { return nil }
func (c *conn) Begin() (driver.Tx, error)           { c.tx = nil; return tx{c}, nil }
func (c *conn) NumInput() int                       { return -1 }

func (c *conn) Exec(args []driver.Value) (driver.Result, error) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	if c.table.refuses != nil {
		return nil, c.table.refuses
	}
	c.tx = append(c.tx, args)
	return driver.RowsAffected(1), nil
}

func (c *conn) Query([]driver.Value) (driver.Rows, error) { return nil, errors.New("no queries") }

type tx struct{ c *conn }

func (t tx) Commit() error {
	t.c.table.mu.Lock()
	defer t.c.table.mu.Unlock()
	t.c.table.rows = append(t.c.table.rows, t.c.tx...)
	return nil
}

func (t tx) Rollback() error { return nil }

func open(t testing.TB, b *table, o database.Options) *database.Sink {
	t.Helper()
	db := sql.OpenDB(b)
	t.Cleanup(func() { db.Close() })
	if o.Statement == "" {
		o.Statement = "INSERT"
	}
	s, err := database.New(db, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSink(t *testing.T) {
	sinktest.TestSink(t, func(t *testing.T) sinktest.Target {
		b := &table{}
		return sinktest.Target{Sink: open(t, b, database.Options{Values: []string{"n"}}), Arrived: func(*testing.T) (list []int) {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, row := range b.rows {
				list = append(list, int(row[0].(int64)))
			}
			return list
		}}
	})
}

func TestValues(t *testing.T) {
	b := &table{}
	s := open(t, b, database.Options{Values: []string{
		"i", "f", "s", "b", "o", "none", "null", "o.x", "$key", "$rule", "$messageId", "$productKey", "$deviceName", "$topic", "$time", "$row",
	}})
	d := sinktest.Row("d", 7)
	d.Payload = []byte(`{"i":3,"f":1.5,"s":"x","b":true,"o":{"x":"y"},"null":null}`)
	if err := s.Send(t.Context(), []*rules.Delivery{d}); err != nil {
		t.Fatal(err)
	}
	want := []driver.Value{
		int64(3), 1.5, "x", true, `{"x":"y"}`, nil, nil, "y",
		"rule/0/7", "rule", int64(7), "a1Lamps0001", "d", "/a1Lamps0001/d/user/update", time.UnixMilli(1772368205257), string(d.Payload),
	}
	if diff := cmp.Diff(want, b.rows[0]); diff != "" {
		t.Error(diff)
	}
}

// A batch is written as a whole or not at all.
func TestFailures(t *testing.T) {
	fatal := errors.New("no such table")
	b := &table{refuses: errors.New("connection lost")}
	s := open(t, b, database.Options{Values: []string{"n"}, Permanent: func(err error) bool { return errors.Is(err, fatal) }})
	batch := []*rules.Delivery{sinktest.Row("d", 1), sinktest.Row("d", 2)}
	if err := s.Send(t.Context(), batch); err == nil || rules.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	b.refuses = fatal
	if err := s.Send(t.Context(), batch); !rules.IsPermanent(err) || !errors.Is(err, fatal) {
		t.Errorf("%v", err)
	}
	if len(b.rows) != 0 {
		t.Errorf("%v", b.rows)
	}
	for _, o := range []database.Options{{}, {Statement: "INSERT", Values: []string{"$nothing"}}} {
		if _, err := database.New(sql.OpenDB(b), o); !errors.Is(err, database.ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := database.New(nil, database.Options{Statement: "INSERT"}); !errors.Is(err, database.ErrOptions) {
		t.Errorf("%v", err)
	}
}

func Example() {
	db := sql.OpenDB(&table{}) // sql.Open("pgx", ...) with a real driver
	defer db.Close()
	s, err := database.New(db, database.Options{
		Statement: `INSERT INTO heat (key, device, at, t) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`,
		Values:    []string{"$key", "$deviceName", "$time", "t"},
	})
	fmt.Println(s.Send(context.Background(), []*rules.Delivery{sinktest.Row("lamp-1", 1)}), err)
	// Output: <nil> <nil>
}
