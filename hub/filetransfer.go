// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/ota"
	"github.com/openalink/iot/topic"
)

// Files take the files devices upload over MQTT (wire facts section 13.3).
type Files interface {
	// Create opens a file for a device. What is written to it counts when Close
	// returns nil; Discard is called instead when the upload does not end well.
	Create(ctx context.Context, device iot.DeviceID, name string) (File, error)
}

// File is an upload in the making. One goroutine uses it at a time; writes are
// in order, without gaps.
type File interface {
	io.WriteCloser
	Discard() error
}

// The bounds of uploads.
const (
	maxUploads     = 256              // at once
	uploadPatience = 30 * time.Minute // without a block
	codeFile       = alink.CodeBadParams
	codeBusy       = alink.Code(429)
)

// upload is a file that is arriving.
type upload struct {
	id      string
	device  iot.DeviceID
	name    string
	size    int64 // -1 unknown
	sum     string
	mu      sync.Mutex
	file    File
	at      int64
	crc     hash.Hash64
	touched time.Time
	done    bool
}

// uploads are those of a hub.
type uploads struct {
	mu  sync.Mutex
	all map[string]*upload
}

// file serves thing/file/...: bytes that the workers must not wait for. The
// request is answered over the session when it is done.
func (sh *shard) file(b *batch, s *session, t *topic.Topic, m *iot.Message, r *result) error {
	u := sh.h.ota
	serve := map[string]func(*session, []byte) []byte{
		"thing/file/download": u.download, "thing/file/upload/mqtt/init": u.uploadInit,
		"thing/file/upload/mqtt/send": u.uploadSend, "thing/file/upload/mqtt/cancel": u.uploadCancel,
	}[t.Path]
	if serve == nil || s.req != nil { // the answer comes later, over a connection
		s.reject(*m, CauseUnknownMethod, errNotServed.Error())
		return &hal.RejectedError{Err: errNotServed}
	}
	payload := bytes.Clone(m.Payload)
	name := topic.Reply(strings.Clone(t.Name))
	select {
	case u.files <- struct{}{}:
	default:
		s.reject(*m, CauseRateLimit, "transfers of files at once")
		return &hal.RejectedError{Err: ErrThrottled}
	}
	if t.Path == "thing/file/upload/mqtt/init" {
		b.record(s.d, "", r.id, m, m.Payload)
	}
	if !u.begin(func() {
		defer func() { <-u.files }()
		u.transfer(s, name, payload, serve)
	}) {
		<-u.files
		return errSessionEnded
	}
	return nil
}

// transfer serves one message of a transfer, on a goroutine of its own.
func (u *updates) transfer(s *session, name string, payload []byte, serve func(*session, []byte) []byte) {
	defer func() {
		if p := recover(); p != nil {
			u.h.logger.Error("transfer panicked", "device", s.d.key, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	answer := serve(s, payload)
	if _, ok := s.subs.Load().wants(name, true); ok {
		s.sendNow(u.h.ctx, iot.Message{Topic: name, Payload: answer}, func(error) {})
	}
}

// download answers with a block of a package the device is updated with. The
// request of old devices has a comma too many (wire facts section 1 row 24).
func (u *updates) download(s *session, payload []byte) []byte {
	var q struct {
		ID     json.RawMessage
		Params struct {
			FileToken string
			FileInfo  struct{ StreamID, FileID int64 }
			FileBlock struct{ Size, Offset int64 }
		}
	}
	err := json.Unmarshal(commas.ReplaceAll(payload, []byte("$1")), &q)
	block := &q.Params.FileBlock
	if err != nil || block.Size < 1 || block.Size > ota.MaxBlock || block.Offset < 0 {
		return fileReply(alink.FileDownload, q.ID, codeFile, "fileBlock is not 256 bytes to 128 KB", nil)
	}
	p, data, err := u.readBlock(s.d.id, q.Params.FileInfo.StreamID, block.Offset, block.Size)
	u.logBlock(s, p, block.Offset, len(data), err)
	if err != nil {
		return ota.AppendFrame(nil, fileReply(alink.FileDownload, q.ID, codeFile, "no such file for this device", nil), nil)
	}
	info := fmt.Appendf(nil, `{"bOffset":%d,"bSize":%d,"fileLength":%d`, block.Offset, len(data), p.Size)
	if q.Params.FileToken != "" {
		info = append(append(info, `,"fileToken":`...), jsonText(q.Params.FileToken)...)
	}
	return ota.AppendFrame(nil, fileReply(alink.FileDownload, q.ID, alink.CodeOK, "success", append(info, '}')), data)
}

// commas are those before a closing brace.
var commas = regexp.MustCompile(`,(\s*[}\]])`)

func (u *updates) readBlock(id iot.DeviceID, stream, offset, size int64) (p ota.Package, data []byte, err error) {
	e, err := u.h.store.Get(u.h.ctx, []byte(prefixStream+strconv.FormatInt(stream, 10)))
	if err != nil || len(e.Value) == 0 {
		return p, nil, errors.Join(ota.ErrNoBlob, err)
	}
	p, ok := u.openPackage(id, string(e.Value[1:]))
	if !ok {
		return p, nil, ota.ErrNotAllowed
	}
	if offset >= p.Size {
		return p, nil, fmt.Errorf("%w: offset %d of %d", ota.ErrMessage, offset, p.Size)
	}
	f, err := u.cfg.Blobs.Open(u.h.ctx, p.ID)
	if err != nil {
		return p, nil, err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return p, nil, err
	}
	data = make([]byte, min(size, p.Size-offset))
	_, err = io.ReadFull(f, data)
	return p, data, err
}

// logBlock logs the first and the last block of a download, and what is refused.
func (u *updates) logBlock(s *session, p ota.Package, offset int64, n int, err error) {
	e := LogEntry{Device: s.d.id, Kind: Downstream, Operation: OpDownload, Status: Success, Topic: p.ID}
	if err != nil {
		e.Status, e.Cause, e.Detail = Failure, CauseNoAuthorization, err.Error()
	} else if offset > 0 && offset+int64(n) < p.Size {
		return
	} else {
		e.Detail = fmt.Sprintf("MQTT, %d bytes at %d of %d", n, offset, p.Size)
	}
	u.h.log(e)
}

// fileReply writes the JSON of an answer. id is as it came.
func fileReply(method alink.Method, id json.RawMessage, code alink.Code, message string, data []byte) []byte {
	r := alink.Reply{ID: strings.Trim(string(id), `"`), Code: code, Message: message, Method: string(method), Data: data}
	return alink.AppendReply(nil, &r)
}

// fileName is what a file may be called: 1 to 100 bytes (section 13.3).
var fileName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_.]{0,99}$`)

// uploadInit begins an upload.
func (u *updates) uploadInit(s *session, payload []byte) []byte {
	var q struct {
		ID     json.RawMessage
		Params struct {
			FileName          string
			FileSize          *int64
			ConflictStrategy  string
			FicMode, FicValue string
		}
	}
	if err := json.Unmarshal(payload, &q); err != nil || !fileName.MatchString(q.Params.FileName) {
		return fileReply(alink.FileUploadInit, q.ID, codeFile, "fileName must be letters, digits, dots and underscores", nil)
	}
	size := int64(-1)
	if q.Params.FileSize != nil {
		size = *q.Params.FileSize
	}
	switch {
	case u.h.files == nil:
		return fileReply(alink.FileUploadInit, q.ID, codeFile, "uploads are not taken here", nil)
	case size > ota.MaxMQTTFile || size == 0 || size < -1:
		return fileReply(alink.FileUploadInit, q.ID, codeFile, "fileSize must be 1 byte to 16 MB", nil)
	case q.Params.ConflictStrategy == "append":
		return fileReply(alink.FileUploadInit, q.ID, codeFile, "conflictStrategy append is not served", nil)
	case q.Params.FicMode != "" && !strings.EqualFold(q.Params.FicMode, "crc64"):
		return fileReply(alink.FileUploadInit, q.ID, codeFile, "ficMode must be crc64", nil)
	}
	up := &upload{
		id: strings.ToLower(rand.Text()), device: s.d.id, name: q.Params.FileName, size: size, sum: q.Params.FicValue,
		crc: crc64.New(crc64.MakeTable(crc64.ECMA)), touched: time.Now(),
	}
	var err error
	if up.file, err = u.h.files.Create(u.h.ctx, s.d.id, up.name); err != nil {
		return fileReply(alink.FileUploadInit, q.ID, alink.CodeInternal, "file cannot be made", nil)
	}
	if !u.uploads.add(up) {
		up.discard()
		return fileReply(alink.FileUploadInit, q.ID, codeBusy, "too many uploads", nil)
	}
	return fileReply(alink.FileUploadInit, q.ID, alink.CodeOK, "success", jsonText(map[string]any{"fileName": up.name, "uploadId": up.id, "offset": 0}))
}

// uploadSend takes a block.
func (u *updates) uploadSend(s *session, payload []byte) []byte {
	header, data, err := ota.ParseFrame(payload)
	var q struct {
		ID     json.RawMessage
		Params struct {
			UploadID      string
			Offset, BSize int64
			IsComplete    bool
		}
	}
	if jsonErr := json.Unmarshal(header, &q); jsonErr != nil {
		return fileReply(alink.FileUploadSend, nil, codeFile, "block cannot be read", nil)
	}
	if err != nil || int64(len(data)) != q.Params.BSize || len(data) > ota.MaxBlock || len(data) < ota.MinBlock && !q.Params.IsComplete {
		return fileReply(alink.FileUploadSend, q.ID, codeFile, "block is damaged or not 256 bytes to 128 KB", nil)
	}
	up := u.uploads.find(q.Params.UploadID, s.d.id)
	if up == nil {
		return fileReply(alink.FileUploadSend, q.ID, codeFile, "no such upload", nil)
	}
	out, err := up.take(q.Params.Offset, data, q.Params.IsComplete)
	if up.done {
		u.uploads.remove(up)
	}
	if err != nil {
		return fileReply(alink.FileUploadSend, q.ID, codeFile, err.Error(), nil)
	}
	return fileReply(alink.FileUploadSend, q.ID, alink.CodeOK, "success", jsonText(out))
}

// take writes a block behind those before. One that was taken already is
// answered again: its answer was lost.
func (up *upload) take(offset int64, data []byte, last bool) (map[string]any, error) {
	up.mu.Lock()
	defer up.mu.Unlock()
	out := map[string]any{"uploadId": up.id, "offset": offset, "bSize": len(data)}
	end := offset + int64(len(data))
	switch {
	case up.done:
		return nil, errors.New("upload is over")
	case offset >= 0 && end <= up.at && !last:
		return out, nil
	case offset != up.at:
		return nil, fmt.Errorf("offset must be %d", up.at)
	case end > ota.MaxMQTTFile || up.size >= 0 && end > up.size || last && up.size >= 0 && end != up.size:
		return nil, up.fail("file has another size than was said")
	}
	if _, err := up.file.Write(data); err != nil {
		return nil, up.fail("file cannot be written")
	}
	_, _ = up.crc.Write(data) // a hash does not fail
	up.at, up.touched = end, time.Now()
	if !last {
		return out, nil
	}
	sum := fmt.Sprintf("%016X", up.crc.Sum64())
	if up.sum != "" && !strings.EqualFold(sum, up.sum) {
		return nil, up.fail("checksum of the file does not match")
	}
	up.done = true
	if err := up.file.Close(); err != nil {
		return nil, errors.New("file cannot be kept")
	}
	out["complete"], out["ficMode"], out["ficValueClient"], out["ficValueServer"] = true, "crc64", up.sum, sum
	return out, nil
}

// fail ends an upload; the lock is held.
func (up *upload) fail(why string) error {
	up.done = true
	_ = up.file.Discard() // the device hears of why
	return errors.New(why)
}

// uploadCancel ends an upload at the wish of the device.
func (u *updates) uploadCancel(s *session, payload []byte) []byte {
	var q struct {
		ID     json.RawMessage
		Params struct{ UploadID string }
	}
	if err := json.Unmarshal(payload, &q); err != nil {
		return fileReply(alink.FileUploadCancel, q.ID, codeFile, "uploadId is missing", nil)
	}
	up := u.uploads.find(q.Params.UploadID, s.d.id)
	if up == nil {
		return fileReply(alink.FileUploadCancel, q.ID, codeFile, "no such upload", nil)
	}
	up.discard()
	u.uploads.remove(up)
	return fileReply(alink.FileUploadCancel, q.ID, alink.CodeOK, "success", jsonText(map[string]string{"uploadId": up.id}))
}

func (up *upload) discard() {
	up.mu.Lock()
	defer up.mu.Unlock()
	if !up.done {
		_ = up.fail("cancelled")
	}
}

// add takes an upload in if there is room, dropping those nobody goes on with.
func (l *uploads) add(up *upload) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]*upload{}
	}
	for id, old := range l.all {
		old.mu.Lock()
		idle := time.Since(old.touched) > uploadPatience
		old.mu.Unlock()
		if idle || old.device == up.device && old.name == up.name {
			delete(l.all, id)
			old.discard()
		}
	}
	if len(l.all) >= maxUploads {
		return false
	}
	l.all[up.id] = up
	return true
}

func (l *uploads) remove(up *upload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, up.id)
}

// find returns an upload of a device, nil when it has no such one.
func (l *uploads) find(id string, device iot.DeviceID) *upload {
	l.mu.Lock()
	defer l.mu.Unlock()
	if up := l.all[id]; up != nil && up.device == device {
		return up
	}
	return nil
}

// close drops what did not end.
func (l *uploads) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, up := range l.all {
		up.discard()
	}
	clear(l.all)
}
