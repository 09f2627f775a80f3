package replay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Difference is a field of an answer that is another than it was. Was and Is are JSON values or
// texts, cut; "" is nothing at all.
type Difference struct {
	Field   string
	Was, Is string
}

// String is the difference in words.
func (d Difference) String() string {
	switch {
	case d.Was == "":
		return d.Field + ": " + d.Is + " is new"
	case d.Is == "":
		return d.Field + ": " + d.Was + " is gone"
	}
	return d.Field + ": " + d.Was + " became " + d.Is
}

// Bounds of what is told of one call.
const (
	maxDifferences = 50
	maxShown       = 80 // bytes of a value
)

// comparison is one call beside another.
type comparison struct {
	rules   *Rules
	at      moment
	found   []Difference
	more    int // differences beyond them
	ignored []string
	sizes   []Difference // that tell of what is compared by itself
	asked   bool         // some are ignored because that was asked for
}

// compare finds the differences between two answers to the same request.
func (r *Rules) compare(was, is *Call) (found []Difference, more int, ignored []string) {
	c := &comparison{rules: r, at: moment{was.last, is.last}}
	switch {
	case was.Answered && !is.Answered:
		c.differ("response", short(firstOf(was.Status, "an answer")), "")
	case !was.Answered && is.Answered:
		c.differ("response", "", short(firstOf(is.Status, "an answer")))
	}
	if was.Answered == is.Answered {
		c.members("", object(was.fields), object(is.fields))
		c.bodies(was.body, is.body)
		if len(c.found) == 0 && was.Status != is.Status && !c.asked {
			c.differ("status", short(was.Status), short(is.Status))
		}
		if !was.Cut && is.Cut {
			c.differ("response", "whole", "cut short")
		}
	}
	// Sizes alone count where nothing says what is in them.
	if len(c.found) == 0 && was.body == nil && is.body == nil && len(c.ignored) == 0 {
		for _, d := range c.sizes {
			if !strings.HasSuffix(d.Field, "total_size") && !strings.HasSuffix(d.Field, "headers_size") && !strings.HasPrefix(d.Field, "dns_") {
				c.differ(d.Field, d.Was, d.Is)
			}
		}
	}
	return c.found, c.more, c.ignored
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *comparison) differ(field, was, is string) {
	if len(c.found) >= maxDifferences {
		c.more++
		return
	}
	c.found = append(c.found, Difference{field, was, is})
}

// unequal takes a field whose values differ; nil is nothing.
func (c *comparison) unequal(field string, was, is any) {
	switch path := split(field); {
	case c.rules.ignores(field, was, is, c.at):
		c.asked = c.asked || c.rules.asked(path)
		if len(c.ignored) < maxDifferences {
			c.ignored = append(c.ignored, field)
		}
	case len(path) > 0 && derived(path) && !strings.HasPrefix(field, "response.body"):
		c.sizes = append(c.sizes, Difference{field, shown(was), shown(is)})
	default:
		w, i := shown(was), shown(is)
		if w == i { // the difference is behind what is shown
			w, i = apart(was, is)
		}
		c.differ(field, w, i)
	}
}

// object reads the members that a message wrote.
func object(fields []byte) map[string]any {
	if len(fields) == 0 {
		return nil
	}
	v, ok := parse(append(append([]byte{'{'}, bytes.TrimPrefix(fields, []byte(","))...), '}'))
	m, isObject := v.(map[string]any)
	if !ok || !isObject {
		return map[string]any{"fields": string(fields)}
	}
	return m
}

// parse reads one JSON value, and nothing behind it.
func parse(b []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, err == io.EOF
}

// members compares two objects.
func (c *comparison) members(at string, was, is map[string]any) {
	names := slices.Collect(maps.Keys(was))
	for k := range is {
		if _, both := was[k]; !both {
			names = append(names, k)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "headers"), strings.Count(b, "headers")), cmp.Compare(a, b))
	})
	for _, k := range names {
		w, had := was[k]
		i, has := is[k]
		field := member(at, k)
		switch {
		case had && has:
			c.values(field, w, i)
		case had:
			c.unequal(field, present{w}, nil)
		default:
			c.unequal(field, nil, present{i})
		}
	}
}

// present is a value of which there is none on the other side: JSON's null is one too.
type present struct{ v any }

// values compares two values.
func (c *comparison) values(field string, was, is any) {
	switch w := was.(type) {
	case map[string]any:
		if i, ok := is.(map[string]any); ok {
			c.members(field, w, i)
			return
		}
	case []any:
		if i, ok := is.([]any); ok {
			if field == "dns_answers" { // servers turn them round
				w, i = sorted(w), sorted(i)
			}
			c.elements(field, w, i)
			return
		}
	case json.Number:
		if i, ok := is.(json.Number); ok && sameNumber(w.String(), i.String()) {
			return
		}
	default:
		switch is.(type) {
		case map[string]any, []any:
		default:
			if was == is {
				return
			}
		}
	}
	c.unequal(field, present{was}, present{is})
}

func sorted(list []any) []any {
	own := slices.Clone(list)
	slices.SortFunc(own, func(a, b any) int { return strings.Compare(shown(a), shown(b)) })
	return own
}

func (c *comparison) elements(field string, was, is []any) {
	for n := range max(len(was), len(is)) {
		at := field + "[" + strconv.Itoa(n) + "]"
		switch {
		case n < len(was) && n < len(is):
			c.values(at, was[n], is[n])
		case n < len(was):
			c.unequal(at, present{was[n]}, nil)
		default:
			c.unequal(at, nil, present{is[n]})
		}
	}
}

// sameNumber says whether two numbers are the same: 1.0 is 1. Long ones are compared as they are
// written, since a float64 would make them the same.
func sameNumber(a, b string) bool {
	if a == b || len(a) > 15 || len(b) > 15 {
		return a == b
	}
	x, err := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err == nil && err2 == nil && x == y
}

// member is the path of a member.
func member(at, name string) string {
	if at == "" {
		return name
	}
	if strings.ContainsAny(name, " .[]\"") || name == "" {
		return at + "[" + strconv.Quote(name) + "]"
	}
	return at + "." + name
}

// bodies compares two bodies: JSON by members, others by their bytes.
func (c *comparison) bodies(was, is *body) {
	const field = "response.body"
	switch {
	case was == nil && is == nil:
		return
	case was == nil:
		c.unequal(field, nil, present{string(is.data)})
		return
	case is == nil:
		c.unequal(field, present{string(was.data)}, nil)
		return
	case bytes.Equal(was.data, is.data) && was.cut == is.cut && (!was.cut || was.size == is.size):
		return
	}
	if looksJSON(was) && looksJSON(is) && !was.cut && !is.cut {
		w, ok := parse(was.data)
		i, ok2 := parse(is.data)
		if ok && ok2 {
			c.values(field, w, i)
			return
		}
	}
	if c.rules.ignores(field, string(was.data), string(is.data), c.at) {
		c.ignored = append(c.ignored, field)
		return
	}
	w, i := apartBytes(was, is)
	c.differ(field, w, i)
}

// apartBytes says where two bodies part, in two texts.
func apartBytes(was, is *body) (w, i string) {
	n := common(was.data, is.data)
	if n == min(len(was.data), len(is.data)) && len(was.data) == len(is.data) {
		return fmt.Sprintf("%d bytes", was.size), fmt.Sprintf("%d bytes, the first %d the same", is.size, n)
	}
	return fmt.Sprintf("%d bytes, at %d %s", was.size, n, around(was.data, n)), fmt.Sprintf("%d bytes, at %d %s", is.size, n, around(is.data, n))
}

func looksJSON(b *body) bool {
	text := bytes.TrimLeft(b.data, " \t\r\n")
	return strings.Contains(b.kind, "json") || len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// around is the bytes at a place, as text where they are text, with a few before it.
func around(b []byte, at int) string {
	const most, before = 24, 8
	if at >= len(b) {
		return "the end"
	}
	b = b[max(0, at-before):]
	for len(b) > 1 && !utf8.RuneStart(b[0]) && b[0] >= utf8.RuneSelf && at > before { // a rune may be cut
		b = b[1:]
	}
	b = b[:min(len(b), most)]
	for n := 0; n < utf8.UTFMax-1 && len(b) > 1 && !utf8.Valid(b); n++ { // a rune may be cut
		b = b[:len(b)-1]
	}
	if utf8.Valid(b) {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("% x", b)
}

// shown is a value as it is told, cut; "" is nothing at all.
func shown(v any) string {
	switch p := v.(type) {
	case nil:
		return ""
	case present:
		v = p.v
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return "?"
	}
	return short(strings.TrimSuffix(b.String(), "\n"))
}

func short(s string) string {
	if len(s) <= maxShown {
		return s
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// apart shows two values from where they part.
func apart(was, is any) (w, i string) {
	text := func(v any) []byte {
		if p, ok := v.(present); ok {
			v = p.v
		}
		if s, ok := v.(string); ok {
			return []byte(s)
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		return b
	}
	a, b := text(was), text(is)
	n := common(a, b)
	return fmt.Sprintf("at %d %s", n, around(a, n)), fmt.Sprintf("at %d %s", n, around(b, n))
}
