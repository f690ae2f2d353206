// Package storetest is the contract of store engines. A new engine calls
// TestEngine from its tests, and TestDurable when it keeps state over a restart.
package storetest
