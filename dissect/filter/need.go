package filter

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/sshark/sshark/pcap/flow"
)

// need is what a flow must have so that the filter can match, as far as literals in the filter
// say it: one of each list at one of its ends. A list that is nil asks for nothing.
type need struct {
	ports []uint16
	hosts [][16]byte
	ids   []flow.ID
}

// RulesOut says whether no flow between these ends can match: by the addresses and ports that
// the filter names, and nothing else. It is much cheaper than Flow, which says it for the
// rest. Both ports being 0 rules out nothing: they may not be known.
func (f *Filter) RulesOut(k *flow.Key) bool {
	n := &f.need
	if n.ports != nil && k.PortA|k.PortB != 0 && !slices.Contains(n.ports, k.PortA) && !slices.Contains(n.ports, k.PortB) {
		return true
	}
	return n.hosts != nil && !slices.Contains(n.hosts, k.A) && !slices.Contains(n.hosts, k.B)
}

// Stream is the only flow that can match, 0: there may be others.
func (f *Filter) Stream() flow.ID {
	if len(f.need.ids) == 1 {
		return f.need.ids[0]
	}
	return 0
}

// needOf reads it off a checked filter.
func needOf(a *ast.AST) need {
	refs := a.ReferenceMap()
	name := func(e ast.Expr) string {
		if r := refs[e.ID()]; r != nil {
			return strings.TrimPrefix(r.Name, ".")
		}
		return ""
	}
	var of func(e ast.Expr) need
	of = func(e ast.Expr) need {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
			return need{}
		}
		x, y := e.AsCall().Args()[0], e.AsCall().Args()[1]
		switch e.AsCall().FunctionName() {
		case operators.LogicalAnd:
			return of(x).and(of(y))
		case operators.LogicalOr:
			return of(x).or(of(y))
		case operators.Equals:
			if x.Kind() == ast.LiteralKind {
				x, y = y, x
			}
			return equal(name(x), y)
		case operators.In:
			if y.Kind() != ast.ListKind || y.AsList().Size() == 0 {
				return need{}
			}
			all := equal(name(x), y.AsList().Elements()[0])
			for _, v := range y.AsList().Elements()[1:] {
				all = all.or(equal(name(x), v))
			}
			return all
		}
		return need{}
	}
	return of(a.Expr())
}

// equal is what a field being a literal asks for.
func equal(field string, v ast.Expr) need {
	if v.Kind() != ast.LiteralKind {
		return need{}
	}
	switch lit := v.AsLiteral().(type) {
	case types.Int:
		if (field == "src.port" || field == "dst.port") && lit >= 0 && lit <= 0xffff {
			return need{ports: []uint16{uint16(lit)}}
		}
	case types.String:
		switch field {
		case "src.ip", "dst.ip":
			if addr, err := netip.ParseAddr(string(lit)); err == nil {
				return need{hosts: [][16]byte{addr.As16()}}
			}
		case "stream":
			if id, err := flow.ParseID(string(lit)); err == nil {
				return need{ids: []flow.ID{id}}
			}
		}
	}
	return need{}
}

func (n need) and(o need) need {
	return need{either(n.ports, o.ports), either(n.hosts, o.hosts), either(n.ids, o.ids)}
}

func (n need) or(o need) need {
	return need{union(n.ports, o.ports), union(n.hosts, o.hosts), union(n.ids, o.ids)}
}

// either of two lists that are both asked for: the shorter one.
func either[T any](a, b []T) []T {
	if a == nil || b != nil && len(b) < len(a) {
		return b
	}
	return a
}

func union[T comparable](a, b []T) []T {
	if a == nil || b == nil {
		return nil
	}
	return append(slices.Clone(a), b...)
}
