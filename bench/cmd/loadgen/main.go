// SPDX-License-Identifier: Apache-2.0

// Command loadgen makes traffic and prints what came of it.
//
//	loadgen -addr 127.0.0.1:1883                      QoS 1 posts, window 20
//	loadgen -addr 127.0.0.1:1883 -rate 10000          the same at a fixed rate
//	loadgen -addr 127.0.0.1:1883 -do login -conns 16  CONNECT, CONNACK, close
//	loadgen -addr 127.0.0.1:1883 -do idle -conns 5000 -rounds 5
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/openalink/iot/bench/load"
)

// generator is what the flags say.
type generator struct {
	load.Config
	rounds int
	steps  *bufio.Reader // nil unless somebody leads us through the steps
}

func main() {
	var g generator
	do := flag.String("do", "post", "post, login or idle")
	flag.StringVar(&g.Addr, "addr", "127.0.0.1:1883", "server")
	flag.IntVar(&g.Conns, "conns", 100, "connections")
	flag.IntVar(&g.First, "first", 0, "number of the first device")
	flag.IntVar(&g.Stride, "stride", 1, "distance between the numbers of devices")
	flag.BoolVar(&g.TLS, "tls", false, "use TLS 1.2")
	flag.IntVar(&g.Window, "window", 20, "posts in flight on a connection")
	qos := flag.Int("qos", 1, "0 or 1")
	flag.IntVar(&g.Payload, "payload", 435, "bytes of a post")
	flag.IntVar(&g.Rate, "rate", 0, "posts a second, 0 for all there is")
	flag.DurationVar(&g.Warm, "warm", time.Second, "how long before anything counts")
	flag.DurationVar(&g.Time, "time", 5*time.Second, "how long")
	flag.IntVar(&g.rounds, "rounds", 5, "how often idle connections are opened")
	steps := flag.Bool("steps", false, "print one line of JSON for each step and wait for a line before the next")
	flag.Parse()
	g.QoS = byte(*qos)
	if *steps {
		g.steps = bufio.NewReader(os.Stdin)
	}
	if err := g.run(*do); err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

func (g *generator) run(do string) error {
	if _, err := load.OpenFiles(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch do {
	case "post":
		return g.post(ctx)
	case "login":
		r, err := load.Logins(ctx, g.Config, func() { g.step("begin", nil) })
		return errors.Join(err, g.result(r))
	case "idle":
		return g.idle()
	}
	return fmt.Errorf("nothing is called %q", do)
}

func (g *generator) post(ctx context.Context) error {
	f, err := load.Dial(g.Config)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := f.Run(ctx, func() { g.step("begin", nil) })
	return errors.Join(err, g.result(r))
}

func (g *generator) idle() error {
	c := load.NewCrowd(g.Config)
	defer c.Close()
	for round := range g.rounds {
		if err := c.Reconnect(); err != nil {
			return err
		}
		if g.steps == nil {
			fmt.Printf("round %d: %d connections\n", round+1, g.Conns)
			time.Sleep(3 * time.Second)
			continue
		}
		if err := g.step("round", round+1); err != nil {
			return err
		}
	}
	return nil
}

func (g *generator) result(r load.Result) error {
	if g.steps == nil {
		fmt.Println(r)
		return nil
	}
	return g.step("result", r)
}

// step tells whoever leads us where we are and waits for leave to go on. The
// reader is told of steps one after the other, so the beginning of a
// measurement does not wait: nothing may stand still then.
func (g *generator) step(name string, value any) error {
	if g.steps == nil {
		return nil
	}
	line, err := json.Marshal(map[string]any{"step": name, "value": value})
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", line)
	if name == "begin" {
		return nil
	}
	_, err = g.steps.ReadString('\n')
	return err
}
