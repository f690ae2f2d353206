// Package bench measures this module against its peers. It is a module of its
// own, so that what it compares with is nobody's dependency.
//
//	go run ./cmd/loadgen -help
//	go run ./cmd/serve -help
package bench
