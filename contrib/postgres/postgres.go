// SPDX-License-Identifier: Apache-2.0

// Package postgres is a rules.Sink for PostgreSQL: rules/database over pgx, which
// knows which errors come again.
package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/database"
	"github.com/openalink/iot/rules/define"
)

// Options of a Sink.
type Options struct {
	// URL is a connection string, as in "postgres://user:password@host/database". It
	// is never printed.
	URL string
	// Statement and Values are those of database.Options; placeholders are $1, $2, ...
	Statement string
	Values    []string
}

// Sink writes rows to PostgreSQL. It is safe for concurrent use.
type Sink struct {
	*database.Sink
	db *sql.DB
}

// Open returns a sink. It connects when the first row comes.
func Open(o Options) (*Sink, error) {
	config, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("postgres: the connection string is not understood") // the error would quote it
	}
	db := stdlib.OpenDB(*config)
	s, err := database.New(db, database.Options{Statement: o.Statement, Values: o.Values, Permanent: permanent})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: %w", err), db.Close())
	}
	return &Sink{s, db}, nil
}

// Ping reports whether the database can be reached.
func (s *Sink) Ping(ctx context.Context) error {
	if err := s.db.PingContext(ctx); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return nil
}

// Close closes the connections.
func (s *Sink) Close() error { return s.db.Close() }

// permanent reports errors that the same row would meet again: values out of range
// (class 22), constraints (23), and statements that do not fit the tables (42).
func permanent(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && len(e.Code) == 5 && (e.Code[:2] == "22" || e.Code[:2] == "23" || e.Code[:2] == "42")
}

// Kind is the kind of action "postgres" for rules in JSON, with the members url,
// statement and values.
func Kind(action json.RawMessage) (rules.Sink, error) {
	var in struct {
		URL       string   `json:"url"`
		Statement string   `json:"statement"`
		Values    []string `json:"values"`
	}
	if err := define.Decode(action, &in); err != nil {
		return nil, err
	}
	s, err := Open(Options{URL: in.URL, Statement: in.Statement, Values: in.Values})
	if err != nil {
		return nil, err
	}
	return s, nil
}
