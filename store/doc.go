// Package store holds the two seams all durable state goes through: KV, ordered
// keys with revisions, and Log, named append-only streams. A Committer changes
// both in one atomic, durable step.
//
// Engines live below it: store/mem for tests and tiny gateways, store/bolt as
// the embedded default. storetest is the contract each must pass; a new engine
// is one package and one call of storetest.TestEngine.
package store
