// SPDX-License-Identifier: Apache-2.0

// Package database is a rules.Sink that writes rows to a table of an SQL database
// through database/sql.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/openalink/iot/rules"
	"github.com/tidwall/gjson"
)

// Options of a Sink.
type Options struct {
	// Statement is run once a row, a batch in one transaction. Its placeholders are
	// those of the driver. Let it ignore a row it has (ON CONFLICT DO NOTHING on a
	// column for $key): rows may come twice.
	Statement string
	// Values are the values of the placeholders: the paths of members of the row, as
	// in "position.lat", or of the message: $key, $rule, $messageId, $productKey,
	// $deviceName, $topic, $time (time.Time), $row (the row as text).
	Values []string
	// Permanent tells which errors of the driver would be the same next time: a
	// missing table, a value out of range. nil means none.
	Permanent func(error) bool
}

// Sink writes rows. It is safe for concurrent use.
//
// JSON text becomes a string, a whole number an int64, another a float64, true and
// false a bool, null and what is not there NULL, an object or array its text.
type Sink struct {
	db      *sql.DB
	options Options
}

// ErrOptions is what New returns for options that cannot be used.
var ErrOptions = errors.New("database: options")

// New returns a sink that writes to db, which belongs to the caller.
func New(db *sql.DB, o Options) (*Sink, error) {
	if db == nil || strings.TrimSpace(o.Statement) == "" {
		return nil, fmt.Errorf("%w: a database and a statement are needed", ErrOptions)
	}
	for _, name := range o.Values {
		if strings.HasPrefix(name, "$") && !known(name) {
			return nil, fmt.Errorf("%w: there is no value %q", ErrOptions, name)
		}
	}
	return &Sink{db: db, options: o}, nil
}

// Send implements rules.Sink.
func (s *Sink) Send(ctx context.Context, batch []*rules.Delivery) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.judge(err)
	}
	if err := s.write(ctx, tx, batch); err != nil {
		_ = tx.Rollback() // the first error says more
		return s.judge(err)
	}
	return s.judge(tx.Commit())
}

func (s *Sink) write(ctx context.Context, tx *sql.Tx, batch []*rules.Delivery) error {
	st, err := tx.PrepareContext(ctx, s.options.Statement)
	if err != nil {
		return err
	}
	defer st.Close()
	for _, d := range batch {
		args := make([]any, len(s.options.Values))
		for i, name := range s.options.Values {
			args[i] = value(d, name)
		}
		if _, err := st.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sink) judge(err error) error {
	if err == nil {
		return nil
	}
	out := fmt.Errorf("database: %w", err)
	if s.options.Permanent != nil && s.options.Permanent(err) {
		return rules.Permanent(out)
	}
	return out
}

// ofMessage are the values that are not members of the row.
func ofMessage(d *rules.Delivery) map[string]any {
	m := &d.Message
	return map[string]any{
		"$key": d.Key, "$rule": d.Rule, "$messageId": m.ID, "$productKey": m.Device.Product, "$deviceName": m.Device.Name,
		"$topic": m.Topic, "$time": m.Time, "$row": string(d.Payload),
	}
}

func known(name string) bool {
	_, ok := ofMessage(&rules.Delivery{})[name]
	return ok
}

func value(d *rules.Delivery, name string) any {
	if strings.HasPrefix(name, "$") {
		return ofMessage(d)[name]
	}
	v := gjson.GetBytes(d.Payload, name)
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.True, gjson.False:
		return v.Bool()
	case gjson.Number:
		if n := v.Num; n == math.Trunc(n) && math.Abs(n) < 1<<53 {
			return int64(n)
		}
		return v.Num
	case gjson.JSON:
		return v.Raw
	case gjson.Null:
	}
	return nil
}
