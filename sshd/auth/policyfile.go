package auth

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// maxPolicyFile bounds a policy.
const maxPolicyFile = 1 << 20

// ParsePolicy reads a policy in YAML. What it does not know is an error that says where: a rule
// that is not understood might be one that was meant to allow less.
//
//	rules:
//	- users: [ada]
//	  groups: [dev]
//	  verbs: [see, payload, export]
//	  namespaces: [shop]        # ["*"]: all
//	subjectAccessReview: false  # true: ask the cluster's RBAC too
//	limits:
//	  sessions: 16              # at once, of one user; queries too
//	  exportMBPerHour: 10240
//	  idle: 2h                  # a screen without a key press
//	  sessionTime: 24h
//	  overrides:
//	  - groups: [ops]
//	    sessions: 64
func ParsePolicy(b []byte) (*Policy, error) {
	if len(b) > maxPolicyFile {
		return nil, fmt.Errorf("parse policy: it is larger than %d bytes", maxPolicyFile)
	}
	p := &Policy{}
	if err := yaml.UnmarshalStrict(b, p); err != nil {
		return nil, fmt.Errorf("parse policy: %w", explain(b, err))
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("parse policy: %w", err)
	}
	return p, nil
}

// unknownField finds the name of a field in the parser's error, which does not say its place.
var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// explain puts the parser's error in our words, with the line where it can be found.
func explain(b []byte, err error) error {
	text := err.Error()
	for _, prefix := range []string{"error unmarshaling JSON: ", "error converting YAML to JSON: ", "while decoding JSON: ", "json: ", "yaml: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		name := m[1][strings.LastIndexByte(m[1], '.')+1:]
		for n, line := range bytes.Split(b, []byte("\n")) {
			key, _, ok := bytes.Cut(bytes.TrimLeft(line, " -{"), []byte(":"))
			if ok && strings.Trim(string(key), `"' `) == name {
				return fmt.Errorf("line %d: field %q is not known here", n+1, name)
			}
		}
		return fmt.Errorf("field %q is not known here", name)
	}
	return errors.New(text)
}

// label is the name of a namespace (RFC 1123, as Kubernetes uses it).
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// check says what a policy cannot mean.
func (p *Policy) check() error {
	for i := range p.Rules {
		r, at := &p.Rules[i], fmt.Sprintf("rules[%d]", i)
		switch {
		case len(r.Users)+len(r.Groups) == 0:
			return fmt.Errorf(`%s: names nobody: want users or groups ("*": everybody with a key or certificate)`, at)
		case len(r.Verbs) == 0:
			return fmt.Errorf("%s.verbs: is empty: want some of %s", at, verbList())
		case len(r.Namespaces) == 0:
			return fmt.Errorf(`%s.namespaces: is empty: want names, or "*" for all`, at)
		}
		for j, v := range r.Verbs {
			if !slices.Contains(Verbs(), v) {
				return fmt.Errorf("%s.verbs[%d]: %q is no verb: want some of %s", at, j, v, verbList())
			}
		}
		for j, n := range r.Namespaces {
			if n != Every && !label.MatchString(n) {
				return fmt.Errorf(`%s.namespaces[%d]: %q is no name of a namespace: want one in full, or "*" for all`, at, j, n)
			}
		}
		for what, list := range map[string][]string{"users": r.Users, "groups": r.Groups} {
			for j, n := range list {
				if err := checkName(n); err != nil {
					return fmt.Errorf("%s.%s[%d]: %w", at, what, j, err)
				}
			}
		}
	}
	return p.Limits.check()
}

func verbList() string {
	var all []string
	for _, v := range Verbs() {
		all = append(all, string(v))
	}
	return strings.Join(all, ", ")
}
