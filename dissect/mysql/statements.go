package mysql

// Limits of what is remembered of prepared statements.
const (
	maxStatements = 4_000
	maxPrepared   = 4 << 20 // bytes of their text
)

// statement is one that was prepared.
type statement struct {
	text  string
	short bool // the text is not all of it,
	cut   bool // since bytes are missing
}

// statements are those of a session, by number.
type statements struct {
	byID  map[uint32]statement
	order []uint32 // in the order of their COM_STMT_PREPARE, some of them closed since
	bytes int
	last  []byte // the text that was prepared last
}

func (s *statements) add(id uint32, st statement) {
	if s.byID == nil {
		s.byID = map[uint32]statement{}
	}
	s.close(id)
	for len(s.order) > 0 && (len(s.byID) >= maxStatements || s.bytes+len(st.text) > maxPrepared || len(s.order) > 2*maxStatements) {
		oldest := s.order[0]
		s.order = s.order[1:]
		s.close(oldest)
	}
	s.byID[id] = st
	s.order = append(s.order, id)
	s.bytes += len(st.text)
}

// close forgets a statement.
func (s *statements) close(id uint32) {
	if st, ok := s.byID[id]; ok {
		s.bytes -= len(st.text)
		delete(s.byID, id)
	}
}
