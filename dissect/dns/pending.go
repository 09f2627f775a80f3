package dns

// pending are the queries that wait: by age, and by what their response will say.
type pending struct {
	oldest, newest *exchange
	n              int
	seed           uint64 // so that nobody can choose what falls into one bucket
	small          [4]*exchange
	large          []*exchange // instead of small; a power of two
}

// key is what a query and its response agree in.
func (m *message) key() uint64 {
	return uint64(m.id)<<33 | uint64(m.dir)<<32 | uint64(m.hash)
}

func (p *pending) buckets() []*exchange {
	if p.large != nil {
		return p.large
	}
	return p.small[:]
}

func (p *pending) bucket(key uint64) **exchange {
	b := p.buckets()
	return &b[(key^p.seed)*0x9E3779B97F4A7C15>>32&uint64(len(b)-1)]
}

func (p *pending) find(key uint64) *exchange {
	e := *p.bucket(key)
	for e != nil && e.key != key {
		e = e.chain
	}
	return e
}

// add takes a query whose key is not there.
func (p *pending) add(e *exchange) {
	if p.n >= 2*len(p.buckets()) {
		p.grow()
	}
	e.key = e.req.key()
	b := p.bucket(e.key)
	e.chain, *b = *b, e
	e.older, e.newer = p.newest, nil
	if p.newest != nil {
		p.newest.newer = e
	} else {
		p.oldest = e
	}
	p.newest = e
	p.n++
}

func (p *pending) grow() {
	p.large = make([]*exchange, 4*len(p.buckets()))
	for e := p.oldest; e != nil; e = e.newer {
		b := p.bucket(e.key)
		e.chain, *b = *b, e
	}
}

func (p *pending) remove(e *exchange) {
	at := p.bucket(e.key)
	for *at != e {
		at = &(*at).chain
	}
	*at = e.chain
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		p.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		p.newest = e.older
	}
	e.older, e.newer, e.chain = nil, nil, nil
	p.n--
}
