package postgresql

import "github.com/sshark/sshark/dissect/turns"

// kind is what an operation is.
type kind uint8

const (
	quiet   kind = iota // asks for nothing but a description, or an end: no call
	simple              // a Query
	prepare             // a Parse without Execute
	execute
	function
	session
	cancel
)

// words are what postgresql_command says. KFL2 has one word for a query, that of MySQL.
var words = [...]string{quiet: "", simple: "COM_QUERY", prepare: "PREPARE", execute: "COM_QUERY", function: "FUNCTION_CALL", session: "STARTUP", cancel: "CANCEL"}

// operation is what waits for its response: a query with what belongs to it.
type operation struct {
	text   turns.Span
	kind   kind
	parsed bool // what it has had of messages
	bound  bool
	run    bool
	sync   bool // ReadyForQuery ends it
	short  bool // its text is not all of it
	name   bool // its text is the name of a statement that is not known
	cut    bool
	failed bool
	want   [answers5]uint16 // responses to come
	size   uint64
	first  int64
	last   int64

	began    int64 // times of the response, 0: none came
	ended    int64
	received uint64
}

// What an extended query is answered with, one for each of its messages.
const (
	parsed5 = iota
	bound5
	closed5
	described5
	done5
	answers5
)

func (o *operation) complete() bool { return o.want == [answers5]uint16{} }

// pending are the operations that wait, in order, with their text.
type pending = turns.Line[operation]

// say gives the newest operation its text, if it has none.
func (p *parser) say(st statement) {
	if o := p.pending.Newest(); o.text.Empty() {
		o.text = p.pending.ExtendString(st.text)
		o.short, o.cut = st.short, o.cut || st.cut
	}
}
