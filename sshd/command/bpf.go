package command

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/sshark/sshark/dissect/filter"
)

// bpf turns the simple forms of tcpdump's filters (pcap-filter(7)) into a filter of this
// console: host, net, port and portrange, with tcp or udp before them or alone, icmp, ip, ip6,
// and, or, not and parentheses. What speaks of one direction or of bytes is refused: a filter
// here is about conversations.
func bpf(text string) (string, error) {
	p := &bpfParser{}
	for _, r := range [...]string{"(", ")", "!", "&&", "||"} {
		text = strings.ReplaceAll(text, r, " "+r+" ")
	}
	p.words = strings.Fields(text)
	out, err := p.expression(0)
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%q is not expected there", p.words[0])
	}
	return out, err
}

type bpfParser struct {
	words []string
	// What a value without words before it is: those of the one before (host a or b).
	transport, kind string
}

// maxNested is how deep parentheses and nots may go.
const maxNested = 64

func (p *bpfParser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

// take takes the next word if it is one of these.
func (p *bpfParser) take(any ...string) bool {
	for _, w := range any {
		if len(p.words) > 0 && p.words[0] == w {
			p.words = p.words[1:]
			return true
		}
	}
	return false
}

// expression reads operands with and and or between them, which bind alike, from the left.
func (p *bpfParser) expression(depth int) (string, error) {
	left, err := p.operand(depth)
	for err == nil {
		op := ""
		switch {
		case p.take("and", "&&"):
			op = " && "
		case p.take("or", "||"):
			op = " || "
		default:
			return left, nil
		}
		var right string
		if right, err = p.operand(depth); err == nil {
			left = "(" + left + op + right + ")"
		}
	}
	return "", err
}

func (p *bpfParser) operand(depth int) (string, error) {
	if depth > maxNested {
		return "", fmt.Errorf("more than %d parentheses deep", maxNested)
	}
	switch {
	case p.take("not", "!"):
		inner, err := p.operand(depth + 1)
		return "!(" + inner + ")", err
	case p.take("("):
		inner, err := p.expression(depth + 1)
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return "(" + inner + ")", err
	}
	return p.primitive()
}

// shorthandOf is the shorthand flag and the value that a value of a kind is.
func shorthandOf(kind, value string) (flag, same string, err error) {
	switch kind {
	case "port", "portrange":
		return "port", value, nil
	case "net":
		if _, err := netip.ParsePrefix(value); err != nil {
			return "", "", fmt.Errorf("net %s: want a network as 10.0.0.0/8", value)
		}
		return "ip", value, nil
	}
	value, _, _ = strings.Cut(value, "%") // a zone
	if _, err := netip.ParseAddr(value); err != nil {
		return "", "", fmt.Errorf("host %s: want an address; for names: src.name == %q || dst.name == %[2]q", value, value)
	}
	return "ip", value, nil
}

func (p *bpfParser) primitive() (string, error) {
	var s filter.Shorthand
	transport := ""
	switch {
	case p.take("icmp", "icmp6"):
		return build(&s, "protocol", "icmp")
	case p.take("ip"):
		return p.family("0.0.0.0/0")
	case p.take("ip6"):
		return p.family("::/0")
	case p.take("tcp"):
		transport = "tcp"
	case p.take("udp"):
		transport = "udp"
	}
	kind := ""
	switch {
	case p.take("host"):
		kind = "host"
	case p.take("net"):
		kind = "net"
	case p.take("port"):
		kind = "port"
	case p.take("portrange"):
		kind = "portrange"
	case len(p.words) > 0 && (p.words[0] == "src" || p.words[0] == "dst"):
		return "", fmt.Errorf("%s is about single packets there, and about conversations here: write src.ip == …, dst.port == …, of client and server", p.words[0])
	case transport != "": // alone
		return build(&s, "protocol", transport)
	case p.kind == "":
		return "", fmt.Errorf("%q is not known", p.next())
	default:
		transport, kind = p.transport, p.kind
	}
	value := p.next()
	if value == "" || strings.ContainsAny(value, "()!&|") {
		return "", fmt.Errorf("a value is missing behind %s", kind)
	}
	p.transport, p.kind = transport, kind
	flag, value, err := shorthandOf(kind, value)
	if err != nil {
		return "", err
	}
	if transport != "" {
		if err := s.Add("protocol", transport, false); err != nil {
			return "", err
		}
	}
	return build(&s, flag, value)
}

// family is ip or ip6, alone or before something else.
func (p *bpfParser) family(all string) (string, error) {
	var s filter.Shorthand
	out, err := build(&s, "ip", all)
	if err != nil || len(p.words) == 0 {
		return out, err
	}
	switch p.words[0] {
	case "host", "net", "port", "portrange", "tcp", "udp", "src", "dst":
		rest, err := p.primitive()
		return "(" + out + " && " + rest + ")", err
	}
	return out, nil
}

// build adds a flag and is the whole filter.
func build(s *filter.Shorthand, flag, value string) (string, error) {
	if err := s.Add(flag, value, false); err != nil {
		return "", err
	}
	return "(" + s.String() + ")", nil
}
