// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"fmt"
	"time"

	iot "github.com/openalink/iot"
	"github.com/openalink/iot/auth"
)

// A device signs its login; the platform reads and checks it.
func Example() {
	lamp := iot.DeviceID{Product: "a1b2c3d4e5f", Name: "lamp-1"}
	secret := auth.NewSecret("5f2c8b1e9a7d4c3fb0e6d1a2c4f80719")
	login := auth.SignMQTT(lamp, secret, auth.MQTTOptions{SecureMode: auth.SecureTCP, ServerSubscribe: true})
	fmt.Println(login.ClientID)
	fmt.Println(login.UserName, login.Password)

	c, err := auth.ParseClientID(login.ClientID)
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := auth.ParseUserName(login.UserName)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(id, c.Verify([]byte(login.Password.Reveal()), id, secret))
	fmt.Println(id, c.Verify([]byte("guess"), id, secret))
	// Output:
	// a1b2c3d4e5f.lamp-1|securemode=3,signmethod=hmacsha256,_ss=1|
	// lamp-1&a1b2c3d4e5f ***
	// a1b2c3d4e5f/lamp-1 <nil>
	// a1b2c3d4e5f/lamp-1 auth: bad sign
}

func ExampleSign() {
	sign := auth.Sign(auth.HMACSHA1, auth.NewSecret("secret"),
		auth.Param{Key: "productKey", Value: "pk"},
		auth.Param{Key: "deviceName", Value: "device"},
		auth.Param{Key: "clientId", Value: "12345"},
		auth.Param{Key: "timestamp", Value: "789"},
	)
	fmt.Println(sign)
	// Output: fafd82a3d602b37fb0fa8b7892f24a477f851a14
}

// database is a slow SecretSource.
type database struct{}

func (database) DeviceSecret(_ context.Context, id iot.DeviceID) (auth.Secret, error) {
	fmt.Println("asked for", id)
	if id.Name != "lamp-1" {
		return auth.Secret{}, auth.ErrUnknownDevice
	}
	return auth.NewSecret("5f2c8b1e9a7d4c3fb0e6d1a2c4f80719"), nil
}

func ExampleCachedSecrets() {
	secrets := auth.NewCachedSecrets(database{}, auth.CacheOptions{TTL: 5 * time.Minute})
	for _, name := range []string{"lamp-1", "lamp-1", "lamp-2"} {
		secret, err := secrets.DeviceSecret(context.Background(), iot.DeviceID{Product: "a1b2c3d4e5f", Name: name})
		fmt.Println(secret, err)
	}
	// Output:
	// asked for a1b2c3d4e5f/lamp-1
	// *** <nil>
	// *** <nil>
	// asked for a1b2c3d4e5f/lamp-2
	//  auth: unknown device
}
