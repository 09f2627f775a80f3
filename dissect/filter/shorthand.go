package filter

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/sshark/sshark/dissect"
)

// Shorthand gathers the flags that stand for parts of a filter, and is that filter's text: a
// flag given twice is one or the other, different flags are all, a negated one excludes. The
// zero value is empty.
type Shorthand struct {
	order []string
	plain map[string][]string // by flag: alternatives
	not   []string
}

// ShorthandFlag describes one flag for the command line.
type ShorthandFlag struct {
	Name  string // without dashes
	Short string // one letter, "" none
	Value string // what its value is, for help
	Help  string
}

// endFlags exist in three forms: NAME for either end, from-NAME and to-NAME. The builder is
// given src or dst; either, if it is not nil, is for NAME.
var endFlags = []struct {
	ShorthandFlag
	build  func(end, value string) (string, error)
	either func(value string) (string, error)
}{
	{ShorthandFlag{"namespace", "n", "NAMESPACE", "namespace"}, equals("namespace"), nil},
	{ShorthandFlag{"pod", "", "[NAMESPACE/]PREFIX", "pods whose name begins so"}, podPrefix, nil},
	{ShorthandFlag{"service", "", "[NAMESPACE/]NAME", "service"}, named("service.name", "service.namespace"), nil},
	{ShorthandFlag{"workload", "", "[NAMESPACE/]NAME", "workload"}, named("workload", "namespace"), nil},
	{ShorthandFlag{"node", "", "NODE", "node that it runs on, or that captured it"}, equals("node"), eitherNode},
	{ShorthandFlag{"label", "l", "KEY[=VALUE]", "label of the pod; KEY!=VALUE, !KEY; a comma means and"}, labels, nil},
	{ShorthandFlag{"ip", "", "ADDRESS|CIDR", "address or network"}, addressIn, nil},
	{ShorthandFlag{"port", "", "PORT[-PORT]", "port or range of ports"}, portIn, nil},
}

// callFlags have one form.
var callFlags = []struct {
	ShorthandFlag
	build func(value string) (string, error)
}{
	{ShorthandFlag{"protocol", "", "NAME", "protocol, also tcp, udp, icmp"}, protocolFlag},
	{ShorthandFlag{"http-status", "", "STATUS", "HTTP status: 404, 5+ (500 to 599), 400-499"}, httpStatus},
	{ShorthandFlag{"http-method", "", "METHOD", "HTTP method"}, func(v string) (string, error) {
		return "http && method == " + dissect.Quote(strings.ToUpper(v)), nil
	}},
	{ShorthandFlag{"http-path", "", "PATTERN", "HTTP path that has a match of a pattern (RE2)"}, func(v string) (string, error) {
		if _, err := regexp.Compile(v); err != nil {
			return "", fmt.Errorf("want a pattern: %w", err)
		}
		return "http && path.matches(" + dissect.Quote(v) + ")", nil
	}},
}

// ShorthandFlags lists all flags that Add takes.
func ShorthandFlags() []ShorthandFlag {
	var out []ShorthandFlag
	for _, f := range endFlags {
		either, from, to := f.ShorthandFlag, f.ShorthandFlag, f.ShorthandFlag
		either.Help += ", of either end"
		from.Name, from.Short, from.Help = "from-"+f.Name, "", f.Help+", of the client"
		to.Name, to.Short, to.Help = "to-"+f.Name, "", f.Help+", of the server"
		out = append(out, either, from, to)
	}
	for _, f := range callFlags {
		out = append(out, f.ShorthandFlag)
	}
	return out
}

// Add takes one flag as it was given; not is whether --not stood before it. The error says
// what is wrong with the value.
func (s *Shorthand) Add(flag, value string, not bool) error {
	text, err := build(flag, value)
	if err != nil {
		return fmt.Errorf("--%s %q: %w", flag, value, err)
	}
	if not {
		s.not = append(s.not, "!("+text+")")
		return nil
	}
	if s.plain == nil {
		s.plain = map[string][]string{}
	}
	if s.plain[flag] == nil {
		s.order = append(s.order, flag)
	}
	s.plain[flag] = append(s.plain[flag], text)
	return nil
}

// String is the filter, "" if there were no flags.
func (s *Shorthand) String() string {
	var parts []string
	for _, flag := range s.order {
		alts := s.plain[flag]
		if len(alts) == 1 {
			parts = append(parts, alts[0])
			continue
		}
		grouped := make([]string, len(alts))
		for i, a := range alts {
			grouped[i] = inParens(a)
		}
		parts = append(parts, strings.Join(grouped, " || "))
	}
	return And(append(parts, s.not...)...)
}

func build(flag, value string) (string, error) {
	if value == "" {
		return "", errors.New("the value is empty")
	}
	for _, f := range callFlags {
		if f.Name == flag {
			return f.build(value)
		}
	}
	name, from := strings.CutPrefix(flag, "from-")
	name, to := strings.CutPrefix(name, "to-")
	for _, f := range endFlags {
		if f.Name != name || from && to {
			continue
		}
		switch {
		case from:
			return f.build("src", value)
		case to:
			return f.build("dst", value)
		case f.either != nil:
			return f.either(value)
		}
		src, err := f.build("src", value)
		if err != nil {
			return "", err
		}
		dst, err := f.build("dst", value)
		return inParens(src) + " || " + inParens(dst), err
	}
	return "", errors.New("no such shorthand")
}

// And joins filters so that all must match; empty ones are left out. It joins text: to enforce
// a policy, compile its filter apart and ask both.
func And(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if strings.TrimSpace(p) != "" {
			kept = append(kept, p)
		}
	}
	if len(kept) == 1 {
		return kept[0]
	}
	for i, p := range kept {
		kept[i] = inParens(p)
	}
	return strings.Join(kept, " && ")
}

// inParens puts a filter in parentheses where it would otherwise be torn apart by its
// surroundings: where it has an || or ?: of its own, or a comment at its end.
func inParens(p string) string {
	p = strings.TrimSpace(p)
	toks := tokens(p)
	loose, depth := false, 0
	for _, t := range toks {
		switch p[t.start:t.end] {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case "||", "&&", "?":
			loose = loose || depth == 0
		}
	}
	if len(toks) > 0 && toks[len(toks)-1].end < len(p) { // a comment follows
		return "(" + p + "\n)"
	}
	if loose {
		return "(" + p + ")"
	}
	return p
}

func equals(field string) func(end, v string) (string, error) {
	return func(end, v string) (string, error) { return end + "." + field + " == " + dissect.Quote(v), nil }
}

// splitNamespace takes "NAMESPACE/" off.
func splitNamespace(v string) (ns, name string, err error) {
	ns, name, ok := strings.Cut(v, "/")
	switch {
	case !ok:
		return "", v, nil
	case ns == "" || strings.Contains(name, "/"):
		return "", "", errors.New("want NAME or NAMESPACE/NAME")
	}
	return ns, name, nil
}

func named(field, nsField string) func(end, v string) (string, error) {
	return func(end, v string) (string, error) {
		ns, name, err := splitNamespace(v)
		if err == nil && name == "" {
			err = errors.New("want NAME or NAMESPACE/NAME")
		}
		text := end + "." + field + " == " + dissect.Quote(name)
		if ns != "" {
			text = end + "." + nsField + " == " + dissect.Quote(ns) + " && " + text
		}
		return text, err
	}
}

func podPrefix(end, v string) (string, error) {
	ns, name, err := splitNamespace(v)
	var parts []string
	if ns != "" {
		parts = append(parts, end+".pod.namespace == "+dissect.Quote(ns))
	}
	if name != "" {
		parts = append(parts, end+".pod.name.startsWith("+dissect.Quote(name)+")")
	}
	return strings.Join(parts, " && "), err
}

func eitherNode(v string) (string, error) {
	q := dissect.Quote(v)
	return "node_name == " + q + " || src.node == " + q + " || dst.node == " + q, nil
}

func labels(end, v string) (string, error) {
	if strings.ContainsAny(v, "()") {
		return "", errors.New("sets (in, notin) are not supported: give the flag once for each value, or write a filter")
	}
	var parts []string
	for _, one := range strings.Split(v, ",") {
		one = strings.TrimSpace(one)
		m := end + ".labels"
		if k, v, ok := strings.Cut(one, "!="); ok && k != "" {
			parts = append(parts, m+"["+dissect.Quote(k)+"] != "+dissect.Quote(v))
		} else if k, v, ok := strings.Cut(one, "="); ok && k != "" {
			parts = append(parts, m+"["+dissect.Quote(k)+"] == "+dissect.Quote(strings.TrimPrefix(v, "=")))
		} else if k, ok := strings.CutPrefix(one, "!"); ok && k != "" && !strings.Contains(k, "=") {
			parts = append(parts, "!("+dissect.Quote(k)+" in "+m+")")
		} else if one != "" && !strings.ContainsAny(one, "!=") {
			parts = append(parts, dissect.Quote(one)+" in "+m)
		} else {
			return "", errors.New("want KEY=VALUE, KEY!=VALUE, KEY or !KEY")
		}
	}
	return strings.Join(parts, " && "), nil
}

func addressIn(end, v string) (string, error) {
	if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" {
		return end + ".ip == " + dissect.Quote(a.Unmap().String()), nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return "", errors.New("want an address or a network, such as 10.0.0.1 or 10.0.0.0/8")
	}
	return "cidr(" + dissect.Quote(p.Masked().String()) + ").containsIP(" + end + ".ip)", nil
}

func portIn(end, v string) (string, error) {
	from, to, isRange := strings.Cut(v, "-")
	a, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return "", errors.New("want a port (0 to 65535), or two with - between")
	}
	if !isRange {
		return fmt.Sprintf("%s.port == %d", end, a), nil
	}
	b, err := strconv.ParseUint(to, 10, 16)
	if err != nil || b < a {
		return "", errors.New("want a port (0 to 65535), or two with - between, the lower one first")
	}
	return fmt.Sprintf("%s.port >= %d && %s.port <= %d", end, a, end, b), nil
}

var protocolName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func protocolFlag(v string) (string, error) {
	v = strings.ToLower(v)
	if !protocolName.MatchString(v) {
		return "", errors.New("want the name of a protocol, such as http, dns or tcp")
	}
	if v == "tls" { // whose flag is of what was decrypted alone
		return "tls || tlsx", nil
	}
	return v, nil
}

func httpStatus(v string) (string, error) {
	fail := errors.New("want a status such as 404, a beginning such as 5+ or 50+, or a range such as 400-499")
	code := func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || len(s) != 3 || n < 100 {
			return 0, fail
		}
		return n, nil
	}
	if head, ok := strings.CutSuffix(v, "+"); ok {
		n, err := strconv.Atoi(head)
		if err != nil || n < 1 || len(head) > 2 {
			return "", fail
		}
		width := map[int]int{1: 100, 2: 10}[len(head)]
		return fmt.Sprintf("http && status_code >= %d && status_code <= %d", n*width, (n+1)*width-1), nil
	}
	if a, b, ok := strings.Cut(v, "-"); ok {
		from, err := code(a)
		if err != nil {
			return "", err
		}
		to, err := code(b)
		if err != nil || to < from {
			return "", fail
		}
		return fmt.Sprintf("http && status_code >= %d && status_code <= %d", from, to), nil
	}
	n, err := code(v)
	return fmt.Sprintf("http && status_code == %d", n), err
}
