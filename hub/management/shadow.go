// SPDX-License-Identifier: Apache-2.0

package management

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openalink/iot/shadow"
)

// shadow answers with the document and its revision as ETag. With "at" it is the
// document as it was then.
func (a *api) shadow(w http.ResponseWriter, r *http.Request) error {
	doc, err := a.hub.Shadow(r.Context(), deviceOf(r))
	if err != nil {
		return err
	}
	at, err := timeOf(r, "at")
	if err != nil {
		return err
	}
	if !at.IsZero() && doc.Time().After(at) {
		if doc, err = a.shadowAt(r, at); err != nil {
			return err
		}
	}
	tag := etag(doc)
	if r.Header.Get("If-None-Match") == tag {
		w.Header().Set("ETag", tag)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeShadow(w, doc)
}

// shadowAt finds what the shadow was at a time, to the second.
func (a *api) shadowAt(r *http.Request, at time.Time) (*shadow.Document, error) {
	var then *shadow.Document
	for d, err := range a.hub.ShadowHistory(r.Context(), deviceOf(r), time.Time{}) {
		switch {
		case err != nil:
			return nil, err
		case !d.Time().After(at):
			then = d
			continue
		case then == nil && d.Revision() == 1:
			then = &shadow.Document{} // before the first change
		}
		break
	}
	if then == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "NotKept", Message: "the history does not reach back to " + at.UTC().Format(time.RFC3339)}
	}
	return then, nil
}

// shadowIn is what an application wishes.
type shadowIn struct {
	Desired json.RawMessage `json:"desired"`
	Version *int64          `json:"version"` // the wire's; without it one more than the stored
}

// replaceShadow makes the body all that is desired.
func (a *api) replaceShadow(w http.ResponseWriter, r *http.Request) error {
	return a.changeShadow(w, r, shadow.Replace)
}

// patchShadow merges the body into what is desired; null removes.
func (a *api) patchShadow(w http.ResponseWriter, r *http.Request) error {
	return a.changeShadow(w, r, shadow.Update)
}

func (a *api) changeShadow(w http.ResponseWriter, r *http.Request, request func([]byte) (*shadow.Request, error)) error {
	var in shadowIn
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.Desired == nil {
		return badRequest("desired is missing")
	}
	req, err := request(in.Desired)
	if err != nil {
		return err
	}
	if in.Version != nil {
		req.At(*in.Version)
	}
	condition, err := ifMatch(r)
	if err != nil {
		return err
	}
	doc, err := a.hub.UpdateShadow(r.Context(), deviceOf(r), req, condition)
	if err != nil {
		return err
	}
	return writeShadow(w, doc)
}

// shadowHistory lists versions, oldest first. The cursor is the revision of the
// last one a page had.
func (a *api) shadowHistory(r *http.Request) (any, error) {
	since, err := timeOf(r, "from")
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	after := uint64(0)
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		if after, err = strconv.ParseUint(cursor, 10, 64); err != nil {
			return nil, badRequest("cursor %q is none of a history", cursor)
		}
	}
	if _, err := a.hub.Device(r.Context(), deviceOf(r)); err != nil {
		return nil, err
	}
	out := page[json.RawMessage]{Items: []json.RawMessage{}}
	for doc, err := range a.hub.ShadowHistory(r.Context(), deviceOf(r), since) {
		switch {
		case err != nil:
			return nil, err
		case doc.Revision() <= after:
			continue
		case len(out.Items) == limit:
			out.Cursor = strconv.FormatUint(after, 10)
			return out, nil
		}
		out.Items, after = append(out.Items, doc.Append(nil)), doc.Revision()
	}
	return out, nil
}

func etag(d *shadow.Document) string { return `"` + strconv.FormatUint(d.Revision(), 10) + `"` }

// ifMatch reads the revision a change depends on; 0 is none.
func ifMatch(r *http.Request) (uint64, error) {
	tag := r.Header.Get("If-Match")
	if tag == "" || tag == "*" {
		return 0, nil
	}
	revision, err := strconv.ParseUint(strings.Trim(tag, `"`), 10, 64)
	if err != nil || revision == 0 {
		return 0, badRequest("If-Match %q is not an ETag of a shadow that was written", tag)
	}
	return revision, nil
}

func writeShadow(w http.ResponseWriter, d *shadow.Document) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", etag(d))
	_, err := w.Write(d.Append(nil))
	return err
}
