// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openalink/iot/bench/usage"
)

// process is a program that answers lines with lines of JSON.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs one of our programs in a process group of its own. It ends with
// ctx.
func (b *bench) start(ctx context.Context, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, filepath.Join(b.bin, program), args...)}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	p.out = bufio.NewReader(out)
	return p, err
}

// read reads the next line.
func (p *process) read(v any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(p.cmd.Path), err)
	}
	return json.Unmarshal(line, v)
}

// ask sends a line.
func (p *process) ask() error {
	_, err := io.WriteString(p.in, "\n")
	return err
}

// end has the process finish and waits for it.
func (p *process) end() error {
	_ = p.in.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, p.out)
	return p.cmd.Wait()
}

// server is a running server.
type server struct {
	*process
	addr string
}

// serve starts a server and waits until it is ready.
func (b *bench) serve(ctx context.Context, args ...string) (*server, error) {
	p, err := b.start(ctx, "serve", append([]string{"-addr", "127.0.0.1:0", "-dir", b.dir}, args...)...)
	if err != nil {
		return nil, err
	}
	var ready usage.Snapshot
	if err := p.read(&ready); err != nil {
		_ = p.end()
		return nil, err
	}
	return &server{p, ready.Addr}, nil
}

func (s *server) snapshot() (u usage.Snapshot, err error) {
	if err := s.ask(); err != nil {
		return u, err
	}
	return u, s.read(&u)
}
