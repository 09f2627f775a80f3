package nats

import "bytes"

// Limits of what is believed.
const (
	maxPayload = 1 << 30 // bytes; servers allow 64 MiB at most
	maxSubject = 16 << 10
)

// line is what the line of a message says. Its bytes are those of the line.
type line struct {
	op      *op
	args    []byte // behind the operation
	subject []byte
	reply   []byte
	queue   []byte
	sid     []byte
	header  int64 // bytes of headers
	payload int64 // bytes of headers and payload, -1: no payload
}

// rest is how many bytes follow the line, their end of line included.
func (l *line) rest() int64 {
	if l.payload < 0 {
		return 0
	}
	return l.payload + int64(len("\r\n"))
}

// form is what stands behind an operation.
type form uint8

const (
	bare         form = iota
	object            // JSON
	quoted            // words in quotes
	publishes         // subject, perhaps a reply, size
	publishesH        // and the size of headers before that
	delivers          // subject, subscription, perhaps a reply, size
	deliversH         //
	subscribes        // subject, perhaps a queue, subscription
	unsubscribes      // subscription, perhaps a number of messages
	routes            // account, subject, perhaps a queue and its weight
	leads             // subject, perhaps a queue and its weight
	accounts          // account
	routesMsg         // account, and what a leaf's message has
	leadsMsg          // subject, perhaps a reply and queues, size
)

// op is an operation.
type op struct {
	name string
	from uint8 // who says it
	form form
	weak bool // a word that others say too
	tail bool // another operation ends so: behind a loss it may be that one
}

const (
	client uint8 = 1 << iota
	server
	both = client | server // a server to another one, too
)

var ops = []*op{
	{"PUB", client, publishes, false, true},
	{"MSG", server, delivers, false, true},
	{"PING", both, bare, true, false},
	{"PONG", both, bare, true, false},
	{"+OK", server, bare, true, false},
	{"HPUB", client, publishesH, false, false},
	{"HMSG", server, deliversH, false, false},
	{"SUB", client, subscribes, false, true},
	{"UNSUB", client, unsubscribes, false, false},
	{"INFO", both, object, false, false},
	{"CONNECT", both, object, false, false},
	{"-ERR", both, quoted, false, false},
	{"RS+", both, routes, false, false},
	{"RS-", both, routes, false, false},
	{"LS+", both, leads, false, false},
	{"LS-", both, leads, false, false},
	{"A+", both, accounts, false, false},
	{"A-", both, accounts, false, false},
	{"RMSG", both, routesMsg, false, false},
	{"LMSG", both, leadsMsg, false, false},
}

// findOp is the operation with that name, in any case.
func findOp(name []byte) *op {
	for _, o := range ops {
		if len(o.name) == len(name) && bytes.EqualFold([]byte(o.name), name) {
			return o
		}
	}
	return nil
}

// maxWords is how many words stand behind an operation at most; of a message between servers
// the queues are not counted.
const maxWords = 8

// parse reads a line that is one in all its parts.
func parse(b []byte) (l line, ok bool) {
	name := b
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		name = b[:i]
	}
	if l.op = findOp(name); l.op == nil {
		return l, false
	}
	l.payload = -1
	l.args = bytes.Trim(b[len(name):], " \t")
	var mem [maxWords][]byte
	words := mem[:0]
	if l.op.form != object && l.op.form != quoted {
		for rest := l.args; len(rest) > 0 && len(words) < maxWords; rest = bytes.TrimLeft(rest, " \t") {
			i := bytes.IndexAny(rest, " \t")
			if i < 0 {
				i = len(rest)
			}
			for _, c := range rest[:i] {
				if c <= ' ' || c == 0x7f {
					return l, false
				}
			}
			words = append(words, rest[:i])
			rest = rest[i:]
		}
		if len(words) > 0 && l.op.form != routesMsg && l.op.form != leadsMsg {
			if last := words[len(words)-1]; &last[len(last)-1] != &l.args[len(l.args)-1] {
				return l, false // more words than there may be
			}
		}
	}
	return l, l.read(words)
}

func number(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// sized reads the sizes at the end of a line: of headers, where there are some, and of all.
func (l *line) sized(words [][]byte, headers bool) ([][]byte, bool) {
	n := len(words) - 1
	if n < 0 {
		return nil, false
	}
	size, ok := number(words[n])
	if headers {
		if n--; n < 0 {
			return nil, false
		}
		var good bool
		l.header, good = number(words[n])
		ok = ok && good && l.header >= int64(len("NATS/1.0\r\n\r\n")) && l.header <= size
	}
	l.payload = size
	return words[:n], ok && size <= maxPayload
}

// mistaken says whether, with the letters that may be missing before it, this is the line of
// another operation: of a message with headers, whose size is a reply here, or of UNSUB, whose
// subscription is a subject.
func (l *line) mistaken() bool {
	word := l.reply
	if l.op.form == subscribes {
		word = l.subject
	}
	n, ok := number(word)
	return ok && l.op.tail && (l.op.form == subscribes || n <= l.payload)
}

// read takes the words behind the operation.
func (l *line) read(w [][]byte) (ok bool) {
	switch n := len(w); l.op.form {
	case bare:
		return n == 0
	case object: // or its beginning
		return len(l.args) > 0 && l.args[0] == '{'
	case quoted:
		return len(l.args) > 0 && (l.args[0] == '\'' || l.args[0] == '"') && printable(l.args)
	case publishes, publishesH:
		if w, ok = l.sized(w, l.op.form == publishesH); !ok || len(w) < 1 || len(w) > 2 {
			return false
		}
		if l.subject = w[0]; len(w) == 2 {
			l.reply = w[1]
		}
	case delivers, deliversH:
		if w, ok = l.sized(w, l.op.form == deliversH); !ok || len(w) < 2 || len(w) > 3 {
			return false
		}
		if l.subject, l.sid = w[0], w[1]; len(w) == 3 {
			l.reply = w[2]
		}
	case subscribes:
		if n < 2 || n > 3 {
			return false
		}
		if l.subject, l.sid = w[0], w[n-1]; n == 3 {
			l.queue = w[1]
		}
	case unsubscribes:
		if n < 1 || n > 2 {
			return false
		}
		l.sid = w[0]
		_, ok = number(w[n-1])
		return n == 1 || ok
	case accounts:
		return n == 1
	case routes:
		if n < 2 || n > 5 {
			return false
		}
		if l.subject = w[1]; n > 2 {
			l.queue = w[2]
		}
	case leads:
		if n < 1 || n > 3 {
			return false
		}
		if l.subject = w[0]; n > 1 {
			l.queue = w[1]
		}
	case routesMsg:
		if n < 3 {
			return false
		}
		l.subject = w[1]
		return l.forwarded(w[2:])
	case leadsMsg:
		if n < 2 {
			return false
		}
		l.subject = w[0]
		return l.forwarded(w[1:])
	}
	return subject(l.subject)
}

// forwarded reads what stands behind the subject: a reply, or "+" or "|" with queues, with the
// reply behind "+"; the size is the last word of the line.
func (l *line) forwarded(w [][]byte) bool {
	switch {
	case len(w) == 2:
		l.reply = w[0]
	case len(w) > 2 && string(w[0]) == "+":
		l.reply, l.queue = w[1], w[2]
	case len(w) > 2 && string(w[0]) == "|":
		l.queue = w[1]
	case len(w) != 1:
		return false
	}
	i := bytes.LastIndexAny(l.args, " \t") + 1
	var ok bool
	l.payload, ok = number(l.args[i:])
	return ok && l.payload <= maxPayload && subject(l.subject)
}

// subject says whether b can be a subject: words with dots between them.
func subject(b []byte) bool {
	return len(b) > 0 && len(b) <= maxSubject && b[0] != '.' && b[len(b)-1] != '.'
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
