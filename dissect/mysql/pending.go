package mysql

// operation is a command that waits for its response, or the login.
type operation struct {
	at, n int // where its text is kept
	com   byte
	login bool
	short bool // its text is not all of it
	cut   bool // bytes are missing
	id    uint32
	hasID bool
	size  uint64
	first int64
	last  int64

	began    int64 // times of the response, 0: none came
	ended    int64
	received uint64
	failed   bool
}

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

func (p *pending) add(o operation, text string) *operation {
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
	o.at, o.n = len(p.mem), len(text)
	p.mem = append(p.mem, text...)
	p.list = append(p.list, o)
	return p.newest()
}

// take removes the first operation. What it points to is valid until the next one is added.
func (p *pending) take() *operation {
	o := p.first()
	p.head++
	return o
}
