package redis

import "bytes"

// maxName is how long the name of a command is at most; those of modules are dotted.
const maxName = 32

// words goes through the strings of a command, or of an array, as far as they were kept.
type words struct {
	b      []byte
	inline bool
}

func newWords(raw []byte, inline bool) words {
	if !inline {
		i := bytes.IndexByte(raw, '\n')
		if i < 0 {
			return words{}
		}
		raw = raw[i+1:]
	}
	return words{raw, inline}
}

// next returns the next string; the last one may be cut.
func (w *words) next() (word []byte, ok bool) {
	if w.inline {
		return w.nextInline()
	}
	if len(w.b) == 0 || w.b[0] != '$' {
		return nil, false
	}
	i := bytes.IndexByte(w.b, '\n') + 1
	n, ok := count(w.b[:i])
	if i == 0 || !ok || n < 0 {
		return nil, false
	}
	word = w.b[i:]
	if int64(len(word)) <= n {
		w.b = nil
		return word, len(word) > 0 || n == 0
	}
	w.b = word[min(len(word), int(n)+2):]
	return word[:n], true
}

// nextInline splits a line at blanks, but not within quotes.
func (w *words) nextInline() (word []byte, ok bool) {
	w.b = bytes.TrimLeft(w.b, " \t\r\n")
	if len(w.b) == 0 {
		return nil, false
	}
	if q := w.b[0]; q == '"' || q == '\'' {
		for i := 1; i < len(w.b); i++ {
			switch w.b[i] {
			case '\\':
				i++
			case q:
				word, w.b = w.b[1:i], w.b[i+1:]
				return word, true
			}
		}
	}
	i := bytes.IndexAny(w.b, " \t\r\n")
	if i < 0 {
		i = len(w.b)
	}
	word, w.b = w.b[:i], w.b[i:]
	return word, true
}

// upperName is a name in upper case, in the memory given; nil where it is too long for one.
func upperName(mem *[maxName]byte, name []byte) []byte {
	if len(name) > maxName {
		return nil
	}
	for i, c := range name {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		mem[i] = c
	}
	return mem[:len(name)]
}

// known says whether a command has that name.
func known(name []byte) bool {
	var mem [maxName]byte
	_, ok := places[string(upperName(&mem, name))]
	return ok
}

// kind is what pairing must know of a command.
type kind uint8

const (
	ordinary  kind = iota
	subscribe      // has a confirmation for each channel
	replyOff       // CLIENT REPLY
	replySkip
	replyOn
	monitor
	follow // PSYNC: the server sends commands from here on
	dump   // SYNC: likewise, and the data set is the answer
	acknowledge
	exec
	reset
)

// kindOf looks at the name, and where it must at the arguments.
func kindOf(raw []byte, inline bool) kind {
	w := newWords(raw, inline)
	name, _ := w.next()
	var mem [maxName]byte
	switch string(upperName(&mem, name)) {
	case "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE":
		return subscribe
	case "CLIENT":
		sub, _ := w.next()
		if !bytes.EqualFold(sub, []byte("REPLY")) {
			return ordinary
		}
		mode, _ := w.next()
		switch string(upperName(&mem, mode)) {
		case "OFF":
			return replyOff
		case "SKIP":
			return replySkip
		case "ON":
			return replyOn
		}
	case "MONITOR":
		return monitor
	case "PSYNC":
		return follow
	case "SYNC":
		return dump
	case "REPLCONF":
		if sub, _ := w.next(); bytes.EqualFold(sub, []byte("ACK")) {
			return acknowledge
		}
	case "EXEC":
		return exec
	case "RESET":
		return reset
	}
	return ordinary
}

// published says whether an array that begins with that word is one that subscribers get.
func published(name []byte) bool {
	switch string(name) {
	case "message", "pmessage", "smessage":
		return true
	}
	return false
}

// key is the first key of a command, nil where it has none. An unknown command, which is that
// of a module, has it behind its name.
func key(raw []byte, inline bool) []byte {
	w := newWords(raw, inline)
	name, _ := w.next()
	var mem [maxName]byte
	at, ok := places[string(upperName(&mem, name))]
	if !ok {
		at = keyFirst
	}
	switch {
	case at == keyNone:
		return nil
	case at == keyMulti:
		for {
			word, ok := w.next()
			if !ok || bytes.EqualFold(word, []byte("STREAMS")) {
				break
			}
		}
		at = keyFirst
	case at == keySub:
		at = 2
	case at > keyCount:
		at -= keyCount
		for ; at > 1; at-- {
			w.next()
		}
		if n, _ := w.next(); len(n) == 0 || string(n) == "0" {
			return nil
		}
		at = keyFirst
	}
	for ; at > 1; at-- {
		w.next()
	}
	k, _ := w.next()
	return k
}

const redacted = "(redacted)" // the word that Redis has for it in its own logs

// secret says how many of the words that follow this one, number n of a command, are not to
// be repeated: passwords.
func secret(name, word []byte, n int) int {
	switch string(name) {
	case "AUTH":
		if n == 0 {
			return 1 << 20
		}
	case "HELLO":
		if n > 0 && bytes.EqualFold(word, []byte("AUTH")) {
			return 2
		}
	case "MIGRATE":
		if n > 5 && (bytes.EqualFold(word, []byte("AUTH")) || bytes.EqualFold(word, []byte("AUTH2"))) {
			return 2
		}
	case "CONFIG":
		for _, secret := range [...]string{"requirepass", "masterauth", "masteruser", "tls-key-file-pass"} {
			if n > 1 && bytes.EqualFold(word, []byte(secret)) {
				return 1
			}
		}
	case "ACL":
		if n == 2 { // of ACL SETUSER, rules, with passwords among them
			return 1 << 20
		}
	}
	return 0
}
