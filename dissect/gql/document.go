package gql

import "bytes"

// document reads a GraphQL document, which may be cut, and says whether it is one. Of several
// operations, the one of that name counts.
func (c *Call) document(b, name []byte) bool {
	found, several := false, false
	s := scanner{b: b}
	for {
		s.space()
		if s.end() {
			break
		}
		var kind string
		var own []byte
		if s.b[s.i] != '{' {
			switch word := s.word(); string(word) {
			case "query", "mutation", "subscription":
				kind = string(word)
			case "fragment":
			default:
				return found
			}
			s.space()
			own = s.word()
			if s.space(); s.end() || kind != "" && s.b[s.i] != '(' && s.b[s.i] != '{' && s.b[s.i] != '@' {
				return found // a word of a search, or cut too early to tell
			}
			if !s.skipTo('{') {
				return found
			}
		} else {
			kind = "query"
		}
		root := s.root()
		if len(root) == 0 && !s.end() {
			return found
		}
		several = several || kind != "" && found
		if kind != "" && (!found || len(name) > 0 && bytes.Equal(own, name)) {
			found = true
			c.kind, c.name, c.root = kind, own, root
		}
		s.selection()
	}
	if found && len(name) > 0 {
		c.name = name
	} else if several {
		c.name, c.root = nil, nil // which one was lost, or is wrong
	}
	return found
}

// scanner goes through a GraphQL document (GraphQL specification, 2.1).
type scanner struct {
	b []byte
	i int
}

func (s *scanner) end() bool { return s.i >= len(s.b) }

// space skips what is ignored: blanks, commas, comments.
func (s *scanner) space() {
	for ; !s.end(); s.i++ {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n', ',', 0xef, 0xbb, 0xbf:
		case '#':
			for !s.end() && s.b[s.i] != '\n' && s.b[s.i] != '\r' {
				s.i++
			}
			if s.end() {
				return
			}
		default:
			return
		}
	}
}

// word takes a name, "" if there is none.
func (s *scanner) word() []byte {
	from := s.i
	for ; !s.end(); s.i++ {
		switch c := s.b[s.i]; {
		case c == '_', c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9' && s.i > from:
		default:
			return s.b[from:s.i]
		}
	}
	return s.b[from:]
}

// text skips a string at whose beginning it stands.
func (s *scanner) text() {
	quote := []byte(`"`)
	if bytes.HasPrefix(s.b[s.i:], []byte(`"""`)) {
		quote = []byte(`"""`)
	}
	for s.i += len(quote); !s.end() && !bytes.HasPrefix(s.b[s.i:], quote); s.i++ {
		if s.b[s.i] == '\\' {
			s.i++
		}
	}
	s.i = min(len(s.b), s.i+len(quote))
}

// skipTo goes to a character outside of strings and parentheses.
func (s *scanner) skipTo(c byte) bool {
	depth := 0
	for !s.end() {
		switch x := s.b[s.i]; {
		case x == '"':
			s.text()
			continue
		case x == '(':
			depth++
		case x == ')':
			depth--
		case x == '#':
			s.space()
			continue
		case x == c && depth <= 0:
			return true
		}
		s.i++
	}
	return false
}

// root is the first field, or fragment, of the selection that begins here.
func (s *scanner) root() []byte {
	at := scanner{s.b, s.i + 1}
	at.space()
	if bytes.HasPrefix(at.b[min(at.i, len(at.b)):], []byte("...")) {
		return at.b[at.i : at.i+3]
	}
	word := at.word()
	if at.space(); !at.end() && at.b[at.i] == ':' { // that was its alias
		at.i++
		at.space()
		word = at.word()
	}
	return word
}

// selection skips the braces that begin here, and what is in them.
func (s *scanner) selection() {
	depth := 0
	for !s.end() {
		switch s.b[s.i] {
		case '"':
			s.text()
			continue
		case '#':
			s.space()
			continue
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				s.i++
				return
			}
		}
		s.i++
	}
}
