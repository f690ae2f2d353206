// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// Logins has devices connect, wait for the CONNACK and leave, Config.Conns at a
// time, for Config.Warm and then for Config.Time, which is what counts. It calls
// begin in between. Result.Posts is the number of CONNACKs.
func Logins(ctx context.Context, cfg Config, begin func()) (Result, error) {
	// Nobody logs in as a device that another goroutine may be logging in as.
	const devices = 64
	logins := make([][]byte, devices*cfg.Conns)
	for i := range logins {
		logins[i] = Login(cfg.device(i))
	}
	var count atomic.Int64
	start := time.Now()
	deadline := start.Add(cfg.Warm + cfg.Time)
	before := make(chan Result, 1)
	go func() {
		time.Sleep(cfg.Warm)
		begin()
		before <- Result{Posts: count.Load(), Elapsed: time.Since(start), CPU: processorTime()}
	}()
	err := each(cfg.Conns, cfg.Conns, func(i int) error {
		for n := 0; time.Now().Before(deadline) && ctx.Err() == nil; n++ {
			nc, err := Connect(cfg.Addr, logins[i*devices+n%devices], false)
			if err != nil {
				return err
			}
			_ = nc.(*net.TCPConn).SetLinger(0) // ports in TIME_WAIT would run out
			_ = nc.Close()
			count.Add(1)
		}
		return nil
	})
	b := <-before
	return Result{
		Posts:   count.Load() - b.Posts,
		Elapsed: time.Since(start) - b.Elapsed,
		CPU:     processorTime() - b.CPU,
	}, err
}
