package filter

import (
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// Names that no filter can write: "@" is no part of an identifier.
const (
	nowName     = "@now"   // the time of Compile
	hasPrefix   = "@has:"  // + field: whether it is known
	indexName   = "@index" // list[i] with i an integer literal
	bodyMatches = "body_matches"
)

// functions are those beyond CEL's own, and its macros with another has.
func (l *Language) functions() []cel.EnvOption {
	str, boolean := types.StringType, types.BoolType
	a, b := types.NewTypeParamType("A"), types.NewTypeParamType("B")
	strMap := types.NewMapType(str, str)

	onBody := func(name string, f func(*bodies, string) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload("body_"+name, []*types.Type{bodyType, str}, boolean,
			cel.BinaryBinding(func(x, y ref.Val) ref.Val { return f(x.(*bodies), string(y.(types.String))) })))
	}
	return []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(env.NewLibrarySubset().SetDisableMacros(true).AddExcludedFunctions(env.NewFunction("matches")))),
		cel.Macros(cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.MapFilterMacro, cel.FilterMacro,
			cel.GlobalMacro("has", 1, l.expandHas),
			cel.GlobalMacro("now", 0, func(f cel.MacroExprFactory, _ ast.Expr, _ []ast.Expr) (ast.Expr, *common.Error) {
				return f.NewIdent(nowName), nil
			})),
		cel.Function("map_get", cel.Overload("map_get_string", []*types.Type{strMap, str, str}, str,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				if v, ok := args[0].(*mapVal); ok {
					if s, ok := v.lookup(args[1]); ok {
						return types.String(s)
					}
					return args[2]
				}
				if v, ok := args[0].(traits.Mapper).Find(args[1]); ok {
					return v
				}
				return args[2]
			}))),
		cel.Function(indexName,
			cel.Overload("@index_list", []*types.Type{types.NewListType(a), types.IntType}, a, cel.BinaryBinding(index)),
			cel.Overload("@index_map", []*types.Type{types.NewMapType(a, b), a}, b, cel.BinaryBinding(index))),
		cel.Function("cidr", cel.Overload("cidr_string", []*types.Type{str}, cidrType,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				n, err := parseNetwork(string(v.(types.String)))
				if err != nil {
					return types.WrapErr(err)
				}
				return n
			}))),
		cel.Function("containsIP", cel.MemberOverload("cidr_contains_ip", []*types.Type{cidrType, str}, boolean,
			cel.BinaryBinding(func(n, s ref.Val) ref.Val { return n.(network).containsIP(string(s.(types.String))) }))),
		onBody("contains", (*bodies).contains),
		onBody("startsWith", (*bodies).startsWith),
		onBody("endsWith", (*bodies).endsWith),
		// These run only where a pattern was not compiled ahead, and check refuses such.
		cel.Function("matches",
			cel.Overload("matches_function", []*types.Type{str, str}, boolean, cel.BinaryBinding(matchString)),
			cel.MemberOverload("matches_string", []*types.Type{str, str}, boolean, cel.BinaryBinding(matchString)),
			cel.MemberOverload(bodyMatches, []*types.Type{bodyType, str}, boolean, cel.BinaryBinding(matchBody))),
	}
}

func matchString(s, pattern ref.Val) ref.Val { return s.(types.String).Match(pattern) }

func matchBody(b, pattern ref.Val) ref.Val {
	re, err := regexp.Compile(string(pattern.(types.String)))
	if err != nil {
		return types.WrapErr(err)
	}
	return b.(*bodies).matches(re)
}

// bodyRegex compiles the pattern of body.matches("…") once.
var bodyRegex = &interpreter.RegexOptimization{
	Function: "matches", OverloadID: bodyMatches, RegexIndex: 1,
	Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, err
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(),
			func(v ...ref.Val) ref.Val { return v[0].(*bodies).matches(re) }), nil
	},
}

// foldNetworks parses the literal of cidr("…") once.
func foldNetworks(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || call.Function() != "cidr" || len(call.Args()) != 1 {
		return i, nil
	}
	arg, ok := call.Args()[0].(interpreter.InterpretableConst)
	if !ok {
		return i, nil
	}
	s, ok := arg.Value().(types.String)
	if !ok {
		return i, nil
	}
	n, err := parseNetwork(string(s))
	if err != nil {
		return nil, err
	}
	return interpreter.NewConstValue(call.ID(), n), nil
}

// expandHas is has(x): whether a field is known (its value may be the zero value all the
// same), or whether a map has a key: has(request.headers["x"]), has(src.labels.app).
func (l *Language) expandHas(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	x := args[0]
	if name, ok := chain(x); ok {
		if l.fields[name] != nil {
			return f.NewIdent(hasPrefix + name), nil
		}
		if x.Kind() == ast.SelectKind {
			sel := x.AsSelect()
			if on, ok := chain(sel.Operand()); ok && l.fields[on] != nil {
				return f.NewCall(operators.In, f.NewLiteral(types.String(sel.FieldName())), sel.Operand()), nil
			}
		}
		// Most likely a typo: the check of the bare name tells.
		return f.NewCall(operators.Equals, f.Copy(x), x), nil
	}
	if x.Kind() == ast.CallKind && x.AsCall().FunctionName() == operators.Index {
		c := x.AsCall()
		return f.NewCall(operators.In, c.Args()[1], c.Args()[0]), nil
	}
	return nil, f.NewError(x.ID(), "has() takes a field, or a key of a map: has(grpc_status), has(request.headers[\"x-id\"])")
}

// chain is the dotted name of an identifier or a chain of selections.
func chain(e ast.Expr) (string, bool) {
	var parts []string
	for e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() {
		parts = append(parts, e.AsSelect().FieldName())
		e = e.AsSelect().Operand()
	}
	if e.Kind() != ast.IdentKind {
		return "", false
	}
	var b strings.Builder
	b.WriteString(e.AsIdent())
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('.')
		b.WriteString(parts[i])
	}
	return b.String(), true
}
