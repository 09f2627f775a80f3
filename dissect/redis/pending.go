package redis

// request is a command that waits for its reply.
type request struct {
	at       int // where it is kept
	n        int // bytes that are kept
	size     uint64
	first    int64
	last     int64
	kind     kind
	inline   bool
	cut      bool
	want     int    // confirmations to come, of subscribe
	began    int64  // time of the first one, 0: none came
	received uint64 // bytes of those that came
}

// pending are the commands that wait, in order, and their bytes.
type pending struct {
	list []request
	head int
	mem  []byte
}

func (p *pending) n() int { return len(p.list) - p.head }

func (p *pending) first() *request { return &p.list[p.head] }

// bytes are those of a command that waits, or that waited until just now.
func (p *pending) bytes(r *request) []byte { return p.mem[r.at : r.at+r.n] }

// kept is how many bytes the commands hold.
func (p *pending) kept() int {
	if p.n() == 0 {
		return 0
	}
	return len(p.mem) - p.first().at
}

func (p *pending) add(r request, raw []byte) {
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
	r.at, r.n = len(p.mem), len(raw)
	p.mem = append(p.mem, raw...)
	p.list = append(p.list, r)
}

// take removes the first command. What it points to is valid until the next one is added.
func (p *pending) take() *request {
	r := p.first()
	p.head++
	return r
}
