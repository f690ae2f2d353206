// SPDX-License-Identifier: Apache-2.0

package management

import (
	"net/http"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
)

// identityRoutes are the operations on sub-devices, applications, certificates and
// tokens.
func (a *api) identityRoutes() []route {
	const device = "/api/v1/devices/{pk}/{dn}"
	return []route{
		{pattern: "GET " + device + "/gateway", serve: a.gatewayOf},
		{pattern: "GET " + device + "/subdevices", serve: a.listSubDevices},
		{pattern: "POST " + device + "/subdevices", serve: a.addSubDevices},
		{pattern: "POST " + device + "/subdevices/remove", serve: a.removeSubDevices},
		{pattern: "POST " + device + "/certificates", serve: a.bindCertificate},
		{pattern: "DELETE " + device + "/certificates/{fingerprint}", serve: a.revokeCertificate},
		{pattern: "DELETE " + device + "/tokens", serve: a.revokeTokens},
		{pattern: "GET /api/v1/applications", serve: a.listApplications},
		{pattern: "POST /api/v1/applications", serve: a.putApplication},
		{pattern: "DELETE /api/v1/applications/{key}", serve: a.deleteApplication},
	}
}

// nameJSON names a device.
type nameJSON struct {
	ProductKey string `json:"productKey"`
	DeviceName string `json:"deviceName"`
}

// gatewayJSON is the gateway of a device.
type gatewayJSON struct {
	Gateway *nameJSON `json:"gateway,omitempty"`
	Online  bool      `json:"online"` // through it
}

func (a *api) gatewayOf(r *http.Request) (any, error) {
	id, online, err := a.hub.GatewayOf(r.Context(), deviceOf(r))
	out := gatewayJSON{Online: online}
	if !id.IsZero() {
		out.Gateway = &nameJSON{id.Product, id.Name}
	}
	return out, err
}

func (a *api) listSubDevices(r *http.Request) (any, error) {
	out := page[nameJSON]{Items: []nameJSON{}}
	if _, err := a.hub.Device(r.Context(), deviceOf(r)); err != nil {
		return nil, err
	}
	for id, err := range a.hub.SubDevices(r.Context(), deviceOf(r)) { // at most Limits.SubDevices
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, nameJSON{id.Product, id.Name})
	}
	return out, nil
}

func subDevicesIn(r *http.Request) ([]iot.DeviceID, error) {
	var in struct {
		Devices []nameJSON `json:"devices"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if n := len(in.Devices); n == 0 || n > maxDevices {
		return nil, badRequest("%d devices, 1 to %d are allowed", n, maxDevices)
	}
	ids := make([]iot.DeviceID, 0, len(in.Devices))
	for _, d := range in.Devices {
		ids = append(ids, iot.DeviceID{Product: d.ProductKey, Name: d.DeviceName})
	}
	return ids, nil
}

func (a *api) addSubDevices(r *http.Request) (any, error) {
	ids, err := subDevicesIn(r)
	if err == nil {
		err = a.hub.AddSubDevices(r.Context(), deviceOf(r), ids...)
	}
	return struct{}{}, err
}

func (a *api) removeSubDevices(r *http.Request) (any, error) {
	ids, err := subDevicesIn(r)
	if err == nil {
		err = a.hub.RemoveSubDevices(r.Context(), deviceOf(r), ids...)
	}
	return struct{}{}, err
}

func (a *api) bindCertificate(r *http.Request) (any, error) {
	var in struct {
		Fingerprint string `json:"fingerprint"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return struct{}{}, a.hub.BindCertificate(r.Context(), deviceOf(r), in.Fingerprint)
}

func (a *api) revokeCertificate(r *http.Request) (any, error) {
	return struct{}{}, a.hub.RevokeCertificate(r.Context(), deviceOf(r), r.PathValue("fingerprint"))
}

func (a *api) revokeTokens(r *http.Request) (any, error) {
	return struct{}{}, a.hub.RevokeTokens(r.Context(), deviceOf(r))
}

// applicationJSON is an application; the secret is shown once, when it is made or
// changed.
type applicationJSON struct {
	AccessKey    string               `json:"accessKey"`
	AccessSecret string               `json:"accessSecret,omitempty"`
	Name         string               `json:"name,omitempty"`
	Rights       map[string]hub.Right `json:"rights"`
}

func renderApplication(app hub.Application, withSecret bool) applicationJSON {
	out := applicationJSON{AccessKey: app.AccessKey, Name: app.Name, Rights: app.Rights}
	if out.Rights == nil {
		out.Rights = map[string]hub.Right{}
	}
	if withSecret {
		out.AccessSecret = app.Secret.Reveal()
	}
	return out
}

func (a *api) listApplications(*http.Request) (any, error) {
	out := page[applicationJSON]{Items: []applicationJSON{}}
	for _, app := range a.hub.Applications() {
		out.Items = append(out.Items, renderApplication(app, false))
	}
	return out, nil
}

func (a *api) putApplication(r *http.Request) (any, error) {
	var in applicationJSON
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	app, err := a.hub.PutApplication(r.Context(), hub.Application{
		AccessKey: in.AccessKey, Secret: auth.NewSecret(in.AccessSecret), Name: in.Name, Rights: in.Rights,
	})
	if err != nil {
		return nil, err
	}
	return renderApplication(app, true), nil
}

func (a *api) deleteApplication(r *http.Request) (any, error) {
	return struct{}{}, a.hub.DeleteApplication(r.Context(), r.PathValue("key"))
}
