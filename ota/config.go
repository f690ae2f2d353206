// SPDX-License-Identifier: Apache-2.0

package ota

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openalink/iot/alink"
)

// MaxConfig is the documented size of a remote configuration (wire facts section
// 13.4).
const MaxConfig = 64 << 10

// Config tells a device of a remote configuration: the data of
// thing/config/get_reply and the params of thing/config/push. Either URL or
// Content is set.
type Config struct {
	ID      string
	Size    int64
	SHA256  string // lower-case hex; MD5 instead when a platform sends that
	MD5     string
	URL     string
	Content json.RawMessage
}

// configData is the wire form.
type configData struct {
	ConfigID   string          `json:"configId"`
	ConfigSize number          `json:"configSize"`
	Sign       string          `json:"sign"`
	SignMethod string          `json:"signMethod"`
	URL        string          `json:"url,omitempty"`
	GetType    string          `json:"getType"`
	Content    json.RawMessage `json:"content,omitempty"`
}

// AppendData appends the wire form. The sign method is exactly "Sha256", or
// "Md5" when there is no SHA256 (wire facts section 1 row 20).
func (c *Config) AppendData(dst []byte) ([]byte, error) {
	d := configData{
		ConfigID: c.ID, ConfigSize: number(c.Size), Sign: c.SHA256, SignMethod: SignSHA256, URL: c.URL, GetType: "file", Content: c.Content,
	}
	if c.SHA256 == "" {
		d.Sign, d.SignMethod = c.MD5, SignMD5
	}
	if c.URL == "" {
		d.GetType = "content"
	}
	raw, err := alink.Marshal(d)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return append(dst, raw...), nil
}

// ParseConfig reads the wire form, leniently as to the sign method. The error
// wraps ErrMessage.
func ParseConfig(data []byte) (Config, error) {
	var d configData
	if err := json.Unmarshal(data, &d); err != nil {
		return Config{}, fmt.Errorf("%w: configuration: %w", ErrMessage, err)
	}
	c := Config{ID: d.ConfigID, Size: int64(d.ConfigSize), URL: d.URL, Content: d.Content}
	sign := strings.ToLower(d.Sign)
	switch strings.ToLower(cmp.Or(d.SignMethod, SignSHA256)) {
	case "sha256":
		c.SHA256 = sign
	case "md5":
		c.MD5 = sign
	}
	switch {
	case c.SHA256 != "" && !isHex(c.SHA256, 64), c.MD5 != "" && !isHex(c.MD5, 32), c.SHA256+c.MD5 == "":
		return Config{}, fmt.Errorf("%w: sign %.80q by %.20q", ErrMessage, d.Sign, d.SignMethod)
	case c.URL == "" && c.Content == nil, c.Size < 0 || c.Size > MaxConfig:
		return Config{}, fmt.Errorf("%w: configuration of %d bytes at %.200q", ErrMessage, c.Size, c.URL)
	}
	return c, nil
}

// Verify checks the bytes of a configuration against size and digest. The error
// is ErrDigest.
func (c *Config) Verify(content []byte) error {
	d := newDigests()
	_, _ = d.Write(content) // a hash does not fail
	md5Hex, shaHex := d.hex()
	if c.Size != 0 && int64(len(content)) != c.Size || c.SHA256 != "" && c.SHA256 != shaHex || c.MD5 != "" && c.MD5 != md5Hex {
		return fmt.Errorf("%w: configuration %.40s", ErrDigest, c.ID)
	}
	return nil
}

// MarshalJSON writes a number: the zero too.
func (n number) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%d", int64(n)), nil }
