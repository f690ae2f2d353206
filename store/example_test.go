// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openalink/iot/store"
	"github.com/openalink/iot/store/mem"
)

// A change of state and the message that caused it are one batch, guarded by the
// revision the change was made from.
func Example() {
	ctx := context.Background()
	engine := mem.New()
	defer engine.Close()
	key := []byte("state/a1/lamp01")

	var b store.Batch
	b.Check(key, 0) // only if there is none yet
	b.Put(key, []byte("on"))
	b.Append("messages", "a1/lamp01", time.UnixMilli(1700000000000), []byte("switched on"))
	if err := store.Commit(ctx, engine, &b); err != nil {
		fmt.Println(err)
		return
	}

	entry, err := engine.Get(ctx, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s = %s\n", entry.Key, entry.Value)

	// Somebody else was faster: the same batch does not fit any more.
	err = store.Commit(ctx, engine, &b)
	fmt.Println(errors.Is(err, store.ErrConflict))

	for r, err := range engine.Read(ctx, "messages", 1) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(r.Offset, r.Key, string(r.Value))
	}
	// Output:
	// state/a1/lamp01 = on
	// true
	// 1 a1/lamp01 switched on
}

// Submit does not wait: many batches share one durable write, and done is called
// in their order.
func ExampleCommitter() {
	ctx := context.Background()
	engine := mem.New()
	finished := make(chan bool)
	for i := range 3 {
		b := new(store.Batch) // the engine's until done
		b.Put(fmt.Append(nil, "key", i), []byte("value"))
		err := engine.Submit(ctx, b, func(err error) {
			fmt.Println("batch", i, err)
			if i == 2 {
				close(finished)
			}
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	<-finished
	if err := engine.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// batch 0 <nil>
	// batch 1 <nil>
	// batch 2 <nil>
}
