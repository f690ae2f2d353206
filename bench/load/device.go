// SPDX-License-Identifier: Apache-2.0

package load

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/internal/mqttwire"
)

// Product and Secret are what a server under load knows its devices by.
const (
	Product = "a1Load0001"
	Secret  = "0123456789abcdef0123456789abcdef"
)

// Device names a device of the load.
func Device(n int) iot.DeviceID {
	return iot.DeviceID{Product: Product, Name: fmt.Sprintf("dn%06d", n)}
}

// Topic is where device n posts its properties.
func Topic(n int) string { return "/sys/" + Device(n).String() + "/thing/event/property/post" }

// Post makes a property post of about size bytes: ten properties of the common
// types.
func Post(size int) []byte {
	p := []byte(`{"id":"123","version":"1.0","params":{"Power":1,"Temperature":21.5,"Humidity":48.25,"Mode":2,"Level":75,` +
		`"Voltage":{"value":230.1,"time":1524448722000},"Position":{"lat":31.2304,"lon":121.4737},"History":[1,2,3,4,5,6,7,8],"Name":"kitchen","Note":"`)
	tail := `"},"method":"thing.event.property.post"}`
	if n := size - len(p) - len(tail); n > 0 {
		p = append(p, strings.Repeat("x", n)...)
	}
	return append(p, tail...)
}

// Triple is what device n logs in with.
func Triple(n int) auth.Triple {
	return auth.SignMQTT(Device(n), auth.NewSecret(Secret), auth.MQTTOptions{SecureMode: 3, ServerSubscribe: true})
}

// Login returns the CONNECT of a device.
func Login(n int) []byte {
	tr := Triple(n)
	return mqttwire.AppendConnect(nil, &mqttwire.Connect{
		Level: mqttwire.Level311, ClientID: tr.ClientID, HasUserName: true, UserName: tr.UserName,
		HasPassword: true, Password: []byte(tr.Password.Reveal()), KeepAlive: 1200, CleanSession: true,
	})
}

// Connect opens a connection, sends login and waits for the CONNACK. With secure
// it is a TLS 1.2 connection that trusts anybody: the server is our own.
func Connect(addr string, login []byte, secure bool) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1} // four system calls less
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}) //nolint:gosec // see above
	}
	var ack [4]byte
	if _, err = nc.Write(login); err == nil {
		_, err = io.ReadFull(nc, ack[:])
	}
	if err == nil && (ack[0] != 0x20 || ack[3] != 0) {
		err = fmt.Errorf("load: login refused: %x", ack)
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return nc, nil
}
