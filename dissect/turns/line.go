package turns

// Line is what waits for its turn, the oldest first, with the bytes that are kept of each. The
// zero value is empty. How much may wait is for its user to decide; it allocates nothing once it
// has seen as much.
type Line[T any] struct {
	list []T
	at   []int // where the bytes of each begin
	head int   // of both
	mem  []byte
	base int // where mem begins
}

// Span is where a Line keeps the bytes of what waits, who has it with him.
type Span struct{ at, n int }

// Empty says that there are none.
func (s Span) Empty() bool { return s.n == 0 }

const maxIdle = 1 << 20 // bytes of memory that are kept for use again

// Len is how many wait.
func (l *Line[T]) Len() int { return len(l.list) - l.head }

// At is the ith that waits, the oldest being 0. It is valid until the next one is added.
func (l *Line[T]) At(i int) *T { return &l.list[l.head+i] }

// First is the oldest, of at least one.
func (l *Line[T]) First() *T { return &l.list[l.head] }

// Newest is the last one, of at least one.
func (l *Line[T]) Newest() *T { return &l.list[len(l.list)-1] }

// Add lets one wait, without bytes.
func (l *Line[T]) Add(v T) *T {
	if l.Len() == 0 {
		l.list, l.at, l.head, l.mem, l.base = l.list[:0], l.at[:0], 0, l.mem[:0], 0
		if cap(l.mem) > maxIdle {
			l.mem = nil
		}
	} else if l.head > 32 && l.head*2 > len(l.list) {
		from := l.at[l.head]
		l.mem = l.mem[:copy(l.mem, l.mem[from-l.base:])]
		l.list = l.list[:copy(l.list, l.list[l.head:])]
		l.at = l.at[:copy(l.at, l.at[l.head:])]
		l.head, l.base = 0, from
	}
	l.list, l.at = append(l.list, v), append(l.at, l.base+len(l.mem))
	return l.Newest()
}

// Extend adds to the bytes of the newest, and says where all of them are.
func (l *Line[T]) Extend(b []byte) Span {
	l.mem = append(l.mem, b...)
	return l.newest()
}

// ExtendString is Extend.
func (l *Line[T]) ExtendString(s string) Span {
	l.mem = append(l.mem, s...)
	return l.newest()
}

func (l *Line[T]) newest() Span {
	at := l.at[len(l.at)-1]
	return Span{at, l.base + len(l.mem) - at}
}

// Bytes are those of one that waits, or that was taken since the last one was added. They are
// valid until the next one is.
func (l *Line[T]) Bytes(s Span) []byte {
	if s.n == 0 {
		return l.mem[:0]
	}
	return l.mem[s.at-l.base:][:s.n]
}

// Kept is how many bytes are held for those that wait.
func (l *Line[T]) Kept() int {
	if l.Len() == 0 {
		return 0
	}
	return l.base + len(l.mem) - l.at[l.head]
}

// Take removes the oldest. What it points to is valid until the next one is added.
func (l *Line[T]) Take() *T {
	v := l.First()
	l.head++
	return v
}

// Drop removes the newest.
func (l *Line[T]) Drop() {
	n := len(l.list) - 1
	l.mem = l.mem[:l.at[n]-l.base]
	l.list, l.at = l.list[:n], l.at[:n]
}
