// SPDX-License-Identifier: Apache-2.0

// Command tslgen writes typed Go for a thing model: a type for each struct, enum,
// event and service, the device end and the application end.
//
//	go run github.com/openalink/iot/tsl/tslgen -in model.json -pkg thermostat
//
// The file is called z and the package's name, in the current directory, unless
// -out says otherwise. Further -in flags add function blocks.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/openalink/iot/tsl"
)

func main() {
	var in files
	flag.Var(&in, "in", "TSL document; further ones are function blocks")
	pkg := flag.String("pkg", "", "name of the Go package")
	out := flag.String("out", "", "file to write; - is standard output")
	flag.Parse()
	if err := run(in, *pkg, *out); err != nil {
		fmt.Fprintln(os.Stderr, "tslgen:", err)
		os.Exit(1)
	}
}

// files is a flag that may come several times.
type files []string

func (f *files) String() string     { return strings.Join(*f, ",") }
func (f *files) Set(s string) error { *f = append(*f, s); return nil }

func run(in []string, pkg, out string) error {
	if len(in) == 0 || pkg == "" {
		return fmt.Errorf("-in and -pkg are needed")
	}
	m, err := read(in)
	if err != nil {
		return err
	}
	source, err := generate(m, pkg, filepath.Base(in[0]))
	if err != nil {
		return err
	}
	if out == "" {
		out = "z" + pkg + ".go"
	}
	if out == "-" {
		_, err = os.Stdout.Write(source)
		return err
	}
	return os.WriteFile(out, source, 0o644)
}

// read reads the documents and joins them.
func read(in []string) (*tsl.Model, error) {
	var models []*tsl.Model
	for _, name := range in {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		m, err := tsl.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		models = append(models, m)
	}
	return tsl.Join(models[0], models[1:]...)
}
