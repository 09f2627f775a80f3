package store

// Hold keeps all segments that the Iter will read from being deleted until they were read, so
// that an answer is complete however much comes in meanwhile. Call it before the first Next.
//
// What is held counts in the quota, and holds take no more than half of it, all readers
// together: the capture has the other half to go on in. Of a window that is larger the oldest
// segments are held, which would go first, and as these are read the next. On a disk that is
// nearly full nothing is held. What went all the same is in Gone.
func (it *Iter) Hold() {
	it.holds = true
	it.hold()
}

// hold holds as many of the segments that are still to be read as may be.
func (it *Iter) hold() {
	it.s.mu.Lock()
	defer it.s.mu.Unlock()
	for it.held < len(it.list) {
		e := it.list[it.held]
		if !e.gone && e.holds == 0 {
			if !it.s.mayHold(e) {
				return
			}
			it.s.held += e.bytes
			e.heldAs = e.bytes
		}
		e.holds++
		it.held++
	}
}

// mayHold says whether there is room for another one; with mu held.
func (s *Store) mayHold(e *entry) bool {
	return s.low == "" && (s.o.MaxBytes == 0 || s.held+e.bytes <= s.o.MaxBytes/2)
}

// release lets go of the first n that are held.
func (it *Iter) release(n int) {
	it.s.mu.Lock()
	defer it.s.mu.Unlock()
	for _, e := range it.list[:min(n, it.held)] {
		if e.holds--; e.holds == 0 {
			it.s.held -= e.heldAs
		}
	}
	it.held -= min(n, it.held)
}

// free says that a segment may be deleted; with mu held.
func (s *Store) free(e *entry) bool {
	return e.done && e.pins == 0 && (e.holds == 0 || s.low != "")
}
