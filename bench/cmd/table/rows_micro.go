// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/openalink/iot/bench/micro"
)

// microRows measures single functions in this process.
func (b *bench) microRows(ctx context.Context) error {
	b.calm(ctx)
	topic := micro.Measure(micro.TopicACL())
	b.machine.look()
	b.add(row{
		what: "topic parse and ACL", ours: nanoseconds(topic), base: b.scaled("120 ns"),
		value: topic.Nanoseconds, unit: " ns", must: 120 * b.machine.scale(),
	})
	b.add(row{what: "  its allocations", value: topic.Allocs})
	ours, ledger := micro.TopicACL(), micro.Ledger()
	b.versus("  against mochi's auth ledger", ours, ledger, row{must: 0.10})

	f, base := micro.Envelope()
	cost := b.versus("envelope of 300 bytes against gjson.ValidBytes and one walk", f, base, row{must: 1.3})
	b.add(row{what: "  its allocations", value: cost.Allocs, must: 2})

	f, bare := micro.Verify()
	cost = b.versus("CONNECT verification against a bare HMAC-SHA256", f, bare, row{must: 1.35})
	b.add(row{what: "  its allocations", value: cost.Allocs})
	f, naive := micro.Login()
	b.versus("login, parsed and verified, against the naive way", f, naive, row{must: 0.40})
	return nil
}

// scaled says where an absolute bar comes from.
func (b *bench) scaled(bar string) string {
	return fmt.Sprintf("%s x %.2f, the scale", bar, b.machine.scale())
}

// versus adds a row with the ratio of two functions.
func (b *bench) versus(what string, f, base func(), r row) micro.Cost {
	ours, theirs := micro.Measure(f), micro.Measure(base)
	r.what, r.ours, r.base, r.unit = what, nanoseconds(ours), nanoseconds(theirs), "x"
	r.value = micro.Ratio(f, base)
	b.add(r)
	return ours
}

func nanoseconds(c micro.Cost) string {
	return fmt.Sprintf("%.0f ns, %.0f allocations", c.Nanoseconds, c.Allocs)
}
