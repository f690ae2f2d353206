// SPDX-License-Identifier: Apache-2.0

package webauth

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
)

// Platform is what a Handler asks. *hub.Hub is one.
type Platform interface {
	hal.Tokens
	hal.Registrar
}

// Config says whom a Handler speaks for.
type Config struct {
	Platform Platform
	// Host and Port are where devices are sent to for MQTT. An empty Host is that of
	// the request.
	Host string
	Port int
	// TimestampWindow refuses a timestamp that is further off, for devices with a
	// clock; zero takes any, since devices send the year 2050 or their uptime (wire
	// facts section 1 row 16).
	TimestampWindow time.Duration
	// Logger hears of answers that could not be written; nil discards.
	Logger *slog.Logger
}

// Handler serves the paths below /auth that come before a connection:
//
//	POST /auth/register/device   productKey, deviceName, random, sign, signMethod
//	POST /auth/devicename        productKey, deviceName, clientId, sign, ...
//	POST /auth/bootstrap         productKey, deviceName, ...; unsigned
//	GET  /auth/bootstrap/regionId/{region}
//
// Every answer is HTTP 200 with a code of the documents in compact JSON: devices
// read it into buffers of 256 bytes.
type Handler struct {
	cfg Config
	mux *http.ServeMux
}

// New makes a Handler. It fails without a platform.
func New(cfg Config) (*Handler, error) {
	if cfg.Platform == nil {
		return nil, errors.New("webauth: Config.Platform is nil")
	}
	if cfg.Port == 0 {
		cfg.Port = 1883
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{cfg: cfg, mux: http.NewServeMux()}
	h.mux.HandleFunc("POST /auth/register/device", h.register)
	h.mux.HandleFunc("POST /auth/devicename", h.preAuth)
	h.mux.HandleFunc("POST /auth/bootstrap", h.bootstrap)
	h.mux.HandleFunc("GET /auth/bootstrap/regionId/{region}", h.bootstrap)
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// maxForm is the largest request.
const maxForm = 8 << 10

// answer is the body of every answer. data comes before message, as the platform
// writes it.
type answer struct {
	Code    alink.Code `json:"code"`
	Data    any        `json:"data,omitempty"`
	ID      int        `json:"id,omitempty"`
	Message string     `json:"message"`
}

func (h *Handler) write(w http.ResponseWriter, a answer) {
	if a.Message == "" {
		a.Message = a.Code.String()
	}
	body, err := alink.Marshal(a)
	if err != nil {
		body = []byte(`{"code":500,"message":"system error"}`)
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	if _, err := w.Write(body); err != nil {
		h.cfg.Logger.Debug("answer not written", "error", err)
	}
}

func (h *Handler) fail(w http.ResponseWriter, code alink.Code) { h.write(w, answer{Code: code}) }

// bodyTimeout is how long a body may take to arrive.
const bodyTimeout = 10 * time.Second

// form reads the parameters of a request. Keys have no case, since SDKs differ
// in it; of equal ones the last counts.
func form(w http.ResponseWriter, r *http.Request) (map[string]auth.Param, bool) {
	// What does not support deadlines has none: a recorder in a test.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, false
	}
	params := make(map[string]auth.Param, len(r.PostForm))
	for k, v := range r.PostForm {
		params[strings.ToLower(k)] = auth.Param{Key: k, Value: v[len(v)-1]}
	}
	return params, true
}

// proofOf makes a proof of what was signed: all parameters but those named.
func proofOf(r *http.Request, params map[string]auth.Param, unsigned ...string) (*hal.Proof, alink.Code) {
	p := &hal.Proof{
		Device: iot.DeviceID{Product: params["productkey"].Value, Name: params["devicename"].Value},
		Sign:   params["sign"].Value, RemoteAddr: addrOf(r),
	}
	if p.Device.Validate() != nil || p.Sign == "" {
		return nil, alink.CodeBadParams
	}
	for k, v := range params {
		if !slices.Contains(unsigned, k) {
			p.Params = append(p.Params, v)
		}
	}
	var err error
	if p.Method, err = auth.ParseMethod(params["signmethod"].Value); err != nil {
		return nil, alink.CodeBadSignMethod
	}
	return p, alink.CodeOK
}

func addrOf(r *http.Request) net.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(ap)
}

// register serves dynamic registration (wire facts section 4.3).
func (h *Handler) register(w http.ResponseWriter, r *http.Request) {
	params, ok := form(w, r)
	if !ok || params["random"].Value == "" {
		h.fail(w, alink.CodeBadParams)
		return
	}
	p, code := proofOf(r, params, "sign", "signmethod")
	if code != alink.CodeOK {
		h.fail(w, code)
		return
	}
	secret, err := h.cfg.Platform.Enroll(r.Context(), p)
	if err != nil {
		h.fail(w, alink.ErrorReply(err).Code)
		return
	}
	h.write(w, answer{Code: alink.CodeOK, Data: struct {
		ProductKey   string `json:"productKey"`
		DeviceName   string `json:"deviceName"`
		DeviceSecret string `json:"deviceSecret"`
	}{p.Device.Product, p.Device.Name, secret.Reveal()}})
}

// preAuth serves the pre-authentication (wire facts section 4.1).
func (h *Handler) preAuth(w http.ResponseWriter, r *http.Request) {
	params, ok := form(w, r)
	if !ok || params["clientid"].Value == "" || utf8.RuneCountInString(params["clientid"].Value) > auth.MaxClientID || !h.fresh(params["timestamp"].Value) {
		h.fail(w, alink.CodeBadParams)
		return
	}
	p, code := proofOf(r, params, "sign", "signmethod", "version", "resources")
	if code != alink.CodeOK {
		h.fail(w, alink.CodeBadParams) // this exchange knows no other
		return
	}
	g, err := h.cfg.Platform.IssueToken(r.Context(), p, auth.UseConnect)
	if err != nil {
		h.fail(w, preAuthCode(err))
		return
	}
	data := struct {
		IotID     string    `json:"iotId"`
		IotToken  string    `json:"iotToken"`
		Resources *resource `json:"resources,omitempty"`
	}{IotID: g.IotID, IotToken: g.Token.Reveal()}
	if strings.Contains(params["resources"].Value, "mqtt") {
		data.Resources = h.resource(r)
	}
	h.write(w, answer{Code: alink.CodeOK, Data: data})
}

func preAuthCode(err error) alink.Code {
	refused, ok := errors.AsType[*hal.RefusedError](err)
	switch {
	case errors.Is(err, auth.ErrUnknownDevice):
		return alink.CodeMetaDeviceNotFound
	case errors.Is(err, hal.ErrOtherAuth):
		return alink.CodeAuthTypeMismatch
	case errors.Is(err, auth.ErrBadSign), errors.Is(err, auth.ErrBadMethod), ok && refused.Reason == hal.NotAuthorized:
		return alink.CodeUnauthorized
	}
	return alink.CodeInternal
}

// fresh reports whether a timestamp in milliseconds is inside the window, if
// there are both.
func (h *Handler) fresh(text string) bool {
	if h.cfg.TimestampWindow <= 0 || text == "" {
		return true
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	return err == nil && time.Since(time.UnixMilli(ms)).Abs() <= h.cfg.TimestampWindow
}

// resource tells where MQTT is.
type resource struct {
	MQTT struct {
		Host string `json:"host"`
		Port int    `json:"port"`
	} `json:"mqtt"`
}

func (h *Handler) resource(r *http.Request) *resource {
	var out resource
	out.MQTT.Host, out.MQTT.Port = h.cfg.Host, h.cfg.Port
	if out.MQTT.Host == "" {
		out.MQTT.Host = r.Host
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			out.MQTT.Host = host
		}
	}
	return &out
}

// bootstrap tells anybody where to connect (wire facts section 4.2).
func (h *Handler) bootstrap(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		params, ok := form(w, r)
		if id := (iot.DeviceID{Product: params["productkey"].Value, Name: params["devicename"].Value}); !ok || id.Validate() != nil {
			h.fail(w, alink.CodeBadParams)
			return
		}
	}
	h.write(w, answer{Code: alink.CodeOK, ID: 1, Data: struct {
		Resources *resource `json:"resources"`
	}{h.resource(r)}})
}
