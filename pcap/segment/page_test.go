package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
)

// crowded makes n small packets of few keys, so that a page has several flows of one key: seen at
// two pods, begun again and again on the same ports, beside packets that are not IP.
func crowded(n int) (list []pcap.Packet) {
	r := rand.New(rand.NewPCG(1, 2))
	now := int64(1767366245_000000000)
	for k := range n {
		client, server := fmt.Sprintf("10.0.0.1:%d", 4000+r.IntN(3)), "10.0.0.2:80"
		var b []byte
		switch r.IntN(12) {
		case 0:
			b = tcp(client, server, flow.SYN, uint32(k), 0, 0)
		case 1:
			b = udp(client, server, 60)
		case 2:
			b = make([]byte, 60) // no IP
		case 3:
			b = tcp(server, client, flow.ACK|flow.FIN, 1, 1, 0)
		case 4:
			b = tcp(client, server, flow.ACK, 1, 1, 9000) // longer than a page
		default:
			b = tcp(client, server, flow.ACK, uint32(k), 1, 0)
		}
		i := podA
		if r.IntN(2) == 0 {
			i = podB
		}
		if now += r.Int64N(1e6); k == n/2 { // UDP flows are over
			now += 61e9
		}
		list = append(list, pcap.Packet{Time: now, Data: b, Length: uint32(len(b)), Flags: 1, Iface: i})
	}
	return list
}

// Postings tell the page only: which of its packets are a flow's is found out from the packets.
func TestFlowsOfAPage(t *testing.T) {
	b := newBench(t)
	packets := crowded(3000)
	for round := range 2 { // the flows go on in another segment
		part := packets[round*1500 : (round+1)*1500]
		l := b.begin(part[0].Time)
		ids := b.append(l, part[:1000])
		early, err := l.Cursor(Query{Match: func(*flow.Info) bool { return true }})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, b.append(l, part[1000:])...)
		same(t, early, part[:1000], ids[:1000]) // and nothing of what came since
		flows := map[flow.ID]bool{}
		for _, id := range ids {
			flows[id] = true
		}
		if len(flows) < 50 || len(flows) > 500 {
			t.Fatalf("%d flows", len(flows))
		}
		check := func(cursor func(Query) (*Cursor, error)) {
			t.Helper()
			for id := range flows {
				for _, q := range []Query{{}, {End: 777}, {Since: part[200].Time, Until: part[1200].Time}} {
					q.Match = func(i *flow.Info) bool { return i.ID == id || i.ID == ids[50] }
					c, err := cursor(q)
					if err != nil {
						t.Fatal(err)
					}
					var want []pcap.Packet
					var wantIDs []flow.ID
					for k := range part {
						if (ids[k] == id || ids[k] == ids[50]) && part[k].Time >= q.Since && (q.Until == 0 || part[k].Time < q.Until) && (q.End == 0 || k < int(q.End)) {
							want, wantIDs = append(want, part[k]), append(wantIDs, ids[k])
						}
					}
					same(t, c, want, wantIDs)
				}
			}
		}
		check(l.Cursor)
		b.finish(l)
		segment, index := b.read(l.Base)
		x, err := ReadIndex(bytes.NewReader(index), nil)
		if err != nil {
			t.Fatal(err)
		}
		check(func(q Query) (*Cursor, error) { return x.Cursor(bytes.NewReader(segment), q) })
		s, err := Scan(bytes.NewReader(segment), b.seq)
		if err != nil || !bytes.Equal(s.Encode(s.End), index) {
			t.Errorf("round %d: the rebuilt index differs (%v)", round, err)
		}
	}
}

// An index of another segment whose packets have other flows in the pages is not believed.
func TestPageWithoutTheFlow(t *testing.T) {
	b := newBench(t)
	packets := traffic(500)
	l := b.begin(packets[0].Time)
	b.append(l, packets)
	b.finish(l)
	segment, index := b.read(l.Base)
	x, err := ReadIndex(bytes.NewReader(index), nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range packets {
		at := bytes.Index(segment, packets[n].Data)
		if at < 0 {
			t.Fatal("packet", n)
		}
		other := bytes.Clone(segment)
		other[at+35] ^= 1 // its port
		c, err := x.Cursor(bytes.NewReader(other), Query{Match: func(*flow.Info) bool { return true }})
		for err == nil {
			err = c.Next(&pcap.Packet{})
		}
		if !errors.Is(err, ErrIndex) {
			t.Fatalf("packet %d is of another flow: %v", n, err)
		}
	}
}

// Whatever byte of an index is damaged: it is not believed. Where its sums are right all the same
// it is no more than wrong.
func TestIndexDamage(t *testing.T) {
	b := newBench(t)
	packets := crowded(200)
	l := b.begin(packets[0].Time)
	ids := b.append(l, packets)
	b.finish(l)
	segment, index := b.read(l.Base)
	h, err := ParseHeader(index)
	if err != nil {
		t.Fatal(err)
	}
	read := func(index []byte) error {
		if _, err := Lacks(bytes.NewReader(index), ids[0]); err != nil {
			return err
		}
		x, err := ReadIndex(bytes.NewReader(index), nil)
		if err != nil {
			return err
		}
		c, err := x.Cursor(bytes.NewReader(segment), Query{Match: func(*flow.Info) bool { return true }})
		for err == nil {
			err = c.Next(&pcap.Packet{})
		}
		if err == io.EOF {
			return nil
		}
		return err
	}
	if err := read(index); err != nil {
		t.Fatal(err)
	}
	for at := range index {
		for _, bits := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(index)
			bad[at] ^= bits
			var version *VersionError
			if err := read(bad); !errors.Is(err, ErrIndex) && !errors.Is(err, ErrOldIndex) && !errors.As(err, &version) {
				t.Fatalf("byte %d of %d (filter %d, head %d, flows %d): %v", at, len(index), h.filterLen, h.headLen, h.flowsLen, err)
			}
			if err := read(resum(bad)); err != nil && !errors.Is(err, ErrIndex) && !errors.Is(err, ErrOldIndex) && !errors.As(err, &version) {
				t.Fatalf("byte %d with sums: %v", at, err)
			}
		}
		if read(index[:at]) == nil {
			t.Fatalf("cut to %d bytes: it is read", at)
		}
	}
}

// Indexes of all versions before are known as such, whatever they have.
func TestOlderVersions(t *testing.T) {
	b := newBench(t)
	packets := traffic(50)
	l := b.begin(packets[0].Time)
	b.append(l, packets)
	b.finish(l)
	_, index := b.read(l.Base)
	for version := range byte(IndexVersion) {
		old := bytes.Clone(index)
		old[8] = version
		for _, in := range [][]byte{old, resum(old), old[:20]} {
			if _, err := ReadHeader(bytes.NewReader(in)); !errors.Is(err, ErrOldIndex) {
				t.Errorf("version %d: header: %v", version, err)
			}
			if _, err := ReadIndex(bytes.NewReader(in), nil); !errors.Is(err, ErrOldIndex) {
				t.Errorf("version %d: %v", version, err)
			}
			if _, err := Lacks(bytes.NewReader(in), 1); !errors.Is(err, ErrOldIndex) {
				t.Errorf("version %d: filter: %v", version, err)
			}
		}
	}
}
