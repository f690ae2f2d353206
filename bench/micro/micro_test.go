// SPDX-License-Identifier: Apache-2.0

package micro_test

import (
	"testing"

	"github.com/openalink/iot/bench/micro"
)

func run(b *testing.B, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

func BenchmarkYardstick(b *testing.B) { run(b, micro.Yardstick()) }

// BenchmarkACL reports the own-topics ACL as a multiple of the ledger (bar: 0.10).
func BenchmarkACL(b *testing.B) {
	ours, ledger := micro.TopicACL(), micro.Ledger()
	ratio := micro.Ratio(ours, ledger)
	b.Run("Ours", func(b *testing.B) {
		run(b, ours)
		b.ReportMetric(ratio, "x-ledger")
	})
	b.Run("Ledger", func(b *testing.B) { run(b, ledger) })
}

func BenchmarkEnvelope(b *testing.B) {
	f, base := micro.Envelope()
	ratio := micro.Ratio(f, base)
	run(b, f)
	b.ReportMetric(ratio, "x-gjson")
}

func BenchmarkVerify(b *testing.B) {
	f, bare := micro.Verify()
	ratio := micro.Ratio(f, bare)
	run(b, f)
	b.ReportMetric(ratio, "x-bare")
}

func BenchmarkLogin(b *testing.B) {
	f, naive := micro.Login()
	ratio := micro.Ratio(f, naive)
	b.Run("Ours", func(b *testing.B) {
		run(b, f)
		b.ReportMetric(ratio, "x-naive")
	})
	b.Run("Naive", func(b *testing.B) { run(b, naive) })
}
