// SPDX-License-Identifier: Apache-2.0

package provision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/hub/provision"
	"github.com/openalink/iot/rules"
	"github.com/openalink/iot/rules/scene"
	"github.com/openalink/iot/store/mem"
)

func TestApplyScenes(t *testing.T) {
	st := mem.New()
	defer st.Close()
	h, err := hub.Open(t.Context(), hub.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	runner, err := h.Rules(t.Context(), rules.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	set, err := scene.Open(t.Context(), scene.Config{Runner: runner, Store: st, Platform: h.ForScenes()})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	f, err := provision.Read(strings.NewReader(`{"scenes":[
		{"id":"bad","actions":[{"type":"mail"}]},
		{"id":"inner","actions":[{"type":"alarm","text":"t"}]},
		{"id":"outer","triggers":[{"type":"every","every":"1h"}],"actions":[{"type":"scene","scene":"inner"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	err = f.ApplyScenes(t.Context(), set, func(l provision.Line) { lines = append(lines, l.String()) })
	if !errors.Is(err, scene.ErrInvalid) || len(lines) != 3 || !strings.Contains(lines[0], "scene bad") || len(set.Entries()) != 2 {
		t.Errorf("%v, %q, %+v", err, lines, set.Entries())
	}
}
