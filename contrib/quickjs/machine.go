// SPDX-License-Identifier: Apache-2.0

package quickjs

import (
	_ "embed"
	"fmt"

	"github.com/openalink/iot/alink"
	"modernc.org/quickjs"
)

//go:embed prelude.js
var prelude string

// machine is one virtual machine with a script. One goroutine uses it at a time.
type machine struct {
	vm                        *quickjs.VM
	tools                     quickjs.Value // what the prelude returned
	has                       quickjs.Value
	decode, encode, transform quickjs.Value
	broken                    bool // a call failed: what the script left behind is anybody's guess
}

// maxFrames is how deep calls may nest.
const maxFrames = 2000

func (s *Script) newMachine() (m *machine, err error) {
	vm, err := quickjs.NewVM()
	if err != nil {
		return nil, fmt.Errorf("quickjs: %w", err)
	}
	m = &machine{vm: vm}
	defer func() {
		if err != nil {
			m.close()
			m = nil
		}
	}()
	vm.SetMemoryLimit(uintptr(s.engine.Memory))
	vm.SetMaxStackSize(maxFrames)
	if err := vm.SetEvalTimeout(s.engine.Timeout); err != nil {
		return m, fmt.Errorf("quickjs: %w", err)
	}
	if m.tools, err = vm.EvalValue(prelude, quickjs.EvalGlobal); err != nil {
		return m, fmt.Errorf("quickjs: prelude: %w", err)
	}
	for name, into := range map[string]*quickjs.Value{
		"has": &m.has, "decode": &m.decode, "encode": &m.encode, "transform": &m.transform,
	} {
		atom, err := vm.NewAtom(name)
		if err != nil {
			return m, fmt.Errorf("quickjs: %w", err)
		}
		if *into, err = m.tools.GetPropertyValue(atom); err != nil {
			return m, fmt.Errorf("quickjs: %w", err)
		}
	}
	if _, err := vm.Eval(s.source, quickjs.EvalGlobal); err != nil {
		return m, &alink.CodeError{Code: alink.CodeScriptSyntax, Message: err.Error()}
	}
	return m, nil
}

func (m *machine) close() {
	for _, v := range []*quickjs.Value{&m.has, &m.decode, &m.encode, &m.transform, &m.tools} {
		if v.VM() != nil {
			v.Free()
		}
	}
	_ = m.vm.Close() // only says that it was closed before
}

// hasAny reports whether the script has a function to call.
func (m *machine) hasAny() bool {
	for _, name := range []string{"rawDataToProtocol", "protocolToRawData", "transformPayload"} {
		if ok, err := m.has.Call(quickjs.UndefinedValue, name); err == nil && ok == true {
			return true
		}
	}
	return false
}

// call calls a function of the prelude. A machine that failed is not used again:
// an exception may have left anything behind, a bound that was hit for certain.
func (m *machine) call(f quickjs.Value, args ...any) (out string, err error) {
	defer func() {
		if p := recover(); p != nil {
			m.broken, err = true, fmt.Errorf("quickjs: %v", p)
		}
	}()
	r, err := f.Call(quickjs.UndefinedValue, args...)
	if err != nil {
		m.broken = true
		return "", err
	}
	text, ok := r.(string)
	if !ok {
		m.broken = true
		return "", fmt.Errorf("quickjs: %T is no text", r)
	}
	return text, nil
}
