package postgresql

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
	at, n  int // where its text is kept
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

// pending are the operations that wait, in order, and their text.
type pending struct {
	list []operation
	head int
	mem  []byte
}

func (p *pending) n() int { return len(p.list) - p.head }

func (p *pending) first() *operation { return &p.list[p.head] }

func (p *pending) newest() *operation { return &p.list[len(p.list)-1] }

// text is that of an operation that waits, or that waited until just now.
func (p *pending) text(o *operation) []byte { return p.mem[o.at : o.at+o.n] }

// kept is how many bytes the operations hold.
func (p *pending) kept() int {
	if p.n() == 0 {
		return 0
	}
	return len(p.mem) - p.first().at
}

func (p *pending) add(o operation) *operation {
	if p.n() == 0 {
		p.list, p.head, p.mem = p.list[:0], 0, p.mem[:0]
		if cap(p.mem) > maxIdle {
			p.mem = nil
		}
	} else if p.head > 32 && p.head*2 > len(p.list) {
		from := p.first().at
		p.mem = p.mem[:copy(p.mem, p.mem[from:])]
		p.list = p.list[:copy(p.list, p.list[p.head:])]
		p.head = 0
		for i := range p.list {
			p.list[i].at -= from
		}
	}
	o.at = len(p.mem)
	p.list = append(p.list, o)
	return p.newest()
}

// say gives the newest operation its text, if it has none.
func (p *pending) say(st statement) {
	if o := p.newest(); o.n == 0 {
		p.mem = append(p.mem, st.text...)
		o.at, o.n = len(p.mem)-len(st.text), len(st.text)
		o.short, o.cut = st.short, o.cut || st.cut
	}
}

// take removes the first operation. What it points to is valid until the next one is added.
func (p *pending) take() *operation {
	o := p.first()
	p.head++
	return o
}
