// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/topic"
)

// GatewayConfig is what a Gateway is made of: that of its own connection, and
// what concerns sub-devices. The zero value of everything but Config is a good
// choice.
type GatewayConfig struct {
	Config
	// AddSubDevices takes the platform's wish that the gateway binds sub-devices
	// (thing.topo.add.notify).
	AddSubDevices func(ctx context.Context, ids []iot.DeviceID) error
	// TopologyChanged hears that the platform bound, freed, enabled or disabled
	// sub-devices (thing.topo.change).
	TopologyChanged func(ctx context.Context, c TopologyChange)
	// Permit is told to let devices of a product join for a while, or, with zero, no
	// more (thing.gateway.permit).
	Permit func(ctx context.Context, productKey string, d time.Duration) error

	// LoginRate is how many login requests a second the gateway sends at most, and
	// LoginBatch how many sub-devices one carries, at most 5. Zero is 25 and 5: the
	// documented limit of 30 messages a second leaves room for others.
	LoginRate, LoginBatch int
	// UnbindIdle has the gateway unbind sub-devices that have no Client here when the
	// platform has no room for one more (6400). They are bound again when they connect.
	// It is for gateways whose sub-devices come and go and may use another.
	UnbindIdle bool
}

// TopologyChange is what the platform did to sub-devices of a gateway.
type TopologyChange struct {
	Status  TopologyStatus
	Devices []iot.DeviceID
}

// TopologyStatus tells what happened to sub-devices.
type TopologyStatus int

// The kinds of TopologyChange (wire facts section 12.5).
const (
	TopologyAdded    TopologyStatus = 0
	TopologyRemoved  TopologyStatus = 1
	TopologyEnabled  TopologyStatus = 2
	TopologyDisabled TopologyStatus = 8
)

// Gateway is a device that carries others, its sub-devices, over its own
// connection. Its own conversation is that of its Client. It is safe for
// concurrent use.
type Gateway struct {
	*Client
	logins logins

	mu     sync.Mutex
	subs   map[iot.DeviceID]*subDevice
	bound  map[iot.DeviceID]bool // as the platform told; nil before
	closed bool
}

// NewGateway makes a Gateway. It fails when the configuration is not usable, and
// touches nothing outside.
func NewGateway(cfg GatewayConfig) (*Gateway, error) {
	g := &Gateway{subs: make(map[iot.DeviceID]*subDevice)}
	if err := cfg.Config.check(); err != nil {
		return nil, err
	}
	if err := g.logins.init(&cfg); err != nil {
		return nil, err
	}
	rest := cfg.Handlers.Request
	cfg.Handlers.Request = func(ctx context.Context, path string, params json.RawMessage) (any, error) {
		return cfg.request(ctx, path, params, rest)
	}
	g.Client = newClient(cfg.Config, requestQueue)
	g.gw = g
	return g, nil
}

// request serves what the platform asks of gateways.
func (cfg *GatewayConfig) request(ctx context.Context, path string, params json.RawMessage, rest func(context.Context, string, json.RawMessage) (any, error)) (any, error) {
	switch {
	case path == "thing/topo/add/notify" && cfg.AddSubDevices != nil:
		var list []named
		if json.Unmarshal(params, &list) != nil {
			return nil, &alink.CodeError{Code: alink.CodeBadParams, Message: "params must name devices"}
		}
		return nil, cfg.AddSubDevices(ctx, idsOf(list))
	case path == "thing/topo/change" && cfg.TopologyChanged != nil:
		var in struct {
			Status  TopologyStatus `json:"status"`
			SubList []named        `json:"subList"`
		}
		if json.Unmarshal(params, &in) != nil {
			return nil, &alink.CodeError{Code: alink.CodeBadParams, Message: "params must tell a change"}
		}
		cfg.TopologyChanged(ctx, TopologyChange{in.Status, idsOf(in.SubList)})
		return nil, nil
	case path == "thing/gateway/permit" && cfg.Permit != nil:
		var in struct {
			ProductKey string `json:"productKey"`
			Time       int    `json:"time"`
		}
		if json.Unmarshal(params, &in) != nil {
			return nil, &alink.CodeError{Code: alink.CodeBadParams, Message: "params must name a product"}
		}
		return nil, cfg.Permit(ctx, in.ProductKey, time.Duration(in.Time)*time.Second)
	case rest != nil:
		return rest(ctx, path, params)
	}
	return nil, errNoHandler
}

// named is how requests name a device.
type named struct {
	ProductKey string `json:"productKey"`
	DeviceName string `json:"deviceName"`
}

func nameOf(id iot.DeviceID) named { return named{id.Product, id.Name} }

func namesOf(ids []iot.DeviceID) []named {
	list := make([]named, 0, len(ids))
	for _, id := range ids {
		list = append(list, nameOf(id))
	}
	return list
}

func idsOf(list []named) []iot.DeviceID {
	ids := make([]iot.DeviceID, 0, len(list))
	for _, n := range list {
		ids = append(ids, iot.DeviceID{Product: n.ProductKey, Name: n.DeviceName})
	}
	return ids
}

// Register fetches the DeviceSecrets of sub-devices that were made at the
// platform, once for each of them: keep them. Errors are those of Call.
func (g *Gateway) Register(ctx context.Context, ids ...iot.DeviceID) ([]hal.Identity, error) {
	raw, err := g.Call(ctx, alink.SubRegister.Path(), namesOf(ids))
	if err != nil {
		return nil, err
	}
	var list []struct {
		named
		DeviceSecret auth.Secret `json:"deviceSecret"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("device: answer of the platform: %w", err)
	}
	out := make([]hal.Identity, 0, len(list))
	for _, e := range list {
		out = append(out, hal.Identity{Device: iot.DeviceID{Product: e.ProductKey, Name: e.DeviceName}, DeviceSecret: e.DeviceSecret})
	}
	return out, nil
}

// registerSub registers one sub-device: with its product's secret if it has that.
func (g *Gateway) registerSub(ctx context.Context, id hal.Identity) (auth.Secret, error) {
	if !id.ProductSecret.IsZero() {
		return g.productRegister(ctx, id)
	}
	list, err := g.Register(ctx, id.Device)
	if err != nil {
		return auth.Secret{}, err
	}
	if len(list) != 1 || list[0].Device != id.Device {
		return auth.Secret{}, fmt.Errorf("device: the platform did not register %v", id.Device)
	}
	return list[0].DeviceSecret, nil
}

// Topology returns the sub-devices bound to the gateway, as the platform has them.
func (g *Gateway) Topology(ctx context.Context) ([]iot.DeviceID, error) {
	raw, err := g.Call(ctx, alink.TopoGet.Path(), struct{}{})
	if err != nil {
		return nil, err
	}
	var list []named
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("device: answer of the platform: %w", err)
	}
	return idsOf(list), nil
}

// Bind makes devices sub-devices of the gateway; each signs with its secret.
// Connecting a sub-device binds it by itself. Errors are those of Call.
func (g *Gateway) Bind(ctx context.Context, subs ...hal.Identity) error {
	list := make([]map[string]string, 0, len(subs))
	for _, s := range subs {
		list = append(list, g.signSub(s, s.Device.Product+"."+s.Device.Name, "signmethod"))
	}
	_, err := g.Call(ctx, alink.TopoAdd.Path(), list)
	return err
}

// Unbind frees sub-devices. Errors are those of Call.
func (g *Gateway) Unbind(ctx context.Context, ids ...iot.DeviceID) error {
	_, err := g.Call(ctx, alink.TopoDelete.Path(), namesOf(ids))
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		delete(g.bound, id)
	}
	return err
}

// Found tells the platform of devices that could join; an application may answer
// with GatewayConfig.AddSubDevices. Errors are those of Call.
func (g *Gateway) Found(ctx context.Context, ids ...iot.DeviceID) error {
	_, err := g.Call(ctx, alink.ListFound.Path(), namesOf(ids))
	return err
}

func (g *Gateway) method() auth.Method {
	if g.cfg.Sign == 0 {
		return auth.HMACSHA256
	}
	return g.cfg.Sign
}

// signSub makes the signed entry of a sub-device. methodKey is how the request
// spells the sign method (wire facts section 1 row 12).
func (g *Gateway) signSub(s hal.Identity, clientID, methodKey string) map[string]string {
	m := g.method()
	params := []auth.Param{
		{Key: "clientId", Value: clientID},
		{Key: "deviceName", Value: s.Device.Name},
		{Key: "productKey", Value: s.Device.Product},
		{Key: "timestamp", Value: fmt.Sprint(g.cfg.Clock.Now().UnixMilli())},
	}
	entry := map[string]string{methodKey: m.String(), "sign": auth.Sign(m, s.DeviceSecret, params...)}
	for _, p := range params {
		entry[p.Key] = p.Value
	}
	return entry
}

func (g *Gateway) productRegister(ctx context.Context, id hal.Identity) (auth.Secret, error) {
	random := auth.Param{Key: "random", Value: fmt.Sprintf("%016x", uint64(g.random(1<<62)))}
	entry := map[string]string{
		"productKey": id.Device.Product, "deviceName": id.Device.Name, random.Key: random.Value, "signMethod": auth.HMACSHA256.String(),
		"sign": auth.Sign(auth.HMACSHA256, id.ProductSecret, random,
			auth.Param{Key: "productKey", Value: id.Device.Product}, auth.Param{Key: "deviceName", Value: id.Device.Name}),
	}
	raw, err := g.Call(ctx, alink.ProductRegister.Path(), map[string]any{"proxieds": []any{entry}})
	if err != nil {
		return auth.Secret{}, err
	}
	var out struct {
		Successes []struct {
			DeviceSecret auth.Secret `json:"deviceSecret"`
		} `json:"successes"`
		Failures []struct {
			ErrorDetail struct {
				Code    alink.Code `json:"code"`
				Message string     `json:"message"`
			} `json:"errorDetail"`
		} `json:"failures"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return auth.Secret{}, fmt.Errorf("device: answer of the platform: %w", err)
	}
	if len(out.Successes) == 1 {
		return out.Successes[0].DeviceSecret, nil
	}
	e := &alink.CodeError{Code: alink.CodeInternal}
	if len(out.Failures) > 0 {
		e.Code, e.Message = out.Failures[0].ErrorDetail.Code, out.Failures[0].ErrorDetail.Message
	}
	return auth.Secret{}, e
}

// route takes a message of the gateway's connection that is about a sub-device.
func (g *Gateway) route(t *topic.Topic, m iot.Message) bool {
	if t.Device == g.Device() {
		return t.Family == topic.FamilyExt && g.notice(t.Path, m.Payload)
	}
	g.mu.Lock()
	s := g.subs[t.Device]
	g.mu.Unlock()
	if s == nil {
		return false
	}
	s.receive(m)
	return true
}

// notice takes what the platform tells about the session of a sub-device without
// being asked: it was ended there (wire facts section 12.7).
func (g *Gateway) notice(path string, payload []byte) bool {
	if path != "session/combine/logout_reply" && path != "error" {
		return false
	}
	var m alink.Message
	if err := alink.Parse(payload, &m); err != nil || m.Code == alink.CodeOK {
		return false
	}
	var who named
	if json.Unmarshal(m.Data, &who) != nil {
		return false
	}
	g.mu.Lock()
	s := g.subs[iot.DeviceID{Product: who.ProductKey, Name: who.DeviceName}]
	g.mu.Unlock()
	if s != nil {
		s.drop(false)
	}
	return path == "error" // an answer to a logout may be waited for
}

// lost ends the connections of all sub-devices with the gateway's own.
func (g *Gateway) lost() {
	g.mu.Lock()
	all := make([]*subDevice, 0, len(g.subs))
	for _, s := range g.subs {
		all = append(all, s)
	}
	g.bound = nil
	g.mu.Unlock()
	for _, s := range all {
		s.drop(true)
	}
}

// Close says goodbye for the gateway and its sub-devices, whose Clients it closes,
// and returns when no goroutine is left. It must not be called from a handler.
func (g *Gateway) Close() error {
	g.mu.Lock()
	g.closed = true
	all := make([]*subDevice, 0, len(g.subs))
	for _, s := range g.subs {
		all = append(all, s)
	}
	g.mu.Unlock()
	err := g.Client.Close()
	g.logins.close()
	g.lost()
	for _, s := range all {
		_ = s.client.Close()
	}
	return err
}
