module github.com/openalink/iot/bench

go 1.26.0

require (
	github.com/expr-lang/expr v1.17.6
	github.com/mochi-mqtt/server/v2 v2.7.9
	github.com/openalink/iot v0.0.0
	github.com/tidwall/gjson v1.20.0
)

require (
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/rs/xid v1.4.0 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)

replace github.com/openalink/iot => ../
