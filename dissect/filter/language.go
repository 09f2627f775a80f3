// Package filter is the filter language: CEL over the fields of calls and flows.
//
// It owns the list of fields (Language.Fields) and what each means, compiles a filter's text,
// and judges calls and flows with it. A Language and a Filter are immutable and safe for
// concurrent use; what they are given is only read, and nothing of it is kept.
//
// Every field of Kubeshark's KFL2 is declared, whether a protocol here knows it yet or not,
// and a filter that names an unknown field, or one that cannot be known, is an Error with the
// place and a caret. A field that a call does not have is the zero value of its type, a key
// that a map does not have is "".
//
// Judging has three forms. Call is the truth about a call. MatchFlow is the truth about a flow
// as the flows command lists it. Flow is what can be said of the calls and the flow before any
// payload is read; it never errs, but may say Maybe.
//
// A filter comes from a user and is judged against every call, so it is bounded: MaxSource
// bytes, maxNesting levels, RE2 patterns that are literals of at most maxPattern instructions,
// and a cost limit where the work is not linear in the length of the filter (costLimit).
package filter

import (
	"fmt"
	"sort"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Language is the set of fields and functions that filters may use.
type Language struct {
	env    *cel.Env
	fields map[string]*field
	docs   []Doc
	now    func() time.Time // for now(), at Compile
}

// Doc describes a field to help and completion.
type Doc struct {
	Name      string
	Type      string // as CEL writes it: string, int, bool, list(string), map(string, string), …
	Help      string // one line
	Example   string // a filter that uses it
	Protocols []string
}

// New makes the language of a program that has these protocols. It fails where two
// declarations of a field differ in kind, which is a mistake of the program.
func New(protocols []*dissect.Protocol) (*Language, error) {
	l := &Language{fields: map[string]*field{}, now: time.Now}
	if err := l.declare(protocols); err != nil {
		return nil, err
	}
	opts := []cel.EnvOption{
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserExpressionSizeLimit(MaxSource),
		cel.ParserErrorRecoveryLimit(4),
		cel.DefaultUTCTimeZone(true),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
		cel.Variable(nowName, cel.TimestampType),
	}
	for _, f := range l.fields {
		opts = append(opts, cel.Variable(f.name, f.celType()), cel.Variable(hasPrefix+f.name, cel.BoolType))
		l.docs = append(l.docs, f.doc())
	}
	sort.Slice(l.docs, func(i, j int) bool { return l.docs[i].Name < l.docs[j].Name })
	opts = append(opts, l.functions()...)
	env, err := cel.NewCustomEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("declare the filter language: %w", err)
	}
	l.env = env
	// CEL checks the declarations when they are first used.
	if _, err := l.Compile("true"); err != nil {
		return nil, fmt.Errorf("declare the filter language: %w", err)
	}
	return l, nil
}

// Fields describes all fields, in the order of their names.
func (l *Language) Fields() []Doc { return append([]Doc(nil), l.docs...) }

// scope is what it takes to know a field.
type scope uint8

const (
	scopeEnds   scope = iota // addresses, identities, node, transport: known without payload
	scopeTime                // differs between a flow and its calls, but needs no payload
	scopeFlow                // of a whole flow: its counters and state; zero on a call
	scopeDetect              // what was detected, on a flow or a call
	scopeCall                // of a call; zero on a flow
	scopeBody                // of a call, with its bodies
)

// kind is the type of a field: those of dissect.FieldKind, and some that only base fields have.
type kind uint8

const (
	kindTimestamp = kind(dissect.Bytes) + 1 + iota
	kindDuration
	kindBody
)

// field is one declared name.
type field struct {
	name     string
	kind     kind
	help     string
	example  string
	scope    scope
	directed bool     // it differs when the ends are exchanged
	said     bool     // it is something that was said, not who spoke when and how it ended
	detected bool     // it is of a flow, but needs its protocol
	owners   []string // protocols that have it, for help
	zero     value    // nil: that of the kind
	// get reads it; nil is "not known". Protocols' own readers go before it.
	get   func(s *subject) value
	impls []impl
	// bound: only calls of protocols in the transports below can have it; on other flows it
	// is known to be zero. A transport is set here for each declaring protocol.
	bound      bool
	transports transports
}

// impl is a protocol's reader of a field.
type impl struct {
	protocol *dissect.Protocol
	name     string // that the protocol has for it, as it is written down
	get      func(*dissect.Call) any
}

// transports is a set of IP protocols.
type transports [4]uint64

func (t *transports) add(p flow.Proto)      { t[p>>6] |= 1 << (p & 63) }
func (t *transports) has(p flow.Proto) bool { return t[p>>6]&(1<<(p&63)) != 0 }

// addAll adds what a protocol runs on: everything, if it does not say.
func (t *transports) addAll(p *dissect.Protocol) {
	if len(p.Transport) == 0 {
		*t = transports{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	}
	for _, tr := range p.Transport {
		t.add(tr)
	}
}

func (f *field) celType() *types.Type {
	switch f.kind {
	case kind(dissect.String):
		return types.StringType
	case kind(dissect.Int):
		return types.IntType
	case kind(dissect.Bool):
		return types.BoolType
	case kind(dissect.Strings):
		return types.NewListType(types.StringType)
	case kind(dissect.Map):
		return types.NewMapType(types.StringType, types.StringType)
	case kind(dissect.Bytes):
		return types.BytesType
	case kindTimestamp:
		return types.TimestampType
	case kindDuration:
		return types.DurationType
	}
	return bodyType
}

// typeName is the type as a person writes it.
func typeName(t *types.Type) string {
	switch {
	case t.IsExactType(types.TimestampType):
		return "timestamp"
	case t.IsExactType(types.DurationType):
		return "duration"
	}
	return cel.FormatCELType(t)
}

func (f *field) doc() Doc {
	d := Doc{Name: f.name, Type: typeName(f.celType()), Help: f.help, Protocols: append([]string(nil), f.owners...)}
	ex := f.example
	switch f.kind {
	case kind(dissect.String), kind(dissect.Bytes):
		if ex == "" {
			ex = `""`
		}
		if f.kind == kind(dissect.Bytes) {
			d.Example = f.name + ` != b""`
			break
		}
		d.Example = f.name + " == " + ex
	case kind(dissect.Int):
		if ex == "" {
			ex = "0"
		}
		d.Example = f.name + " == " + ex
	case kind(dissect.Bool):
		d.Example = f.name
	case kind(dissect.Strings):
		if ex == "" {
			ex = `"x"`
		}
		d.Example = ex + " in " + f.name
	case kind(dissect.Map):
		if ex == "" {
			ex = `"x"`
		}
		d.Example = f.name + "[" + ex + `] != ""`
	case kindTimestamp:
		d.Example = f.name + ` > now() - duration("5m")`
	case kindDuration:
		d.Example = f.name + ` > duration("100ms")`
	case kindBody:
		d.Example = f.name + `.contains("error")`
	}
	return d
}
