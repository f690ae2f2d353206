// SPDX-License-Identifier: Apache-2.0

package webauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
)

// Client is a device's side. It fits device.Config.Registrar and
// device.Config.PreAuth. It is safe for concurrent use.
type Client struct {
	// URL is where the platform answers, such as
	// "https://iot-auth.cn-shanghai.aliyuncs.com".
	URL string
	// HTTP sends the requests; nil is a client of its own with a time-out of ten
	// seconds.
	HTTP *http.Client
}

// maxAnswer is the longest answer read.
const maxAnswer = 64 << 10

// Register fetches the DeviceSecret of a device that was made beforehand. A
// refusal is an *alink.CodeError.
func (c *Client) Register(ctx context.Context, id iot.DeviceID, product auth.Secret) (auth.Secret, error) {
	random := rand.Text()[:16]
	sign := auth.Sign(auth.HMACSHA256, product, auth.Param{Key: "deviceName", Value: id.Name},
		auth.Param{Key: "productKey", Value: id.Product}, auth.Param{Key: "random", Value: random})
	var out struct {
		ProductKey   string      `json:"productKey"`
		DeviceName   string      `json:"deviceName"`
		DeviceSecret auth.Secret `json:"deviceSecret"`
	}
	err := c.post(ctx, "/auth/register/device", url.Values{
		"productKey": {id.Product}, "deviceName": {id.Name}, "random": {random},
		"signMethod": {auth.HMACSHA256.String()}, "sign": {sign},
	}, &out)
	if err != nil {
		return auth.Secret{}, err
	}
	if out.ProductKey != id.Product || out.DeviceName != id.Name || out.DeviceSecret.IsZero() {
		return auth.Secret{}, errors.New("webauth: the answer is about another device")
	}
	return out.DeviceSecret, nil
}

// Ticket is what a pre-authentication gives.
type Ticket struct {
	IotID    string
	IotToken auth.Secret // good for seven days
	Host     string      // where MQTT is, empty when the platform did not tell
	Port     int
}

// Ticket proves a device to the platform and returns what it logs in with. A
// refusal is an *alink.CodeError.
func (c *Client) Ticket(ctx context.Context, id iot.DeviceID, secret auth.Secret) (Ticket, error) {
	params := []auth.Param{
		{Key: "clientId", Value: id.Product + "." + id.Name},
		{Key: "deviceName", Value: id.Name},
		{Key: "productKey", Value: id.Product},
		{Key: "timestamp", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)},
	}
	values := url.Values{
		"version": {"default"}, "resources": {"mqtt"}, "signmethod": {auth.HMACSHA256.String()},
		"sign": {auth.Sign(auth.HMACSHA256, secret, params...)},
	}
	for _, p := range params {
		values.Set(p.Key, p.Value)
	}
	var out struct {
		IotID     string      `json:"iotId"`
		IotToken  auth.Secret `json:"iotToken"`
		Resources resource    `json:"resources"`
	}
	if err := c.post(ctx, "/auth/devicename", values, &out); err != nil {
		return Ticket{}, err
	}
	return Ticket{out.IotID, out.IotToken, out.Resources.MQTT.Host, out.Resources.MQTT.Port}, nil
}

// PreAuth is Ticket for devices that know where MQTT is.
func (c *Client) PreAuth(ctx context.Context, id iot.DeviceID, secret auth.Secret) (userName string, token auth.Secret, err error) {
	t, err := c.Ticket(ctx, id, secret)
	return t.IotID, t.IotToken, err
}

// Bootstrap asks where a device is to connect.
func (c *Client) Bootstrap(ctx context.Context, id iot.DeviceID) (host string, port int, err error) {
	var out struct {
		Resources resource `json:"resources"`
	}
	err = c.post(ctx, "/auth/bootstrap", url.Values{
		"productKey": {id.Product}, "deviceName": {id.Name}, "clientId": {id.Product + "." + id.Name}, "resources": {"mqtt"},
	}, &out)
	return out.Resources.MQTT.Host, out.Resources.MQTT.Port, err
}

func (c *Client) post(ctx context.Context, path string, values url.Values, data any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+path, strings.NewReader(values.Encode()))
	if err != nil {
		return fmt.Errorf("webauth: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second}
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("webauth: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("webauth: %w", err)
	}
	return readAnswer(raw, data)
}

// readAnswer takes an answer apart. What it says is not repeated in errors: it
// may hold a secret.
func readAnswer(raw []byte, data any) error {
	var a struct {
		Code    alink.Code      `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(raw, &a) != nil || a.Code == 0 {
		return errors.New("webauth: the answer cannot be read")
	}
	if a.Code != alink.CodeOK {
		return &alink.CodeError{Code: a.Code, Message: a.Message}
	}
	if json.Unmarshal(a.Data, data) != nil {
		return errors.New("webauth: the answer cannot be read")
	}
	return nil
}
