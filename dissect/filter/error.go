package filter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"golang.org/x/text/width"
)

// Error is what is wrong with a filter, and where. Line and Column count characters from 1.
type Error struct {
	Line    int
	Column  int
	Message string
	Source  string // the whole filter
}

// Error is the message with the place, the line of the filter, and a caret below it. What
// would harm a terminal is shown as "�".
func (e *Error) Error() string {
	lines := strings.Split(e.Source, "\n")
	line := lines[min(max(e.Line-1, 0), len(lines)-1)]
	var text, pad strings.Builder
	col := 1
	for _, r := range line {
		if col >= e.Column-maxBefore && col <= e.Column+maxAfter {
			if col == e.Column-maxBefore && col > 1 {
				text.WriteString("…")
				pad.WriteByte(' ')
			}
			if !unicode.IsPrint(r) {
				r = map[bool]rune{true: ' ', false: '�'}[r == '\t' || r == '\r']
			}
			text.WriteRune(r)
			if col < e.Column {
				pad.WriteByte(' ')
				if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
					pad.WriteByte(' ')
				}
			}
		}
		col++
	}
	if col > e.Column+maxAfter+1 {
		text.WriteString("…")
	}
	return fmt.Sprintf("filter, line %d, column %d: %s\n  %s\n  %s^", e.Line, e.Column, e.Message, text.String(), pad.String())
}

// What is shown of a long line, in characters around the place.
const (
	maxBefore = 100
	maxAfter  = 60
)

// errorAt makes an Error for a byte offset.
func errorAt(src string, at int, format string, args ...any) *Error {
	at = min(max(at, 0), len(src))
	before := src[:at]
	line := strings.LastIndexByte(before, '\n') + 1
	return &Error{
		Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[line:]) + 1,
		Message: printable(fmt.Sprintf(format, args...)), Source: src,
	}
}

// printable takes out of a message what a terminal would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}

// offset is the byte offset of a place that CEL gave: lines from 1, characters from 0.
func offset(src string, at common.Location) int {
	off := 0
	for n := at.Line(); n > 1; n-- {
		i := strings.IndexByte(src[off:], '\n')
		if i < 0 {
			return len(src)
		}
		off += i + 1
	}
	for n := at.Column(); n > 0 && off < len(src); n-- {
		_, size := utf8.DecodeRuneInString(src[off:])
		off += size
	}
	return off
}

// explain makes an Error of the first of CEL's, in the words of this language.
func (l *Language) explain(src string, parsed *ast.AST, issues *cel.Issues) error {
	errs := issues.Errors()
	if len(errs) == 0 {
		return errorAt(src, 0, "%v", issues.Err())
	}
	e := errs[0]
	for _, o := range errs[1:] {
		if o.Location.Line() < e.Location.Line() ||
			o.Location.Line() == e.Location.Line() && o.Location.Column() < e.Location.Column() {
			e = o
		}
	}
	at := offset(src, e.Location)
	if parsed == nil {
		return l.syntaxError(src, at, e.Message)
	}
	if m := noOverload.FindStringSubmatch(e.Message); m != nil {
		return l.explainOverload(src, at, m[1], m[2])
	}
	if m := undeclared.FindStringSubmatch(e.Message); m != nil {
		return l.explainName(src, at, m[1], parsed, e.ExprID)
	}
	if noSelection.MatchString(e.Message) {
		if x, ok := find(parsed.Expr(), func(x ast.Expr) bool { return x.ID() == e.ExprID }); ok {
			if name, ok := chain(x); ok {
				return l.unknownField(src, start(src, parsed, x), name)
			}
		}
	}
	if m := wrongType.FindStringSubmatch(e.Message); m != nil {
		return errorAt(src, at, "%s is needed here, but this is %s", plainTypes(m[1]), plainTypes(m[2]))
	}
	switch e.Message {
	case "invalid duration argument":
		return errorAt(src, at, `this is no duration: want one such as "100ms", "1.5s" or "1h30m"`)
	case "invalid timestamp argument":
		return errorAt(src, at, `this is no time: want one such as "2026-01-02T15:04:05Z"`)
	}
	return errorAt(src, at, "%s", e.Message)
}

// plainTypes writes types as this language calls them.
func plainTypes(s string) string {
	return strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration").Replace(s)
}

var (
	wrongType   = regexp.MustCompile(`^expected type '(.*)' but found '(.*)'$`)
	noOverload  = regexp.MustCompile(`^found no matching overload for '(.*)' applied to '(.*)'$`)
	undeclared  = regexp.MustCompile(`^undeclared reference to '(.*)' \(in container`)
	noSelection = regexp.MustCompile(`does not support field selection$`)
	tokenError  = regexp.MustCompile(`token recognition error at: '(.*)'$`)
	mismatched  = regexp.MustCompile(`(?:mismatched|extraneous) input '(.*?)' expecting|no viable alternative at input '(.*)'`)
)

// find is the first expression that ok likes.
func find(root ast.Expr, ok func(ast.Expr) bool) (found ast.Expr, is bool) {
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if !is && ok(e) {
			found, is = e, true
		}
	}))
	return found, is
}

// start is where the leftmost name of a chain begins.
func start(src string, a *ast.AST, e ast.Expr) int {
	for e.Kind() == ast.SelectKind {
		e = e.AsSelect().Operand()
	}
	return offset(src, a.SourceInfo().GetStartLocation(e.ID()))
}

// explainName explains a name that is not declared: a field's, or a function's.
func (l *Language) explainName(src string, at int, name string, parsed *ast.AST, id int64) error {
	x, ok := find(parsed.Expr(), func(x ast.Expr) bool { return x.ID() == id })
	if !ok {
		return errorAt(src, at, "unknown name `%s`", name)
	}
	if x.Kind() == ast.CallKind {
		// CEL's place is that of the bracket; the name stands before it.
		if i := strings.LastIndex(src[:min(at+1, len(src))], name); i >= 0 {
			at = i
		}
		if slices.ContainsFunc(listMethods, func(m method) bool { return strings.HasPrefix(m.text, name+"(") && name != "size" }) {
			return errorAt(src, at, "`%s()` follows a list or a map, and takes a name and what to do with it: pods.%s(x, x == \"a\")", name, name)
		}
		return errorAt(src, at, "unknown function `%s()`%s", name, didYouMean(name, functionNames(), "()"))
	}
	// The longest chain that begins here is what was meant as a name.
	whole := x
	find(parsed.Expr(), func(p ast.Expr) bool {
		e := p
		for e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() {
			e = e.AsSelect().Operand()
		}
		if e.ID() != id {
			return false
		}
		whole = p
		return true
	})
	if n, ok := chain(whole); ok {
		name = n
	}
	return l.unknownField(src, at, name)
}

func (l *Language) unknownField(src string, at int, name string) error {
	if why, ok := refused[name]; ok {
		return errorAt(src, at, "field `%s` cannot be known here: %s", name, why)
	}
	if why, ok := later[name]; ok {
		return errorAt(src, at, "`%s` is not known to a filter: %s", name, why)
	}
	if w, ok := words[strings.ToLower(name)]; ok {
		return errorAt(src, at, "unknown field `%s`: %s", name, w)
	}
	names := make([]string, 0, len(l.docs))
	for i := range l.docs {
		names = append(names, l.docs[i].Name)
	}
	hint := l.below(name)
	if hint == "" {
		hint = didYouMean(name, names, "")
	}
	return errorAt(src, at, "unknown field `%s`%s", name, hint)
}

// below names the fields under a name that is only the beginning of some.
func (l *Language) below(name string) string {
	var found []string
	for i := range l.docs {
		if strings.HasPrefix(l.docs[i].Name, name+".") {
			found = append(found, "`"+l.docs[i].Name+"`")
		}
	}
	if len(found) == 0 {
		return ""
	}
	return ", there are " + strings.Join(found[:min(len(found), 4)], ", ")
}

// words are what people write who have another language in mind.
var words = map[string]string{
	"and": "write &&", "or": "write ||", "not": "write !", "eq": "write ==", "ne": "write !=",
	"nil":  `a field that is not known has the zero value: "", 0 or false`,
	"none": `a field that is not known has the zero value: "", 0 or false`,
}

// explainOverload explains types that do not fit.
func (l *Language) explainOverload(src string, at int, function, applied string) error {
	applied = plainTypes(applied)
	types := strings.TrimSuffix(strings.TrimPrefix(applied, "("), ")")
	op := strings.Trim(function, "_")
	left, right, two := splitTypes(types)
	switch function {
	case "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_":
		if two {
			return errorAt(src, at, "`%s` cannot compare %s with %s%s", op, left, right, fitting(left, right))
		}
	case "_&&_", "_||_", "!_":
		return errorAt(src, at, "`%s` needs bool, but has %s", op, types)
	case "@in":
		return errorAt(src, at, "`in` looks for a value in a list or a key in a map, not for %s in %s", left, right)
	case indexName, "_[_]":
		return errorAt(src, at, "%s cannot be indexed with %s", left, right)
	}
	if strings.HasPrefix(function, "_") || strings.HasPrefix(function, "-") {
		return errorAt(src, at, "`%s` does not work on %s", op, types)
	}
	if strings.Contains(applied, ".(") {
		recv, args, _ := strings.Cut(applied, ".")
		return errorAt(src, at, "%s has no function `%s%s`", recv, function, args)
	}
	return errorAt(src, at, "`%s()` does not take (%s)", function, types)
}

// splitTypes splits "int, list(string)".
func splitTypes(s string) (left, right string, ok bool) {
	depth := 0
	for i, r := range s {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				return s[:i], strings.TrimSpace(s[i+1:]), true
			}
		}
	}
	return s, "", false
}

func fitting(left, right string) string {
	switch {
	case left == "int" && right == "string":
		return ": write the number without quotes"
	case left == "string" && right == "int":
		return ": write the value in quotes"
	case left == "duration":
		return `: write duration("100ms")`
	case left == "timestamp":
		return `: write timestamp("2026-01-02T15:04:05Z")`
	case left == "body":
		return `: write body.contains("…")`
	case strings.HasPrefix(left, "list"):
		return ": write value in list"
	case strings.HasPrefix(left, "map"):
		return `: one value of a map is NAME["key"], such as node["name"]`
	}
	return ""
}

// syntaxError explains what the parser said.
func (l *Language) syntaxError(src string, at int, msg string) error {
	if strings.Contains(msg, "recursion") {
		return errorAt(src, at, "the filter is nested more than %d levels deep", maxNesting)
	}
	if name, ok := strings.CutPrefix(msg, "reserved identifier: "); ok {
		return l.unknownField(src, at, name)
	}
	if m := tokenError.FindStringSubmatch(msg); m != nil {
		switch {
		case strings.HasPrefix(m[1], "="):
			return errorAt(src, at, "write == to compare")
		case strings.HasPrefix(m[1], "&"):
			return errorAt(src, at, "write && for and")
		case strings.HasPrefix(m[1], "|"):
			return errorAt(src, at, "write || for or")
		case strings.HasPrefix(m[1], `"`), strings.HasPrefix(m[1], "'"):
			return errorAt(src, at, "the quote that begins here is not closed")
		}
		return errorAt(src, at, "unexpected `%s`", m[1])
	}
	if strings.HasSuffix(msg, "at '<EOF>'") {
		return errorAt(src, at, "the filter ends too early%s", unbalanced(src))
	}
	if m := mismatched.FindStringSubmatch(msg); m != nil {
		tok := m[1] + m[2]
		if tok == "<EOF>" || at >= len(src) {
			return errorAt(src, at, "the filter ends too early%s", unbalanced(src))
		}
		if i := strings.LastIndexAny(tok, " \t"); m[2] != "" && i >= 0 {
			tok = tok[i+1:]
		}
		if w, ok := words[strings.ToLower(tok)]; ok {
			return errorAt(src, at, "unexpected `%s`: %s", tok, w)
		}
		if toks := tokens(src[:at]); len(toks) > 0 {
			before := toks[len(toks)-1]
			if w, ok := words[strings.ToLower(src[before.start:before.end])]; ok {
				return errorAt(src, before.start, "unexpected `%s`: %s", src[before.start:before.end], w)
			}
		}
		return errorAt(src, at, "unexpected `%s`", tok)
	}
	return errorAt(src, at, "%s", strings.TrimPrefix(msg, "Syntax error: "))
}

// unbalanced says which bracket is open at the end.
func unbalanced(src string) string {
	var open []byte
	for _, t := range tokens(src) {
		switch text := src[t.start:t.end]; text {
		case "(", "[", "{":
			open = append(open, text[0])
		case ")", "]", "}":
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 {
		return ""
	}
	return fmt.Sprintf(": `%c` is not closed", open[len(open)-1])
}

// didYouMean names the nearest of the known names, if one is near.
func didYouMean(name string, known []string, suffix string) string {
	if len(name) > 64 {
		return ""
	}
	best, dist := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), k, dist); d < dist {
			best, dist = k, d
		}
	}
	// A part of a name, such as pod_name, is near to those that end with it.
	dotted := strings.NewReplacer("_", ".")
	var ends []string
	for _, k := range known {
		if n, k := dotted.Replace(strings.ToLower(name)), dotted.Replace(k); dist > 1 &&
			(strings.HasSuffix(k, "."+n) || len(k) > 3 && strings.HasSuffix(n, "."+k)) {
			ends = append(ends, k)
		}
	}
	for i, e := range ends {
		j := slices.IndexFunc(known, func(k string) bool { return dotted.Replace(k) == e })
		ends[i] = "`" + known[j] + suffix + "`"
	}
	switch {
	case len(ends) > 0:
		return ", did you mean " + strings.Join(ends[:min(len(ends), 3)], " or ") + "?"
	case best == "":
		return ""
	}
	return ", did you mean `" + best + suffix + "`?"
}

// distance is the number of letters to insert, delete, change or exchange with their neighbour
// to make b of a; limit if it is not less.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return min(prev[len(b)], limit)
}
