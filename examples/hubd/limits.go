// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/openalink/iot/hub"
)

// readLimits reads -limits: a word, or a JSON object in a file that changes
// fields of the default. Durations are text such as "30s".
func readLimits(what string) (hub.Limits, error) {
	limits := hub.DefaultLimits()
	switch what {
	case "default":
		return limits, nil
	case "2018":
		return hub.Limits2018(), nil
	case "none":
		return hub.NoLimits(), nil
	}
	raw, err := os.ReadFile(what)
	if err != nil {
		return limits, err
	}
	var changes map[string]json.RawMessage
	if err := json.Unmarshal(raw, &changes); err != nil {
		return limits, fmt.Errorf("%s: %w", what, err)
	}
	v := reflect.ValueOf(&limits).Elem()
	for name, value := range changes {
		field := v.FieldByName(name)
		if !field.IsValid() {
			return limits, fmt.Errorf("%s: there is no limit %q", what, name)
		}
		if err := setLimit(field, value); err != nil {
			return limits, fmt.Errorf("%s: %s: %w", what, name, err)
		}
	}
	return limits, nil
}

func setLimit(field reflect.Value, value json.RawMessage) error {
	if field.Type() != reflect.TypeFor[time.Duration]() {
		return json.Unmarshal(value, field.Addr().Interface())
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	field.SetInt(int64(d))
	return nil
}
