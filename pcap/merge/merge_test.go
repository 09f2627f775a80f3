package merge

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

type item struct {
	time int64
	from int
	data *byte // borrowed: the source changes it at its next Next
}

type source struct {
	times []int64
	from  int
	data  byte
	end   error
}

func (s *source) Next(v *item) error {
	s.data++
	if len(s.times) == 0 {
		return s.end
	}
	*v = item{s.times[0], s.from, &s.data}
	s.times = s.times[1:]
	return nil
}

func TestMerge(t *testing.T) {
	broken := errors.New("broken")
	for range 200 {
		var sources []Source[item]
		var want []int64
		var wantErr error
		for n := range rand.IntN(6) {
			s := &source{from: n, end: io.EOF}
			if rand.IntN(8) == 0 {
				s.end, wantErr = broken, broken
			}
			for range rand.IntN(40) {
				s.times = append(s.times, rand.Int64N(60))
			}
			slices.Sort(s.times)
			want = append(want, s.times...)
			sources = append(sources, s)
		}
		slices.Sort(want)
		m := New(func(i *item) int64 { return i.time }, sources...)
		last := item{time: -1}
		for k, w := range want {
			var v item
			if err := m.Next(&v); err != nil {
				t.Fatalf("value %d: %v", k, err)
			}
			if v.time != w || v.time == last.time && v.from < last.from {
				t.Fatalf("value %d: %+v after %+v, want time %d", k, v, last, w)
			}
			if src := sources[v.from].(*source); *v.data != src.data {
				t.Fatal("a source was asked on while its value was borrowed")
			}
			last = v
		}
		err := m.Next(&item{})
		if wantErr == nil && err != io.EOF || wantErr != nil && !errors.Is(err, broken) {
			t.Fatalf("at the end: %v, want %v", err, wantErr)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	var sources []Source[item]
	for n := range 16 {
		s := &source{from: n, end: io.EOF, times: make([]int64, b.N/16+1)}
		for k := range s.times {
			s.times[k] = int64(k*16 + n)
		}
		sources = append(sources, s)
	}
	m := New(func(i *item) int64 { return i.time }, sources...)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		var v item
		if err := m.Next(&v); err != nil {
			b.Fatal(err)
		}
	}
}
