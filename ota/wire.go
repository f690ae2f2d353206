// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/openalink/iot/alink"
)

// Inform is what a device says it runs, on /ota/device/inform.
type Inform struct {
	Version string
	Module  string // DefaultModule when it names none
}

// ParseInform reads an inform. The error wraps ErrMessage.
func ParseInform(payload []byte) (Inform, error) {
	var p struct{ Version, Module string }
	if err := params(payload, &p); err != nil {
		return Inform{}, err
	}
	in := Inform{Version: p.Version, Module: cmp.Or(p.Module, DefaultModule)}
	if !ValidVersion(in.Version) || !ValidModule(in.Module) {
		return Inform{}, fmt.Errorf("%w: version %.80q of module %.80q", ErrMessage, in.Version, in.Module)
	}
	return in, nil
}

// AppendInform appends an inform as devices send it.
func AppendInform(dst []byte, id string, in Inform) ([]byte, error) {
	p := struct {
		Version string `json:"version"`
		Module  string `json:"module,omitempty"`
	}{in.Version, named(in.Module)}
	return appendRequest(dst, id, p)
}

// Progress is how far a device says it is, on /ota/device/progress.
type Progress struct {
	Step   Step
	Detail string
	Module string // DefaultModule when it names none
}

// ParseProgress reads a progress. The error wraps ErrMessage.
func ParseProgress(payload []byte) (Progress, error) {
	var p struct {
		Step   *Step
		Desc   string
		Module string
	}
	if err := params(payload, &p); err != nil {
		return Progress{}, err
	}
	out := Progress{Detail: p.Desc, Module: cmp.Or(p.Module, DefaultModule)}
	if p.Step == nil || !ValidModule(out.Module) {
		return Progress{}, fmt.Errorf("%w: progress without a step, or of module %.80q", ErrMessage, out.Module)
	}
	out.Step = *p.Step
	return out, nil
}

// AppendProgress appends a progress as devices send it.
func AppendProgress(dst []byte, id string, p Progress) ([]byte, error) {
	body := struct {
		Step   Step   `json:"step"`
		Desc   string `json:"desc"`
		Module string `json:"module,omitempty"`
	}{p.Step, p.Detail, named(p.Module)}
	return appendRequest(dst, id, body)
}

// ParseRequest reads what a device asks with on /ota/device/request and
// thing/ota/firmware/get: the module, and the version it has if it says so. The
// error wraps ErrMessage.
func ParseRequest(payload []byte) (Inform, error) {
	var p struct{ Version, Module string }
	if err := params(payload, &p); err != nil {
		return Inform{}, err
	}
	return Inform{Version: p.Version, Module: cmp.Or(p.Module, DefaultModule)}, nil
}

// params decodes the params of a request into v.
func params(payload []byte, v any) error {
	var m alink.Message
	if err := alink.Parse(payload, &m); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	raw := alink.LenientParams(m.Params)
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return nil
}

func appendRequest(dst []byte, id string, params any) ([]byte, error) {
	raw, err := alink.Marshal(params)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return fmt.Appendf(dst, `{"id":%q,"params":%s}`, id, raw), nil
}

// named is the module as the wire has it: the default one is not named.
func named(module string) string {
	if module == DefaultModule {
		return ""
	}
	return module
}

// The digests a Notice may be signed with. Devices compare these texts exactly
// (wire facts section 1 row 20).
const (
	SignMD5    = "Md5"
	SignSHA256 = "Sha256"
)

// Notice tells a device of a firmware (wire facts section 13.1). It is the data
// of /ota/device/upgrade, of the answer on /ota/device/request and of
// thing/ota/firmware/get_reply.
type Notice struct {
	Version string
	Module  string // DefaultModule when it names none
	Size    int64
	URL     string
	MD5     string // lower-case hex, as is SHA256
	SHA256  string
	// Sign is MD5 or SHA256, as SignMethod says; AppendData fills both from what is
	// there, MD5 first: that is what old devices read (row 20).
	SignMethod string
	Sign       string
	Signature  string // base64 over Package.Manifest; "digestsign" on the wire
	Diff       bool   // the file is a difference from From
	From       string
	// Stream and File name the file for the download over MQTT, when there is no URL
	// (wire facts section 13.2).
	Stream, File int64
	Ext          json.RawMessage // "extData", an object; nil when there is none
}

// noticeData is the wire form. The order of the members is that of the
// documents; devices that scan text need compact JSON.
type noticeData struct {
	Size         int64           `json:"size"`
	Version      string          `json:"version"`
	URL          string          `json:"url,omitempty"`
	MD5          string          `json:"md5,omitempty"`
	Sign         string          `json:"sign"`
	SignMethod   string          `json:"signMethod"`
	Module       string          `json:"module,omitempty"`
	IsDiff       int             `json:"isDiff,omitempty"`
	SrcVersion   string          `json:"srcVersion,omitempty"`
	DigestSign   string          `json:"digestsign,omitempty"`
	SHA256       string          `json:"sha256,omitempty"`
	Protocol     string          `json:"dProtocol,omitempty"`
	StreamID     int64           `json:"streamId,omitempty"`
	StreamFileID int64           `json:"streamFileId,omitempty"`
	ExtData      json.RawMessage `json:"extData,omitempty"`
}

// AppendData appends the notice as the data of an answer.
func (n *Notice) AppendData(dst []byte) ([]byte, error) {
	d := noticeData{
		Size: n.Size, Version: n.Version, URL: n.URL, Module: named(n.Module), SrcVersion: n.From,
		DigestSign: n.Signature, StreamID: n.Stream, StreamFileID: n.File, ExtData: n.Ext,
		Sign: n.Sign, SignMethod: n.SignMethod, SHA256: n.SHA256,
	}
	switch {
	case d.SignMethod == SignSHA256 || d.SignMethod == "" && n.MD5 == "":
		d.SignMethod, d.Sign = SignSHA256, cmp.Or(n.SHA256, n.Sign)
		d.SHA256 = ""
	default:
		d.SignMethod, d.Sign, d.MD5 = SignMD5, cmp.Or(n.MD5, n.Sign), cmp.Or(n.MD5, n.Sign)
	}
	if n.Diff {
		d.IsDiff = 1
	}
	if n.URL == "" {
		d.Protocol = "mqtt"
	}
	raw, err := alink.Marshal(d)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return append(dst, raw...), nil
}

// AppendUpgrade appends the message of /ota/device/upgrade and
// /ota/device/request: code as text, id as a number (wire facts section 1
// row 21). A nil notice says that there is nothing.
func AppendUpgrade(dst []byte, id uint32, n *Notice) ([]byte, error) {
	dst = fmt.Appendf(dst, `{"id":%d,"code":"1000","message":"success","data":`, id)
	if n == nil {
		return append(dst, "{}}"...), nil
	}
	dst, err := n.AppendData(dst)
	return append(dst, '}'), err
}

// ParseNotice reads a message with a notice, of whichever of the three topics,
// leniently: numbers may be text, digests in any case. ok is false when it says
// that there is no firmware. The error wraps ErrMessage.
func ParseNotice(payload []byte) (n Notice, ok bool, err error) {
	var m alink.Message
	if err := alink.Parse(payload, &m); err != nil {
		return n, false, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if m.HasCode && m.Code != alink.CodeOK && m.Code != codeUpgrade {
		return n, false, fmt.Errorf("%w: code %d", ErrMessage, m.Code)
	}
	return ParseNoticeData(m.Data)
}

// codeUpgrade is the success of /ota topics.
const codeUpgrade = 1000

// ParseNoticeData is ParseNotice for the data alone, as device.Client.Call
// returns it.
func ParseNoticeData(data []byte) (n Notice, ok bool, err error) {
	var d struct {
		Size, StreamID, StreamFileID, IsDiff number
		Version, URL, MD5, Sign, SignMethod  string
		Module, SrcVersion, DigestSign       string
		SHA256                               string
		ExtData                              json.RawMessage
		Files                                []struct {
			FileSize                   number
			FileURL, FileMD5, FileSign string
			StreamFileID               number
		}
	}
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		return n, false, nil
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return n, false, fmt.Errorf("%w: notice: %w", ErrMessage, err)
	}
	switch len(d.Files) {
	case 0:
	case 1:
		f := d.Files[0]
		d.Size, d.URL, d.MD5, d.Sign, d.StreamFileID = f.FileSize, f.FileURL, f.FileMD5, f.FileSign, f.StreamFileID
	default:
		return n, false, fmt.Errorf("%w: notice of %d files, one is understood", ErrMessage, len(d.Files))
	}
	if d.Version == "" && d.URL == "" {
		return n, false, nil
	}
	n = Notice{
		Version: d.Version, Module: cmp.Or(d.Module, DefaultModule), Size: int64(d.Size), URL: d.URL, Signature: d.DigestSign,
		MD5: strings.ToLower(d.MD5), SHA256: strings.ToLower(d.SHA256), Sign: strings.ToLower(d.Sign), SignMethod: d.SignMethod,
		Diff: d.IsDiff != 0, From: d.SrcVersion, Stream: int64(d.StreamID), File: int64(d.StreamFileID), Ext: d.ExtData,
	}
	return n, true, n.check()
}

// check fills the digests from the sign and looks at what must be there.
func (n *Notice) check() error {
	switch strings.ToLower(strings.ReplaceAll(n.SignMethod, "-", "")) {
	case "sha256":
		n.SHA256 = cmp.Or(n.SHA256, n.Sign)
	case "md5", "":
		n.MD5 = cmp.Or(n.MD5, n.Sign)
	default:
		return fmt.Errorf("%w: sign method %.20q", ErrMessage, n.SignMethod)
	}
	switch {
	case !ValidVersion(n.Version) || !ValidModule(n.Module):
		return fmt.Errorf("%w: version %.80q of module %.80q", ErrMessage, n.Version, n.Module)
	case n.Size <= 0:
		return fmt.Errorf("%w: size %d", ErrMessage, n.Size)
	case n.MD5 == "" && n.SHA256 == "", n.MD5 != "" && !isHex(n.MD5, 32), n.SHA256 != "" && !isHex(n.SHA256, 64):
		return fmt.Errorf("%w: digests %.40q, %.80q", ErrMessage, n.MD5, n.SHA256)
	case n.URL == "" && n.Stream == 0:
		return fmt.Errorf("%w: neither an address nor a stream", ErrMessage)
	}
	return nil
}

func isHex(s string, size int) bool {
	return len(s) == size && strings.Trim(s, "0123456789abcdef") == ""
}

// number is a JSON number or its text.
type number int64

// UnmarshalJSON takes both.
func (n *number) UnmarshalJSON(b []byte) error {
	if text := string(bytes.Trim(b, `"`)); text != "" && text != "null" {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: number %.20q", ErrMessage, b)
		}
		*n = number(v)
	}
	return nil
}
