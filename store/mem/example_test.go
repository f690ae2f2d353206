// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"context"
	"fmt"
	"time"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
)

func Example() {
	ctx := context.Background()
	engine := mem.New(mem.WithMaxBytes(64 << 20))
	defer engine.Close()

	// A device reports 21 degrees: its state and its history change together.
	var b store.Batch
	now := time.UnixMilli(1700000000000)
	b.Put([]byte("state/a1/lamp01"), []byte(`{"temp":21}`))
	b.Append("messages", "a1/lamp01", now, []byte(`{"temp":21}`))
	if err := store.Commit(ctx, engine, &b); err != nil {
		fmt.Println(err)
		return
	}

	for r, err := range engine.ReadKey(ctx, "messages", "a1/lamp01", 1, now.Add(-time.Hour), time.Time{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(r.Offset, r.Key, string(r.Value))
	}
	// Output:
	// 1 a1/lamp01 {"temp":21}
}
