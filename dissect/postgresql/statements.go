package postgresql

import "strings"

// Limits of what is remembered of prepared statements.
const (
	maxStatements = 4_000
	maxPrepared   = 4 << 20 // bytes of their text
	maxPortals    = 1_000
)

// statement is one that was prepared.
type statement struct {
	text  string
	short bool // the text is not all of it,
	cut   bool // since bytes are missing
}

// statements are those of a session, by name, with the portals that they are bound to.
type statements struct {
	named   map[string]*statement
	order   []string // names in the order of their Parse, some of them closed since
	bytes   int
	unnamed statement // its text is that of mem
	mem     []byte
	portals map[string]*statement // other than the unnamed one; nil: bound to one that is not known
	portal  *statement            // that the unnamed portal is bound to
	free    bool                  // the unnamed portal is bound to the unnamed statement
	last    []byte                // the name of the statement of the last Bind, where it is not known
}

// parse remembers the text of a statement.
func (s *statements) parse(name, text []byte, short, cut bool) {
	if len(name) == 0 {
		s.mem = append(s.mem[:0], text...)
		s.unnamed = statement{view(s.mem), short, cut}
		return
	}
	if s.named == nil {
		s.named = map[string]*statement{}
	}
	s.close(name)
	for len(s.order) > 0 && (len(s.named) >= maxStatements || s.bytes+len(text) > maxPrepared || len(s.order) > 2*maxStatements) {
		oldest := s.order[0]
		s.order = s.order[1:]
		s.close([]byte(oldest))
	}
	key := string(name)
	s.named[key] = &statement{string(text), short, cut}
	s.order = append(s.order, key)
	s.bytes += len(text)
}

// close forgets a statement.
func (s *statements) close(name []byte) {
	if st := s.named[string(name)]; st != nil {
		s.bytes -= len(st.text)
		delete(s.named, string(name))
	}
}

// bind notes what a portal is bound to.
func (s *statements) bind(portal, name []byte) {
	st := s.named[string(name)]
	free := len(name) == 0
	if st == nil && !free {
		s.last = append(s.last[:0], name...)
	}
	if len(portal) == 0 {
		s.portal, s.free = st, free
		return
	}
	if free {
		st = &statement{strings.Clone(s.unnamed.text), s.unnamed.short, s.unnamed.cut}
	}
	if s.portals == nil || len(s.portals) >= maxPortals {
		s.portals = map[string]*statement{}
	}
	s.portals[string(portal)] = st
}
