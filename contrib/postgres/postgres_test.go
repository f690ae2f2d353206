// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openalink/iot/contrib/postgres"
	"github.com/openalink/iot/rules"
)

func TestOpenKeepsSecrets(t *testing.T) {
	_, err := postgres.Open(postgres.Options{URL: "postgres://user:hush@host:port/db", Statement: "INSERT"})
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
	if _, err := postgres.Open(postgres.Options{URL: "postgres://user@host/db"}); err == nil {
		t.Error("no statement, no error")
	}
}

func Example() {
	s, err := postgres.Open(postgres.Options{
		URL:       "postgres://iot@localhost/iot",
		Statement: `INSERT INTO heat (key, device, at, t) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`,
		Values:    []string{"$key", "$deviceName", "$time", "t"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	rule := rules.Rule{
		ID: "heat", SQL: `SELECT t FROM "/a1Lamps0001/+/user/update" WHERE t > 38`, Mode: rules.AtLeastOnce,
		Actions: []rules.Action{{Sink: s, Batch: 500}},
	}
	fmt.Println(rule.ID)
	// Output: heat
}
