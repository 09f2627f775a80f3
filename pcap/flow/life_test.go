package flow

import "testing"

// TestLate: a copy of the SYN that comes when the connection is over already is older than what
// was seen. The same number later is another connection.
func TestLate(t *testing.T) {
	key := Key{Proto: TCP}
	begin := &Header{Key: key, Flags: SYN, Seq: 7}
	end := &Header{Key: key, Flags: FIN | ACK, Seq: 8}
	for _, c := range []struct {
		name string
		then Header
		idle int64
		want bool
	}{
		{"a late copy", *begin, -1, false},
		{"again, later", *begin, 1, true},
		{"another number, older", Header{Key: key, Flags: SYN, Seq: 9}, -1, true},
		{"of the other side", Header{Key: key, Dir: BtoA, Flags: SYN, Seq: 7}, -1, true},
	} {
		var l Life
		l.Update(begin)
		l.Update(end)
		if got := l.Over(&c.then, c.idle); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
