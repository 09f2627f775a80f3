package filter

import (
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"

	"github.com/sshark/sshark/dissect"
)

// mode is what a subject is, and so what is known of it.
type mode uint8

const (
	aCall   mode = iota
	aFlow        // all of a flow
	partial      // a flow before its payload, standing for its calls and for itself
)

// subject is what a filter judges: it gives CEL the values of fields, each when it is asked
// for.
type subject struct {
	mode          mode
	call          *dissect.Call // nil unless mode is aCall
	flow          *dissect.Flow
	src, dst      *dissect.Endpoint
	local, remote *dissect.Endpoint
	filter        *Filter
	// written, if set, is what the call's protocol wrote down of it: an answer's calls have
	// nothing else.
	written written
}

var _ interpreter.Activation = (*subject)(nil)

// nobody is the flow of a call that has none.
var nobody dissect.Flow

// unknown is the value of all that partial evaluation does not know. One value serves all:
// merging a thing with itself is cheap, and nobody asks which it was.
var unknown = types.NewUnknown(0, types.NewAttributeTrail("?"))

// setFlow makes s a flow; swap exchanges source and destination.
func (s *subject) setFlow(m mode, fl *dissect.Flow, swap bool) {
	if fl == nil {
		fl = &nobody
	}
	s.mode, s.call, s.flow = m, nil, fl
	s.src, s.dst = &fl.Client, &fl.Server
	if swap {
		s.src, s.dst = s.dst, s.src
	}
	s.setSides()
}

func (s *subject) setCall(c *dissect.Call) {
	s.mode, s.call, s.flow = aCall, c, c.Flow
	if s.flow == nil {
		s.flow = &nobody
	}
	s.src, s.dst = &s.flow.Client, &s.flow.Server
	if c.Reverse {
		s.src, s.dst = s.dst, s.src
	}
	s.setSides()
}

// setSides finds the local end: the one where it was captured. Where that is not known it is
// the server's, whose side is told first everywhere.
func (s *subject) setSides() {
	s.local, s.remote = &s.flow.Server, &s.flow.Client
	if s.flow.Vantage == dissect.SideClient {
		s.local, s.remote = s.remote, s.local
	}
}

// protocol is that of the call or, of a flow, the one that claimed it.
func (s *subject) protocol() *dissect.Protocol {
	if s.call != nil {
		return s.call.Protocol
	}
	return s.flow.Protocol
}

func (s *subject) protocolName() string {
	if p := s.protocol(); p != nil {
		return p.Name
	}
	return ""
}

// ResolveName is the value of a field, for CEL.
func (s *subject) ResolveName(name string) (any, bool) {
	if f, ok := s.filter.lang.fields[name]; ok {
		v, known := s.value(f)
		if !known {
			return unknown, true
		}
		if v == nil {
			v = f.zeroValue()
		}
		return v, true
	}
	switch {
	case name == nowName:
		return s.filter.now, true
	case len(name) > len(hasPrefix) && name[:len(hasPrefix)] == hasPrefix:
		f, ok := s.filter.lang.fields[name[len(hasPrefix):]]
		if !ok {
			return nil, false
		}
		v, known := s.value(f)
		if !known {
			return unknown, true
		}
		return types.Bool(v != nil), true
	}
	return nil, false
}

// Parent is for CEL.
func (s *subject) Parent() interpreter.Activation { return nil }

// value is what a field is: nil if it has none; known is false where only the payload tells.
func (s *subject) value(f *field) (v ref.Val, known bool) {
	switch {
	case f.scope == scopeEnds:
	case s.mode == partial:
		if f.bound && !f.transports.has(s.flow.Transport) {
			return nil, true
		}
		return nil, false
	case f.scope == scopeFlow && s.mode == aCall, f.scope >= scopeCall && s.mode == aFlow:
		return nil, true
	}
	if s.call != nil && s.call.Protocol != nil {
		for i := range f.impls {
			if p := f.impls[i].protocol; p == s.call.Protocol || p.Name == s.call.Protocol.Name {
				if v := f.convert(s.read(&f.impls[i])); v != nil {
					return v, true
				}
				break
			}
		}
	}
	if f.get != nil {
		return f.get(s), true
	}
	return nil, true
}

// read is what a protocol says of its call.
func (s *subject) read(i *impl) any {
	if s.written != nil {
		return s.written.read(i.name)
	}
	return i.get(s.call)
}

// convert makes a CEL value of what a protocol's reader gave; nil where it is of another type
// than the field.
func (f *field) convert(x any) ref.Val {
	switch x := x.(type) {
	case string:
		if f.kind == kind(dissect.String) {
			return types.String(x)
		}
	case int64:
		if f.kind == kind(dissect.Int) {
			return types.Int(x)
		}
	case bool:
		if f.kind == kind(dissect.Bool) {
			return types.Bool(x)
		}
	case []string:
		if f.kind == kind(dissect.Strings) && x != nil {
			return newList(x)
		}
	case map[string]string:
		if f.kind == kind(dissect.Map) && x != nil {
			return &mapVal{m: x, fold: f.name == "request.headers" || f.name == "response.headers"}
		}
	case []byte:
		if f.kind == kind(dissect.Bytes) && x != nil {
			return types.Bytes(x)
		}
	}
	return nil
}

// zeros by kind.
var zeros = [...]ref.Val{
	dissect.String:  types.String(""),
	dissect.Int:     types.IntZero,
	dissect.Bool:    types.False,
	dissect.Strings: newList(nil),
	dissect.Map:     &mapVal{},
	dissect.Bytes:   types.Bytes(nil),
	kindTimestamp:   types.Timestamp{Time: unixEpoch},
	kindDuration:    types.Duration{},
	kindBody:        &bodies{},
}

func (f *field) zeroValue() ref.Val {
	if f.zero != nil {
		return f.zero
	}
	return zeros[f.kind]
}
