// SPDX-License-Identifier: Apache-2.0

package bolt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/bolt"
)

func Example() {
	dir, err := os.MkdirTemp("", "bolt")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	now := time.UnixMilli(1700000000000)

	for run := range 2 { // the second time over the same file
		engine, err := bolt.Open(filepath.Join(dir, "hub.db"), bolt.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		var b store.Batch
		b.Put([]byte("state/a1/lamp01"), []byte("on"))
		b.Append("messages", "a1/lamp01", now, fmt.Append(nil, "message of run ", run))
		if err := store.Commit(ctx, engine, &b); err != nil {
			fmt.Println(err)
		}
		for r, err := range engine.ReadKey(ctx, "messages", "a1/lamp01", 0, now, time.Time{}) {
			fmt.Println(r.Offset, string(r.Value), err)
		}
		if err := engine.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 1 message of run 0 <nil>
	// 1 message of run 0 <nil>
	// 2 message of run 1 <nil>
}
