package filter

import (
	"slices"
	"sort"
	"strings"
)

// Completion is one thing that may stand at the cursor: the bytes Start to End of the source
// are replaced by Text.
type Completion struct {
	Text       string
	Start, End int
	Kind       CompletionKind
	Help       string // one line
}

// CompletionKind says what a completion is.
type CompletionKind uint8

// The kinds, in the order in which they are listed.
const (
	CompleteField CompletionKind = iota
	CompleteFunction
	CompleteValue
	CompleteOperator
)

// tokenKind tells tokens apart as far as completion needs.
type tokenKind uint8

const (
	tokenName   tokenKind = iota // with its dots: src.pod.name
	tokenString                  // with its quotes; the last one may be missing
	tokenNumber
	tokenSymbol
)

type token struct {
	kind       tokenKind
	start, end int
}

func nameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// tokens splits a filter, right or wrong; blanks and comments are left out.
func tokens(src string) []token {
	var out []token
	for i := 0; i < len(src); {
		start, c := i, src[i]
		kind := tokenSymbol
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			i++
			continue
		case strings.HasPrefix(src[i:], "//"):
			n := strings.IndexByte(src[i:], '\n')
			if n < 0 {
				return out
			}
			i += n
			continue
		case c == '"' || c == '\'':
			kind, i = tokenString, endOfString(src, i, true)
		case c >= '0' && c <= '9':
			kind = tokenNumber
			for i < len(src) && (nameByte(src[i]) || src[i] == '.') {
				i++
			}
		case nameByte(c):
			kind = tokenName
			for i < len(src) && (nameByte(src[i]) || src[i] == '.') {
				i++
			}
			if p := strings.ToLower(src[start:i]); i < len(src) && (src[i] == '"' || src[i] == '\'') && (p == "r" || p == "b" || p == "br" || p == "rb") {
				kind, i = tokenString, endOfString(src, i, !strings.Contains(p, "r"))
			}
		default:
			i++
			if i < len(src) && slices.Contains([]string{"&&", "||", "==", "!=", "<=", ">="}, src[start:i+1]) {
				i++
			}
		}
		out = append(out, token{kind, start, i})
	}
	return out
}

// endOfString is where the string that begins with the quote at i ends.
func endOfString(src string, i int, escapes bool) int {
	quote := src[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(src[i:], triple) {
		quote = triple
	}
	for i += len(quote); i < len(src); i++ {
		switch {
		case strings.HasPrefix(src[i:], quote):
			return i + len(quote)
		case src[i] == '\\' && escapes:
			i++
		case src[i] == '\n' && len(quote) == 1:
			return i
		}
	}
	return len(src)
}

// functionHelp are the functions that begin an expression; loops and methods are below.
var functionHelp = []struct{ name, text, help string }{
	{"cidr", `cidr("`, "a network: cidr(\"10.0.0.0/8\").containsIP(src.ip)"},
	{"duration", `duration("`, "a time span: duration(\"1.5s\")"},
	{"has", "has(", "whether a field is known, or a map has a key"},
	{"map_get", "map_get(", "map_get(map, key, default): what a map has for a key"},
	{"now", "now()", "the time at which the filter was made"},
	{"size", "size(", "length of a string, a list or a map"},
	{"timestamp", `timestamp("`, "a time: timestamp(\"2026-01-02T15:04:05Z\")"},
	{"int", "int(", "a whole number of something else"},
	{"string", "string(", "a text of something else"},
}

// method is what may stand after a dot.
type method struct{ text, help string }

var (
	stringMethods = []method{
		{`contains("`, "whether the text has another in it"},
		{`startsWith("`, "whether the text begins with another"},
		{`endsWith("`, "whether the text ends with another"},
		{`matches("`, "whether the text has a match of a pattern (RE2)"},
		{"size()", "number of characters"},
	}
	listMethods = []method{
		{"exists(x, ", "whether one element fulfils a condition: exists(x, x.contains(\"a\"))"},
		{"all(x, ", "whether all elements fulfil a condition"},
		{"exists_one(x, ", "whether exactly one element fulfils a condition"},
		{"filter(x, ", "the elements that fulfil a condition"},
		{"map(x, ", "something made of each element"},
		{"size()", "number of elements"},
	}
	mapMethods = []method{
		{"exists(k, ", "whether one key fulfils a condition"},
		{"all(k, ", "whether all keys fulfil a condition"},
		{"size()", "number of keys"},
	}
	timeMethods = []method{
		{"getHours()", "hour, 0 to 23, UTC"},
		{"getMinutes()", "minute"},
		{"getSeconds()", "second"},
		{"getDayOfWeek()", "day of the week, Sunday is 0"},
	}
	durationMethods = []method{
		{"getMilliseconds()", "milliseconds within the second"},
		{"getSeconds()", "whole seconds"},
	}
)

func functionNames() []string {
	names := []string{"contains", "startsWith", "endsWith", "matches", "containsIP", "exists", "all", "exists_one", "filter", "map"}
	for _, f := range functionHelp {
		names = append(names, f.name)
	}
	return names
}

func methods(f *field) []method {
	switch f.kind {
	case str, octet, kindBody:
		return stringMethods
	case strs:
		return listMethods
	case dict:
		return mapMethods
	case kindTimestamp:
		return timeMethods
	case kindDuration:
		return durationMethods
	}
	return nil
}

// values are what some fields can be; others complete to their example.
func (l *Language) values(f *field) []string {
	switch f.name {
	case "protocol":
		var names []string
		for _, g := range l.fields {
			for _, i := range g.owners {
				names = append(names, `"`+i+`"`)
			}
		}
		sort.Strings(names)
		return slices.Compact(names)
	case "flow_state", "conn_state":
		return []string{`"open"`, `"in_progress"`, `"closed"`}
	case "method":
		return []string{`"GET"`, `"POST"`, `"PUT"`, `"PATCH"`, `"DELETE"`, `"HEAD"`, `"OPTIONS"`, `"CONNECT"`}
	case "status_code":
		return []string{"200", "301", "400", "401", "403", "404", "429", "500", "502", "503", "504"}
	case "grpc_status":
		return []string{"0", "1", "2", "3", "4", "5", "7", "8", "12", "13", "14", "16"}
	case "dns_question_types":
		return []string{`"A"`, `"AAAA"`, `"CNAME"`, `"MX"`, `"NS"`, `"PTR"`, `"SRV"`, `"TXT"`}
	}
	switch {
	case f.kind == yes:
		return []string{"true", "false"}
	case f.kind == kindTimestamp:
		return []string{"now()", `timestamp("`}
	case f.kind == kindDuration:
		return []string{`duration("`}
	case f.example != "":
		return []string{f.example}
	}
	return nil
}

// Complete is what may stand at the cursor, a byte offset: what begins with what is typed
// there, then what contains it. The source need not be a filter yet.
func (l *Language) Complete(src string, cursor int) []Completion {
	cursor = min(max(cursor, 0), len(src))
	if len(src) > MaxSource {
		return nil
	}
	toks := tokens(src[:cursor])
	c := completer{lang: l, end: cursor}
	var last token
	if n := len(toks); n > 0 && toks[n-1].end == cursor && toks[n-1].kind != tokenSymbol {
		last, toks = toks[n-1], toks[:n-1]
		c.word, c.start = src[last.start:cursor], last.start
	} else {
		c.start = cursor
	}
	text := func(i int) string { // the i-th token from the end
		if i > len(toks) {
			return ""
		}
		t := toks[len(toks)-i]
		return src[t.start:t.end]
	}
	if last.kind == tokenName {
		for c.end < len(src) && nameByte(src[c.end]) {
			c.end++
		}
	}
	switch op := text(1); {
	case last.kind == tokenNumber && c.word != "" || last.kind == tokenString && closed(c.word):
		return nil
	case op == "==" || op == "!=" || op == "<" || op == ">" || op == "<=" || op == ">=":
		if f := l.fields[text(2)]; f != nil {
			for _, v := range l.values(f) {
				c.add(CompleteValue, v, f.help)
			}
		}
		if last.kind == tokenName && c.word != "" {
			c.operands()
		}
	case last.kind == tokenString && c.word != "":
		c.inString(src, text)
	case c.word == "" && operand(toks, op):
		c.operators(l.fields[op])
	default:
		c.operands()
	}
	return c.sorted()
}

// closed says whether a string literal has its end.
func closed(s string) bool {
	return len(s) > 1 && endOfString(s+" ", strings.IndexAny(s, `"'`), true) == len(s) && s[len(s)-1] == s[strings.IndexAny(s, `"'`)]
}

// operand says whether what comes before is something that an operator may follow.
func operand(toks []token, text string) bool {
	if len(toks) == 0 {
		return false
	}
	return text != "in" && toks[len(toks)-1].kind != tokenSymbol || text == ")" || text == "]"
}

// completer gathers completions for one word.
type completer struct {
	lang       *Language
	word       string
	start, end int
	out        []Completion
}

func (c *completer) add(k CompletionKind, text, help string) {
	if c.word != text && strings.Contains(strings.ToLower(text), strings.ToLower(c.word)) {
		c.out = append(c.out, Completion{text, c.start, c.end, k, help})
	}
}

// operands are what an expression may begin with, or go on with after a dot.
func (c *completer) operands() {
	for i := range c.lang.docs {
		c.add(CompleteField, c.lang.docs[i].Name, c.lang.docs[i].Help)
	}
	for _, f := range functionHelp {
		c.add(CompleteFunction, f.text, f.help)
	}
	i := strings.LastIndexByte(c.word, '.')
	if i < 0 {
		return
	}
	f := c.lang.fields[c.word[:i]]
	if f == nil {
		return
	}
	for _, m := range methods(f) {
		if strings.HasPrefix(strings.ToLower(m.text), strings.ToLower(c.word[i+1:])) {
			c.out = append(c.out, Completion{c.word[:i+1] + m.text, c.start, c.end, CompleteFunction, m.help})
		}
	}
}

// inString completes a string that is not closed: a key of the map before its bracket, or an
// element of the list after it is not known.
func (c *completer) inString(src string, before func(int) string) {
	if before(1) != "[" {
		return
	}
	f := c.lang.fields[before(2)]
	if f == nil || f.kind != dict {
		return
	}
	if strings.HasSuffix(f.name, ".headers") {
		for _, h := range headers {
			c.add(CompleteValue, `"`+h+`"`, "header")
		}
	} else if f.example != "" {
		c.add(CompleteValue, f.example, f.help)
	}
}

var headers = []string{
	"accept", "authorization", "cache-control", "content-encoding", "content-length", "content-type", "cookie",
	"host", "location", "origin", "referer", "server", "set-cookie", "traceparent", "transfer-encoding", "upgrade",
	"user-agent", "x-forwarded-for", "x-request-id",
}

// operators are what may follow an operand.
func (c *completer) operators(f *field) {
	add := func(help string, ops ...string) {
		for _, o := range ops {
			c.add(CompleteOperator, o, help)
		}
	}
	switch {
	case f == nil || f.kind == yes:
	case f.kind == strs || f.kind == dict || f.kind == kindBody:
	default:
		add("equal", "==")
		add("not equal", "!=")
		if f.kind != octet {
			add("order", "<", "<=", ">", ">=")
		}
	}
	if f != nil && f.kind == str {
		add("is one of a list, or a key of a map", "in")
	}
	add("both", "&&")
	add("one of both", "||")
	if f == nil {
		add("is one of a list, or a key of a map", "in")
	}
}

func (c *completer) sorted() []Completion {
	word := strings.ToLower(c.word)
	rank := func(x Completion) int {
		if strings.HasPrefix(strings.ToLower(x.Text), word) {
			return 0
		}
		return 1
	}
	sort.SliceStable(c.out, func(i, j int) bool { return rank(c.out[i]) < rank(c.out[j]) })
	return c.out
}
