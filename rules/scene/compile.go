// SPDX-License-Identifier: Apache-2.0

package scene

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/rules"
)

// compiled is a Scene ready to run. It never changes.
type compiled struct {
	Scene
	mode   rules.Mode
	starts []start
	when   *judgement // nil without
	window *window    // nil without
}

// start is a trigger: a statement, or times.
type start struct {
	sql   string // empty for times
	cron  *Cron
	every time.Duration
}

// next is when a trigger by time is due after t, zero for a statement.
func (s *start) next(t time.Time) time.Time {
	switch {
	case s.cron != nil:
		return s.cron.Next(t)
	case s.every > 0:
		return every(t, s.every)
	}
	return time.Time{}
}

func (s *Scene) compile(local *time.Location) (*compiled, error) {
	c := &compiled{Scene: *s}
	switch {
	case !validID(s.ID):
		return nil, fmt.Errorf("%w: id %.64q: 1 to %d letters, digits, '-' and '_'", ErrInvalid, s.ID, MaxID)
	case len(s.Triggers) > MaxTriggers:
		return nil, fmt.Errorf("%w: %d triggers, at most %d", ErrInvalid, len(s.Triggers), MaxTriggers)
	case len(s.Actions) == 0 || len(s.Actions) > MaxActions:
		return nil, fmt.Errorf("%w: %d actions, 1 to %d", ErrInvalid, len(s.Actions), MaxActions)
	case s.Mode == rules.AtLeastOnce.String():
		c.mode = rules.AtLeastOnce
	case s.Mode != "" && s.Mode != rules.BestEffort.String():
		return nil, fmt.Errorf("%w: mode %.32q: best-effort or at-least-once", ErrInvalid, s.Mode)
	}
	var err error
	for i := range s.Triggers {
		var st start
		if st, err = s.Triggers[i].compile(local); err != nil {
			return nil, fmt.Errorf("trigger %d: %w", i+1, err)
		}
		c.starts = append(c.starts, st)
	}
	if s.When != nil {
		left := MaxConditions
		if c.when, err = s.When.compile(&left, 0); err != nil {
			return nil, err
		}
	}
	if s.Window != nil {
		if c.window, err = s.Window.compile(local); err != nil {
			return nil, err
		}
	}
	for i := range s.Actions {
		if err := s.Actions[i].check(); err != nil {
			return nil, fmt.Errorf("action %d: %w", i+1, err)
		}
	}
	return c, nil
}

// needsDevice reports whether the scene speaks of the device that triggered.
func (c *compiled) needsDevice() bool {
	return c.when.needsDevice() || slices.ContainsFunc(c.Actions, func(a Action) bool {
		return (a.Type == "set" || a.Type == "call") && a.Device.IsZero()
	})
}

// byTime reports whether a trigger without a device starts the scene.
func (c *compiled) byTime() bool {
	return slices.ContainsFunc(c.starts, func(s start) bool { return s.sql == "" })
}

func (s *Start) compile(local *time.Location) (out start, err error) {
	switch s.Type {
	case "message":
		out.sql = s.SQL
		if err = only(s, "sql"); err == nil && s.SQL == "" {
			err = fmt.Errorf("%w: sql is missing", ErrInvalid)
		}
	case "property":
		if err = only(s, "device", "property", "op", "value"); err == nil {
			out.sql, err = s.post()
		}
	case "presence":
		if err = only(s, "device", "is"); err == nil {
			out.sql, err = s.presence()
		}
	case "cron":
		var zone *time.Location
		if zone, err = location(s.Zone, local); err == nil {
			err = only(s, "cron", "zone")
		}
		if err == nil {
			out.cron, err = ParseCron(s.Cron, zone)
		}
	case "every":
		out.every, err = time.ParseDuration(s.Every)
		if err != nil || out.every < time.Second || out.every > 366*24*time.Hour {
			return out, fmt.Errorf("%w: every %.32q: a duration from 1s to 8784h", ErrInvalid, s.Every)
		}
		err = only(s, "every")
	default:
		err = fmt.Errorf("%w: type %.32q: message, property, presence, cron or every", ErrInvalid, s.Type)
	}
	return out, err
}

// post is the statement for a property condition (wire facts section 18.1).
func (s *Start) post() (string, error) {
	who, err := filter(s.Device)
	if err != nil {
		return "", err
	}
	name, path, err := splitPath(s.Property)
	if err != nil {
		return "", err
	}
	var test string
	if s.Op == "any" {
		if len(s.Value) > 0 {
			return "", fmt.Errorf("%w: op any takes no value", ErrInvalid)
		}
		test = " IS NOT NULL"
	} else if test, err = comparison(s.Op, s.Value); err != nil {
		return "", err
	}
	return "SELECT * FROM '/" + who + "/thing/event/property/post' WHERE items.`" + name + "`.value" + path + test, nil
}

func (s *Start) presence() (string, error) {
	who, err := filter(s.Device)
	if err != nil {
		return "", err
	}
	statement := "SELECT * FROM '/as/mqtt/status/" + who + "'"
	switch s.Is {
	case "":
		return statement, nil
	case "online", "offline":
		return statement + " WHERE status = '" + s.Is + "'", nil
	}
	return "", fmt.Errorf("%w: is %.32q: online or offline", ErrInvalid, s.Is)
}

// filter is the part of a topic filter that names devices.
func filter(device string) (string, error) {
	if pk, ok := strings.CutSuffix(device, "/+"); ok && iot.CheckProductKey(pk) == nil {
		return device, nil
	}
	id, err := iot.ParseDeviceID(device)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return id.String(), checkDevice(id)
}

// checkDevice keeps quotes and the like out of statements.
func checkDevice(id iot.DeviceID) error {
	err := id.Validate()
	if err == nil && strings.ContainsAny(id.String(), `'\`) {
		err = iot.ErrBadName
	}
	if err != nil {
		return fmt.Errorf("%w: device %.64q: %w", ErrInvalid, id, err)
	}
	return nil
}

func (a *Action) check() error {
	var err error
	switch a.Type {
	case "set":
		if err = only(a, "device", "items"); err == nil {
			err = object("items", a.Items, 1)
		}
	case "call":
		if err = only(a, "device", "service", "args"); err == nil && len(a.Args) > 0 {
			err = object("args", a.Args, 0)
		}
		if err == nil && !identifier(a.Service) {
			err = fmt.Errorf("%w: service %.64q is no identifier", ErrInvalid, a.Service)
		}
	case "scene":
		if err = only(a, "scene"); err == nil && a.Scene == "" {
			err = fmt.Errorf("%w: scene is missing", ErrInvalid)
		}
	case "alarm":
		if err = only(a, "level", "text"); err == nil && (a.Text == "" || len(a.Text) > 1024 || len(a.Level) > 32) {
			err = fmt.Errorf("%w: an alarm has a text of at most 1024 bytes and a level of at most 32", ErrInvalid)
		}
	default:
		err = fmt.Errorf("%w: type %.32q: set, call, scene or alarm", ErrInvalid, a.Type)
	}
	if err == nil && !a.Device.IsZero() {
		err = checkDevice(a.Device)
	}
	return err
}

func object(what string, raw json.RawMessage, least int) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || len(members) < least {
		return fmt.Errorf("%w: %s: an object with %d members at least", ErrInvalid, what, least)
	}
	return nil
}

// only refuses members that are not those of the type.
func only(v any, names ...string) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for name := range members {
		if name != "type" && !slices.Contains(names, name) {
			return fmt.Errorf("%w: %s does not belong to this type, which has %s", ErrInvalid, name, strings.Join(names, ", "))
		}
	}
	return nil
}

func validID(s string) bool {
	return len(s) <= MaxID && !strings.Contains(s, ":") && identifier(strings.ReplaceAll(s, "-", "_"))
}

// identifier reports whether s is letters, digits, '_', and ':' behind the name of
// a module.
func identifier(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == ':':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 128
}
