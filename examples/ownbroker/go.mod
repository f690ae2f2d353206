module github.com/openalink/iot/examples/ownbroker

go 1.26.0

require (
	github.com/mochi-mqtt/server/v2 v2.7.9
	github.com/openalink/iot v0.0.0
	github.com/openalink/iot/hal/mochi v0.0.0
)

require (
	github.com/eclipse/paho.mqtt.golang v1.5.1 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/rs/xid v1.4.0 // indirect
	github.com/tidwall/gjson v1.20.0 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
	golang.org/x/net v0.49.0 // indirect
	golang.org/x/sync v0.20.0 // indirect
)

replace github.com/openalink/iot => ../../

replace github.com/openalink/iot/hal/mochi => ../../hal/mochi
