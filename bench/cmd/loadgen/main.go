// SPDX-License-Identifier: Apache-2.0

// Command loadgen posts properties to a server and prints the rate.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/openalink/iot/bench/load"
)

func main() {
	var cfg load.Config
	flag.StringVar(&cfg.Addr, "addr", "127.0.0.1:1883", "server")
	flag.IntVar(&cfg.Conns, "conns", 100, "connections")
	flag.IntVar(&cfg.First, "first", 0, "number of the first device")
	flag.IntVar(&cfg.Window, "window", 20, "posts in flight on a connection")
	qos := flag.Int("qos", 1, "0 or 1")
	flag.IntVar(&cfg.Payload, "payload", 435, "bytes of a post")
	flag.IntVar(&cfg.Rate, "rate", 0, "posts a second, 0 for all there is")
	flag.DurationVar(&cfg.Time, "time", 5*time.Second, "how long")
	flag.Parse()
	cfg.QoS = byte(*qos)
	r, err := load.Run(context.Background(), cfg)
	fmt.Println(r)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
