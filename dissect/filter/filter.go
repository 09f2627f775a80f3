package filter

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/sshark/sshark/dissect"
)

// Limits of one filter.
const (
	MaxSource  = 8 << 10 // bytes
	maxNesting = 100     // levels of parentheses, calls and lists
	maxLoops   = 2       // levels of exists(), all(), map() and filter() in each other
	maxPattern = 1000    // instructions of a compiled pattern
	costLimit  = 1 << 18 // of one judgement, in CEL's units: about one an operation or ten bytes
)

// Filter is a compiled filter.
type Filter struct {
	lang     *Language
	source   string
	program  cel.Program // nil: matches everything
	now      types.Timestamp
	reads    [scopeBody + 1]bool
	need     need
	said     string // the first by name of the fields it reads that were said
	directed bool
	detected bool
	pool     sync.Pool // of *subject
}

// Compile checks and compiles a filter; "" (or blanks) matches everything. An error is an
// *Error. now() is the time of this call for as long as the filter lives.
func (l *Language) Compile(src string) (*Filter, error) {
	f := &Filter{lang: l, source: src, now: types.Timestamp{Time: l.now()}}
	f.pool.New = func() any { return &subject{filter: f} }
	if len(src) > MaxSource {
		return nil, errorAt(src, MaxSource, "the filter is longer than %d bytes", MaxSource)
	}
	if i := invalid(src); i >= 0 {
		return nil, errorAt(src, i, "the filter is not valid UTF-8")
	}
	if strings.TrimSpace(src) == "" {
		return f, nil
	}
	checked, err := l.check(src)
	if err != nil {
		return nil, err
	}
	native := checked.NativeRep()
	for _, r := range native.ReferenceMap() {
		if fl := l.fields[strings.TrimPrefix(strings.TrimPrefix(r.Name, "."), hasPrefix)]; fl != nil {
			f.reads[fl.scope] = true
			f.directed = f.directed || fl.directed
			f.detected = f.detected || fl.detected
			if fl.said && (f.said == "" || fl.name < f.said) {
				f.said = fl.name
			}
		}
	}
	f.need = needOf(native)
	opts := []cel.ProgramOption{
		cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(bodyRegex), cel.CustomDecoratorV2(foldNetworks),
	}
	if needsLimit(native) {
		opts = append(opts, cel.CostLimit(costLimit))
	}
	if f.program, err = l.env.Program(checked, opts...); err != nil {
		return nil, errorAt(src, 0, "%v", err)
	}
	return f, nil
}

// check parses and checks a filter that is not blank.
func (l *Language) check(src string) (*cel.Ast, error) {
	parsed, issues := l.env.Parse(src)
	if issues.Err() != nil {
		return nil, l.explain(src, nil, issues)
	}
	native := parsed.NativeRep()
	if err := l.limits(src, native); err != nil {
		return nil, err
	}
	indexLists(native.Expr())
	checked, issues := l.env.Check(parsed)
	if issues.Err() != nil {
		return nil, l.explain(src, native, issues)
	}
	if t := checked.OutputType(); !t.IsExactType(types.BoolType) {
		return nil, errorAt(src, first(src), "a filter says yes or no (bool), but this is of type %s", typeName(t))
	}
	return checked, nil
}

// limits holds what the parser does not: levels of loops, patterns, networks.
func (l *Language) limits(src string, a *ast.AST) (err error) {
	fail := func(e ast.Expr, format string, args ...any) {
		if err == nil {
			err = errorAt(src, offset(src, a.SourceInfo().GetStartLocation(e.ID())), format, args...)
		}
	}
	var walk func(e ast.Expr, loops int)
	walk = func(e ast.Expr, loops int) {
		switch e.Kind() {
		case ast.SelectKind:
			walk(e.AsSelect().Operand(), loops)
		case ast.ListKind:
			for _, x := range e.AsList().Elements() {
				walk(x, loops)
			}
		case ast.MapKind:
			for _, x := range e.AsMap().Entries() {
				walk(x.AsMapEntry().Key(), loops)
				walk(x.AsMapEntry().Value(), loops)
			}
		case ast.ComprehensionKind:
			if loops == maxLoops {
				fail(e, "more than %d loops (exists, all, map, filter) in each other", maxLoops)
			}
			c := e.AsComprehension()
			walk(c.IterRange(), loops)
			for _, x := range []ast.Expr{c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
				walk(x, loops+1)
			}
		case ast.CallKind:
			c := e.AsCall()
			args := c.Args()
			if c.IsMemberFunction() {
				walk(c.Target(), loops)
			}
			for _, x := range args {
				walk(x, loops)
			}
			switch name := c.FunctionName(); {
			case name == "matches" && len(args) > 0:
				if why := badPattern(args[len(args)-1]); why != "" {
					fail(args[len(args)-1], "%s", why)
				}
			case name == "cidr" && len(args) == 1:
				if s, ok := literal(args[0]); ok {
					if _, bad := parseNetwork(s); bad != nil {
						fail(args[0], "%v", bad)
					}
				}
			}
		}
	}
	walk(a.Expr(), 0)
	return err
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// badPattern says what is wrong with the pattern of matches().
func badPattern(e ast.Expr) string {
	s, ok := literal(e)
	if !ok {
		return `the pattern of matches() must be a literal, such as "^/api/v[0-9]+"`
	}
	re, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return "pattern: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	p, err := syntax.Compile(re.Simplify())
	if err != nil {
		return "pattern: " + err.Error()
	}
	if len(p.Inst) > maxPattern {
		return fmt.Sprintf("the pattern is too big: %d steps, the limit is %d", len(p.Inst), maxPattern)
	}
	if _, err := regexp.Compile(s); err != nil {
		return "pattern: " + err.Error()
	}
	return ""
}

// indexLists makes x[1] a call of our own, which knows a missing element as "".
func indexLists(root ast.Expr) {
	fac := ast.NewExprFactory()
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Index || len(e.AsCall().Args()) != 2 {
			return
		}
		args := e.AsCall().Args()
		if args[1].Kind() != ast.LiteralKind {
			return
		}
		if _, ok := args[1].AsLiteral().(types.Int); ok {
			e.SetKindCase(fac.NewCall(e.ID(), indexName, args...))
		}
	}))
}

// needsLimit says whether the work may be more than linear in the lengths of the filter and of
// what it reads: it has a loop in another or over something else than a field, or it makes
// strings or lists longer.
func needsLimit(a *ast.AST) (yes bool) {
	isLoop := func(e ast.Expr) bool { return e.Kind() == ast.ComprehensionKind }
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			c := e.AsComprehension()
			_, nested := find(c.LoopStep(), isLoop)
			yes = yes || nested || c.IterRange().Kind() != ast.IdentKind
		case ast.CallKind:
			if e.AsCall().FunctionName() == operators.Add {
				switch a.GetType(e.ID()).Kind() {
				case types.IntKind, types.UintKind, types.DoubleKind, types.TimestampKind, types.DurationKind:
				default:
					yes = true
				}
			}
		}
	}))
	return yes
}

// String is the filter as it was typed.
func (f *Filter) String() string { return f.source }

// Bodies says whether the filter reads bodies, so that they must be kept to judge.
func (f *Filter) Bodies() bool { return f.reads[scopeBody] }

// Calls says whether the filter reads what only calls have: flows must be dissected, and it is
// their calls that decide. If not, MatchFlow decides.
func (f *Filter) Calls() bool {
	return f.reads[scopeCall] || f.reads[scopeBody] || f.reads[scopeDetect]
}

// Detects says whether a flow's protocol must be known to judge the flow: MatchFlow then wants
// flows that went through detection.
func (f *Filter) Detects() bool { return f.detected || f.reads[scopeDetect] }

// Payload names a field that the filter reads of what was said: one of a protocol, the summary,
// a body; "" if it asks for nothing but who spoke when, over which protocol, how long it took,
// how much it was and whether it was an error.
func (f *Filter) Payload() string { return f.said }

// Flows says whether the filter reads what only whole flows have (flow, flow_state, …), which
// no call can match by.
func (f *Filter) Flows() bool { return f.reads[scopeFlow] }

// Verdict is what is known of a flow and its calls before any payload is read.
type Verdict uint8

// Never: neither the flow nor a call of it can match. Always: all do.
const (
	Never Verdict = iota
	Maybe
	Always
)

// String is for logs and tests.
func (v Verdict) String() string { return [...]string{"never", "maybe", "always"}[v] }

// Flow judges by what is known without payload: addresses, ports, transport, identities and
// node; also by which of the language's protocols run on the transport. It holds for the calls
// that those protocols find, in either direction, and also if client and server turn out to be
// the other way round.
func (f *Filter) Flow(fl *dissect.Flow) Verdict {
	if f.program == nil {
		return Always
	}
	s := f.pool.Get().(*subject)
	v := f.partial(s, fl, false)
	if f.directed && v != Maybe && f.partial(s, fl, true) != v {
		v = Maybe
	}
	f.release(s)
	return v
}

func (f *Filter) partial(s *subject, fl *dissect.Flow, swap bool) Verdict {
	s.setFlow(partial, fl, swap)
	out, _, err := f.program.Eval(s)
	switch {
	case err != nil:
		return Maybe
	case out == types.True:
		return Always
	case out == types.False:
		return Never
	}
	return Maybe
}

// Call judges a call. An error is one of the filter's own arithmetic (a division by zero, the
// cost limit), not of the call; the call then does not match.
func (f *Filter) Call(c *dissect.Call) (bool, error) {
	if f.program == nil {
		return true, nil
	}
	s := f.pool.Get().(*subject)
	s.setCall(c)
	return f.judge(s)
}

// MatchFlow judges a flow of which all is known that there will be. What only calls have is
// zero, flags and protocol are those of the protocol that claimed it.
func (f *Filter) MatchFlow(fl *dissect.Flow) (bool, error) {
	if f.program == nil {
		return true, nil
	}
	s := f.pool.Get().(*subject)
	s.setFlow(aFlow, fl, false)
	return f.judge(s)
}

func (f *Filter) judge(s *subject) (bool, error) {
	out, _, err := f.program.Eval(s)
	f.release(s)
	if err != nil {
		return false, fmt.Errorf("judge by filter %q: %w", f.source, err)
	}
	return out == ref.Val(types.True), nil
}

func (f *Filter) release(s *subject) {
	*s = subject{filter: f}
	f.pool.Put(s)
}

// invalid is where src stops being UTF-8, -1 nowhere.
func invalid(src string) int {
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRuneInString(src[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// first is where the text begins.
func first(src string) int { return len(src) - len(strings.TrimLeft(src, " \t\r\n")) }
