package memcached

import "bytes"

// Limits of what is believed.
const (
	maxKey  = 250     // bytes of a key
	maxData = 1 << 30 // bytes of a value
)

// kind is what pairing must know of a command, or of a reply: which replies it can have, and
// which it is.
type kind uint16

const (
	values  kind = 1 << iota // VALUE … END
	stored                   // STORED, NOT_STORED, EXISTS, NOT_FOUND
	deleted                  // DELETED, NOT_FOUND
	number                   // a number, NOT_FOUND
	touched                  // TOUCHED, NOT_FOUND
	okay                     // OK
	version
	stats // STAT … END
	meta  // HD, VA, EN, NF, NS, EX, ME
	noop  // MN
	failed
	silent // none
	admin  // of a command for administrators: anything

	anything = 1<<16 - 1
	missing  = stored | deleted | number | touched
)

// command is what a line of a client says.
type command struct {
	kind  kind
	quiet bool  // it may go unanswered
	data  int64 // bytes behind the line, with their end
	key   []byte
}

// words goes through a line.
type words struct{ b []byte }

func (w *words) next() []byte {
	w.b = bytes.TrimLeft(w.b, " ")
	i := bytes.IndexByte(w.b, ' ')
	if i < 0 {
		i = len(w.b)
	}
	word := w.b[:i]
	w.b = w.b[i:]
	return word
}

// digits reads a number without sign.
func digits(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0') // it may overflow: of 20 digits only the form counts
	}
	return n, true
}

// whole says whether b is a number, perhaps a negative one.
func whole(b []byte) bool {
	_, ok := digits(bytes.TrimPrefix(b, []byte{'-'}))
	return ok
}

// size reads how many bytes a value has, and adds its end of line.
func size(b []byte) (n int64, ok bool) {
	n, ok = digits(b)
	return n + 2, ok && len(b) < 11 && n <= maxData
}

// validKey says whether b can be a key.
func validKey(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxKey
}

// parseCommand reads a line that is a command in all its parts.
func parseCommand(line []byte) (c command, ok bool) {
	w := words{line}
	name := w.next()
	if len(name) == 0 || &name[0] != &line[0] {
		return c, false
	}
	switch string(name) {
	case "get", "gets":
		return keys(&w)
	case "gat", "gats":
		if !whole(w.next()) {
			return c, false
		}
		return keys(&w)
	case "set", "add", "replace", "append", "prepend", "cas":
		c.kind, c.key = stored, w.next()
		_, flags := digits(w.next())
		expires := whole(w.next())
		c.data, ok = size(w.next())
		if string(name) == "cas" {
			_, unique := digits(w.next())
			ok = ok && unique
		}
		return c, ok && flags && expires && validKey(c.key) && c.end(&w)
	case "delete":
		c.kind, c.key = deleted, w.next()
		if before := w; string(w.next()) != "0" {
			w = before
		}
		return c, validKey(c.key) && c.end(&w)
	case "incr", "decr":
		c.kind, c.key = number, w.next()
		_, ok = digits(w.next())
		return c, ok && validKey(c.key) && c.end(&w)
	case "touch":
		c.kind, c.key = touched, w.next()
		return c, whole(w.next()) && validKey(c.key) && c.end(&w)
	case "mg", "md", "ma", "me", "ms":
		return metaCommand(name, &w)
	case "mn":
		return command{kind: noop}, len(w.next()) == 0
	case "version":
		return command{kind: version}, len(w.next()) == 0
	case "quit":
		return command{kind: silent}, len(w.next()) == 0
	case "stats":
		return command{kind: stats | okay}, printable(w.b)
	case "flush_all":
		c.kind = okay
		if before := w; !whole(w.next()) {
			w = before
		}
		return c, c.end(&w)
	case "verbosity", "cache_memlimit":
		c.kind = okay
		_, ok = digits(w.next())
		return c, ok && c.end(&w)
	case "slabs", "lru", "lru_crawler", "watch", "shutdown", "extstore", "refresh_certs", "cache_automove", "debugtime":
		return command{kind: admin}, printable(w.b)
	}
	return c, false
}

// end takes what may stand at the end of a command.
func (c *command) end(w *words) bool {
	word := w.next()
	if string(word) == "noreply" {
		c.kind = silent
		word = w.next()
	}
	return len(word) == 0
}

func keys(w *words) (c command, ok bool) {
	c.kind, c.key = values, w.next()
	for key := c.key; len(key) > 0; key = w.next() {
		if !validKey(key) {
			return c, false
		}
	}
	return c, len(c.key) > 0
}

// metaCommand reads "mg KEY FLAG*" and its kin; a flag is a letter with an argument perhaps.
func metaCommand(name []byte, w *words) (c command, ok bool) {
	c.kind, c.key, ok = meta, w.next(), true
	if string(name) == "ms" {
		c.data, ok = size(w.next())
	}
	for flag := w.next(); len(flag) > 0; flag = w.next() {
		if flag[0]|0x20 < 'a' || flag[0]|0x20 > 'z' {
			return c, false
		}
		c.quiet = c.quiet || string(flag) == "q"
	}
	return c, ok && validKey(c.key)
}

// printable says whether a line has nothing that no line has.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// reply is what a line of a server says.
type reply struct {
	kind kind
	more bool  // the reply goes on behind it
	skip bool  // it is none
	data int64 // bytes behind the line, with their end
}

// parseReply reads a line that is a reply, or a part of one, in all its parts.
func parseReply(line []byte) (r reply, ok bool) {
	w := words{line}
	word := w.next()
	if len(word) == 0 || &word[0] != &line[0] || !printable(line) {
		return r, false
	}
	alone := len(w.b) == 0
	switch string(word) {
	case "VALUE":
		key := w.next()
		_, flags := digits(w.next())
		r.data, ok = size(w.next())
		if unique := w.next(); len(unique) > 0 {
			_, digit := digits(unique)
			ok = ok && digit
		}
		r.kind, r.more = values, true
		return r, ok && flags && validKey(key) && len(w.next()) == 0
	case "END":
		return reply{kind: values | stats}, alone
	case "STORED", "NOT_STORED", "EXISTS":
		return reply{kind: stored}, alone
	case "NOT_FOUND":
		return reply{kind: missing}, alone
	case "DELETED":
		return reply{kind: deleted}, alone
	case "TOUCHED":
		return reply{kind: touched}, alone
	case "OK":
		return reply{kind: okay}, alone
	case "RESET":
		return reply{kind: stats}, alone
	case "BUSY", "BADCLASS", "NOSPARE", "NOTFULL", "UNSAFE", "SAME":
		return reply{kind: admin}, true
	case "STAT", "ITEM":
		return reply{kind: stats, more: true}, !alone
	case "VERSION":
		return reply{kind: version}, !alone
	case "ERROR":
		return reply{kind: failed}, true
	case "CLIENT_ERROR", "SERVER_ERROR":
		return reply{kind: failed}, !alone
	case "MN":
		return reply{kind: noop}, alone
	case "VA":
		r.kind = meta
		r.data, ok = size(w.next())
		return r, ok
	case "HD", "EN", "NF", "NS", "EX", "ME":
		return reply{kind: meta}, true
	case "mg": // of lru_crawler mgdump
		return reply{kind: admin, more: true}, !alone
	}
	switch _, ok = digits(word); {
	case ok:
		return reply{kind: number}, alone
	case bytes.HasPrefix(word, []byte("key=")): // of lru_crawler metadump
		return reply{kind: admin, more: true}, true
	case bytes.HasPrefix(word, []byte("ts=")): // of watch
		return reply{skip: true}, true
	}
	return r, false
}

// fits says whether a reply can be that to a command of the text protocol.
func fits(asked, said []byte, quiet bool) bool {
	c, ok := parseCommand(asked)
	r, known := parseReply(said)
	switch {
	case !known:
		return false
	case !ok, r.kind == failed, c.kind == admin, r.kind == admin && c.kind == stats|okay:
		return true
	case c.kind&r.kind == 0:
		return false
	case c.kind != meta:
		return true
	}
	if quiet {
		code := string(said[:2])
		if code == "EN" || asked[1] != 'g' && code == "HD" || asked[1] == 's' && code == "NF" && flagged(asked, 'C', 2) == nil {
			return false
		}
	}
	return named(asked, said, 'O') && named(asked, said, 'k')
}

// named says whether a meta command and a reply agree in an opaque value (O), or in the key
// (k), as far as both have one.
func named(asked, said []byte, flag byte) bool {
	theirs := flagged(said, flag, 1)
	if theirs == nil {
		return true
	}
	if flag == 'k' {
		w := words{asked}
		w.next()
		return bytes.Equal(w.next(), theirs)
	}
	return bytes.Equal(flagged(asked, flag, 2), theirs)
}

// flagged is the argument of a flag that stands behind the first words of a line.
func flagged(line []byte, flag byte, from int) []byte {
	w := words{line}
	for range from {
		w.next()
	}
	for word := w.next(); len(word) > 0; word = w.next() {
		if word[0] == flag {
			return word[1:]
		}
	}
	return nil
}
