// Package interop holds tests against programs of others: device SDKs, MQTT
// clients and TLS stacks that know nothing of this project talk to examples/hubd
// and both ends are asked what they saw. The tests carry the build tag interop;
// make interop runs them.
//
// A client that is missing makes its tests skip, and fail where the environment
// says CI=true.
package interop
