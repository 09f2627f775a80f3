package worker

import (
	"fmt"
	"slices"
	"strings"
)

// selector is a Kubernetes label selector: requirements that must all hold (the grammar of
// kubectl's -l: "app=web,tier!=db,env in (a, b),!canary").
type selector []requirement

// requirement is about one label. not turns its meaning around; without values it asks
// whether the label is there.
type requirement struct {
	key    string
	values []string
	not    bool
}

// parseSelector reads a selector; "" selects everything.
func parseSelector(text string) (selector, error) {
	var s selector
	for rest := strings.TrimSpace(text); rest != ""; {
		var part string
		part, rest = cutRequirement(rest)
		r, err := parseRequirement(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("label selector %q: %w", text, err)
		}
		s = append(s, r)
	}
	return s, nil
}

// cutRequirement cuts at the first comma that is not within parentheses.
func cutRequirement(text string) (part, rest string) {
	depth := 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth <= 0:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func parseRequirement(text string) (requirement, error) {
	r := requirement{}
	if key, ok := strings.CutPrefix(text, "!"); ok && !strings.Contains(key, "=") {
		r.key, r.not = strings.TrimSpace(key), true
		return r, checkKey(r.key, text)
	}
	if i := strings.IndexByte(text, '='); i >= 0 && !strings.Contains(text[:i], "(") {
		key, value := text[:i], strings.TrimPrefix(text[i+1:], "=")
		if k, ok := strings.CutSuffix(key, "!"); ok {
			key, r.not = k, true
		}
		r.key, r.values = strings.TrimSpace(key), []string{strings.TrimSpace(value)}
		if err := checkKey(r.key, text); err != nil {
			return r, err
		}
		return r, checkValues(r.values, text)
	}
	if head, list, ok := strings.Cut(text, "("); ok {
		words := strings.Fields(head)
		list, closed := strings.CutSuffix(strings.TrimSpace(list), ")")
		if len(words) != 2 || words[1] != "in" && words[1] != "notin" || !closed {
			return r, fmt.Errorf("%q: want KEY in (VALUE, VALUE) or KEY notin (VALUE, VALUE)", text)
		}
		r.key, r.not = words[0], words[1] == "notin"
		for v := range strings.SplitSeq(list, ",") {
			r.values = append(r.values, strings.TrimSpace(v))
		}
		if err := checkKey(r.key, text); err != nil {
			return r, err
		}
		return r, checkValues(r.values, text)
	}
	r.key = text
	return r, checkKey(r.key, text)
}

// checkKey and checkValues find what can be no label, so that a slip does not select nothing.
func checkKey(key, text string) error {
	name := key[strings.LastIndexByte(key, '/')+1:]
	if name == "" || !labelText(strings.Replace(key, "/", "", 1)) {
		return fmt.Errorf("%q: %q is no label key: want KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (VALUE, …) or KEY notin (VALUE, …)", text, key)
	}
	return nil
}

func checkValues(values []string, text string) error {
	for _, v := range values {
		if !labelText(v) {
			return fmt.Errorf("%q: %q is no label value", text, v)
		}
	}
	return nil
}

// labelText says whether there are only the characters that labels are made of.
func labelText(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.'
	}) < 0
}

// selects says whether labels meet all requirements. As in Kubernetes, a label that is not
// there is none of the values.
func (s selector) selects(labels map[string]string) bool {
	for _, r := range s {
		value, ok := labels[r.key]
		if r.values != nil {
			ok = ok && slices.Contains(r.values, value)
		}
		if ok == r.not {
			return false
		}
	}
	return true
}
