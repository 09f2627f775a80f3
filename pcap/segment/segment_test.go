package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/memtest"
	"github.com/sshark/sshark/pcap/pcapng"
)

// tcp makes an Ethernet frame of size bytes (at least 54) from one endpoint to another.
func tcp(src, dst string, flags uint8, seq, ack uint32, size int) []byte {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	b := make([]byte, max(size, 54))
	be := binary.BigEndian
	be.PutUint16(b[12:], 0x0800)
	b[14] = 0x45
	be.PutUint16(b[16:], uint16(len(b)-14))
	b[23] = 6
	copy(b[26:], s.Addr().AsSlice())
	copy(b[30:], d.Addr().AsSlice())
	be.PutUint16(b[34:], s.Port())
	be.PutUint16(b[36:], d.Port())
	be.PutUint32(b[38:], seq)
	be.PutUint32(b[42:], ack)
	b[46] = 5 << 4
	b[47] = flags
	return b
}

func udp(src, dst string, size int) []byte {
	b := tcp(src, dst, 0, 0, 0, size)
	b[23] = 17
	binary.BigEndian.PutUint16(b[38:], uint16(len(b)-34))
	return b
}

var podA = &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Node: "n1", Pod: pcap.Pod{Namespace: "shop", Name: "cart", UID: "uid-a"}}
var podB = &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Node: "n1", Pod: pcap.Pod{Namespace: "shop", Name: "db", UID: "uid-b"}}

// traffic makes n packets of some flows seen at two pods.
func traffic(n int) []pcap.Packet {
	var list []pcap.Packet
	for k := range n {
		client := fmt.Sprintf("10.0.0.%d:%d", k%7+1, 40000+k%13)
		var b []byte
		switch {
		case k%11 == 3:
			b = udp(client, "10.0.1.53:53", 90+k%40)
		case k%2 == 0:
			b = tcp(client, "10.0.1.1:80", flow.ACK, uint32(k), 7, 60+k%500)
		default:
			b = tcp("10.0.1.1:80", client, flow.ACK|flow.PSH, uint32(k), 7, 60+k%1400)
		}
		i := podA
		if k%3 == 0 {
			i = podB
		}
		list = append(list, pcap.Packet{Time: 1767366245_000000000 + int64(k)*1000003, Data: b, Length: uint32(len(b)) + 10,
			Flags: uint32(k%2 + 1), Drops: uint64(k % 17 / 16), Iface: i})
	}
	return list
}

// bench drives a Live as a store does, all in one goroutine.
type bench struct {
	t     testing.TB
	dir   string
	fs    FS
	table *Table
	pool  *Pool
	v     Vantages
	srcs  map[*pcap.Interface]*Source
	queue []*Buffer
	names map[netip.Addr]pcap.Name
	seq   uint64
}

func newBench(t testing.TB) *bench {
	return &bench{t: t, dir: t.TempDir(), fs: OS{}, table: NewTable(), pool: NewPool(8, 64<<10), srcs: map[*pcap.Interface]*Source{}, names: map[netip.Addr]pcap.Name{}}
}

func (b *bench) begin(first int64) *Live {
	b.seq++
	l := NewLive(b.seq, first, LiveOptions{FS: b.fs, Dir: b.dir, Pool: b.pool, Table: b.table, Builder: NewBuilder(b.seq),
		Namer:   func(a netip.Addr) (pcap.Name, bool) { n, ok := b.names[a]; return n, ok },
		Full:    func(_ *Live, buf *Buffer) { b.queue = append(b.queue, buf) },
		Section: pcapng.Section{Application: "sshark", Node: "n1"}})
	b.table.NextSegment(first)
	return l
}

func (b *bench) append(l *Live, list []pcap.Packet) (ids []flow.ID) {
	for k := range list {
		p := &list[k]
		src := b.srcs[p.Iface]
		if src == nil {
			src = &Source{Iface: p.Iface}
			src.Vantage, src.VantageName = b.v.Of(p.Iface)
			b.srcs[p.Iface] = src
		}
		var h flow.Header
		h.Parse(p.Iface.Link, p.Data)
		l.Lock()
		e := l.Append(src, p, &h)
		l.Unlock()
		if e == nil {
			b.t.Fatal("no buffer")
		}
		ids = append(ids, e.ID)
		for _, buf := range b.queue {
			if err := l.WriteBuffer(buf); err != nil {
				b.t.Fatal(err)
			}
		}
		b.queue = nil
	}
	return ids
}

func (b *bench) finish(l *Live) Header {
	h, err := l.Finish()
	if err != nil {
		b.t.Fatal(err)
	}
	return h
}

func (b *bench) read(base string) (segment, index []byte) {
	segment, err := os.ReadFile(filepath.Join(b.dir, base+ExtSegment))
	if err != nil {
		b.t.Fatal(err)
	}
	index, err = os.ReadFile(filepath.Join(b.dir, base+ExtIndex))
	if err != nil {
		b.t.Fatal(err)
	}
	return segment, index
}

// same compares what a cursor gives with what it must give.
func same(t *testing.T, c *Cursor, want []pcap.Packet, ids []flow.ID) {
	t.Helper()
	for k := range want {
		var p pcap.Packet
		if err := c.Next(&p); err != nil {
			t.Fatalf("packet %d of %d: %v", k, len(want), err)
		}
		w := &want[k]
		if p.Time != w.Time || !bytes.Equal(p.Data, w.Data) || p.Length != w.Length || p.Flags != w.Flags || p.Drops != w.Drops ||
			p.Iface.Pod != w.Iface.Pod || c.Flow() != ids[k] {
			t.Fatalf("packet %d: %+v of %v, want %+v of %v", k, p, c.Flow(), w, ids[k])
		}
	}
	if err := c.Next(&pcap.Packet{}); err != io.EOF {
		t.Fatalf("after the last: %v", err)
	}
}

// What is appended is read back: from memory, from the file while it is written, from the
// complete segment; whole, by flow, and by time. The rebuilt index is the same bytes.
func TestWriteRead(t *testing.T) {
	b := newBench(t)
	b.names[netip.MustParseAddr("10.0.1.1")] = pcap.Name{Addr: netip.MustParseAddr("10.0.1.1"), Names: []string{"shop/web", "web"}}
	packets := traffic(3000)
	all := func(*flow.Info) bool { return true }
	var ids []flow.ID
	for round := range 3 { // the flows go on from segment to segment
		part := packets[round*1000 : (round+1)*1000]
		l := b.begin(part[0].Time)
		partIDs := b.append(l, part[:500])
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		partIDs = append(partIDs, b.append(l, part[500:])...)
		ids = append(ids, partIDs...)
		check := func(cursor func(Query) (*Cursor, error)) {
			t.Helper()
			var names []pcap.Name
			c, err := cursor(Query{Match: all, OnName: func(n pcap.Name) { names = append(names, n) }})
			if err != nil {
				t.Fatal(err)
			}
			same(t, c, part, partIDs)
			if len(names) != 1 || names[0].Names[0] != "shop/web" {
				t.Errorf("names: %v", names)
			}
			for _, id := range []flow.ID{partIDs[0], partIDs[1], partIDs[3]} {
				c, err = cursor(Query{Match: func(i *flow.Info) bool { return i.ID == id }})
				if err != nil {
					t.Fatal(err)
				}
				var want []pcap.Packet
				var wantIDs []flow.ID
				for k := range part {
					if partIDs[k] == id {
						want, wantIDs = append(want, part[k]), append(wantIDs, id)
					}
				}
				same(t, c, want, wantIDs)
			}
			c, err = cursor(Query{Match: all, Since: part[300].Time, Until: part[700].Time})
			if err != nil {
				t.Fatal(err)
			}
			same(t, c, part[300:700], partIDs[300:700])
		}
		check(l.Cursor)
		h := b.finish(l)
		check(l.Cursor)
		segment, index := b.read(l.Base)
		if h.Size != int64(len(segment)) || h.IndexSize() != int64(len(index)) || h.Packets != 1000 {
			t.Errorf("header: %+v", h)
		}
		if est := l.Bytes() - l.size; est < int64(len(index)) {
			t.Errorf("index of %d bytes, estimated %d", len(index), est)
		}
		x, err := ReadIndex(bytes.NewReader(index), nil)
		if err != nil {
			t.Fatal(err)
		}
		check(func(q Query) (*Cursor, error) { return x.Cursor(bytes.NewReader(segment), q) })
		s, err := Scan(bytes.NewReader(segment), b.seq)
		if err != nil || s.Damage != nil || s.End != h.Size {
			t.Fatalf("scan: %v, %v, end %d of %d", err, s.Damage, s.End, h.Size)
		}
		if !bytes.Equal(s.Encode(s.End), index) {
			t.Errorf("round %d: the rebuilt index differs", round)
		}
	}
	type seenAt struct {
		pod pcap.Pod
		key flow.Key
	}
	distinct := map[seenAt]flow.ID{}
	for k, id := range ids {
		var h flow.Header
		h.Parse(pcap.LinkEthernet, packets[k].Data)
		at := seenAt{packets[k].Iface.Pod, h.Key}
		if was, ok := distinct[at]; ok && was != id {
			t.Fatalf("packet %d: flow %v became %v", k, was, id)
		}
		distinct[at] = id
	}
}

// Cut at each byte of the tail: what is whole is found, and the end is right.
func TestScanCut(t *testing.T) {
	b := newBench(t)
	packets := traffic(12)
	l := b.begin(packets[0].Time)
	b.append(l, packets)
	b.finish(l)
	segment, _ := b.read(l.Base)
	var ends []int64
	x, _ := Scan(bytes.NewReader(segment), 1)
	if x.Packets() != 12 {
		t.Fatal("packets", x.Packets())
	}
	r, _ := pcapng.NewReader(bytes.NewReader(segment), pcapng.ReaderOptions{})
	var p pcap.Packet
	for r.Next(&p) == nil {
		ends = append(ends, r.Offset()+int64(pcapng.PacketSize(&p)))
	}
	for n := range segment {
		for _, zeros := range []int{0, 13, 4096} {
			s, err := Scan(bytes.NewReader(append(bytes.Clone(segment[:n]), make([]byte, zeros)...)), 1)
			if err != nil {
				if n < 100 { // within the section header
					continue
				}
				t.Fatalf("cut to %d: %v", n, err)
			}
			want := uint64(0)
			for _, e := range ends {
				if int64(n) >= e {
					want++
				}
			}
			// A block whose missing end is zeros is whole with the zeros.
			if s.Packets() != want && !(zeros > 0 && s.Packets() == want+1) || s.End > int64(n)+3 {
				t.Fatalf("cut to %d, %d zeros: %d packets, want %d; end %d", n, zeros, s.Packets(), want, s.End)
			}
		}
	}
}

func TestRefusedSegments(t *testing.T) {
	other := pcapng.AppendSection(nil, pcapng.Section{Comment: "sshark segment 2"})
	var version *VersionError
	if _, err := Scan(bytes.NewReader(other), 1); !errors.As(err, &version) || version.Version != "2" {
		t.Errorf("newer: %v", err)
	}
	if err := Check(bytes.NewReader(other)); !errors.As(err, &version) {
		t.Errorf("newer: %v", err)
	}
	for _, in := range [][]byte{[]byte("hello, world"), pcapng.AppendSection(nil, pcapng.Section{Comment: "mine"})} {
		if _, err := Scan(bytes.NewReader(in), 1); !errors.Is(err, ErrForeign) {
			t.Errorf("foreign: %v", err)
		}
		if err := Check(bytes.NewReader(in)); !errors.Is(err, ErrForeign) {
			t.Errorf("foreign: %v", err)
		}
	}
}

// A flow is told from the next one on the same ports.
func TestTable(t *testing.T) {
	const c, s = "10.0.0.1:4000", "10.0.0.2:80"
	type step struct {
		frame   []byte
		seconds int64
		same    bool // as the step before
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"one connection", []step{{tcp(c, s, flow.SYN, 1, 0, 0), 0, false}, {tcp(c, s, flow.SYN, 1, 0, 0), 1, true},
			{tcp(s, c, flow.SYN|flow.ACK, 9, 2, 0), 1, true}, {tcp(c, s, flow.ACK, 2, 10, 0), 1, true}, {tcp(s, c, flow.ACK, 2, 10, 0), 7000, true}}},
		{"port used again after FIN", []step{{tcp(c, s, flow.SYN, 1, 0, 0), 0, false}, {tcp(c, s, flow.FIN|flow.ACK, 2, 0, 0), 1, true},
			{tcp(s, c, flow.ACK, 2, 0, 0), 1, true}, {tcp(c, s, flow.SYN, 77, 0, 0), 1, false}}},
		{"port used again without FIN", []step{{tcp(c, s, flow.SYN, 1, 0, 0), 0, false}, {tcp(c, s, flow.SYN, 2, 0, 0), 1, false}}},
		{"answer before the SYN", []step{{tcp(s, c, flow.SYN|flow.ACK, 9, 2, 0), 1, false}, {tcp(c, s, flow.SYN, 1, 0, 0), 0, true}}},
		{"SYN in the middle", []step{{tcp(s, c, flow.ACK, 9, 2, 0), 1, false}, {tcp(c, s, flow.SYN, 1, 0, 0), 0, false}}},
		{"UDP", []step{{udp(c, s, 0), 0, false}, {udp(s, c, 0), 59, true}, {udp(c, s, 0), 61, false}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := NewTable()
			now := int64(1e18)
			var last flow.ID
			for n, st := range test.steps {
				var h flow.Header
				h.Parse(pcap.LinkEthernet, st.frame)
				now += st.seconds*1e9 + 1
				e, _ := table.Assign(&h, 1, "pod", now, nil)
				if (e.ID == last) != st.same {
					t.Errorf("step %d: same flow %v, want %v", n, e.ID == last, st.same)
				}
				last = e.ID
			}
		})
	}
}

func TestTableForgets(t *testing.T) {
	table := NewTable()
	for n := range maxEntries + 100 {
		var h flow.Header
		h.Parse(pcap.LinkEthernet, tcp(fmt.Sprintf("10.%d.%d.%d:1", n>>16, n>>8&255, n&255), "10.0.0.2:80", flow.ACK, 1, 1, 0))
		table.Assign(&h, 1, "pod", int64(n), nil)
	}
	table.NextSegment(maxEntries + 100)
	if n := len(table.entries); n > maxEntries || n == 0 {
		t.Errorf("%d entries are left", n)
	}
	table.NextSegment(maxEntries + 4*3600e9)
	if n := len(table.entries); n == 0 {
		t.Error("none is left after hours without a packet: the clock may have been set")
	}
	now := int64(maxEntries + 4*3600e9)
	for range 4 * 60 {
		var h flow.Header
		h.Parse(pcap.LinkEthernet, udp("10.0.0.1:1", "10.0.0.2:80", 0))
		table.Assign(&h, 1, "pod", now, nil)
		now += 60e9
	}
	table.NextSegment(now)
	if n := len(table.entries); n != 1 {
		t.Errorf("%d entries are left after hours with packets of another flow", n)
	}
}

// FuzzIndex: whatever an index says, reading it and by it holds less than 64 MiB.
func FuzzIndex(f *testing.F) {
	b := newBench(f)
	packets := traffic(200)
	l := b.begin(packets[0].Time)
	b.append(l, packets)
	b.finish(l)
	segment, index := b.read(l.Base)
	f.Add(index, true)
	f.Add(index[:150], false)
	memory := memtest.New(64 << 20)
	f.Fuzz(func(t *testing.T, in []byte, repair bool) {
		memory.Input()
		if repair { // get past the checksums
			in = resum(in)
		}
		x, err := ReadIndex(bytes.NewReader(in), nil)
		if (x == nil) == (err == nil) {
			t.Fatalf("%v and %v", x, err)
		}
		memory.Check(t)
		if err != nil {
			return
		}
		c, err := x.Cursor(bytes.NewReader(segment), Query{Match: func(i *flow.Info) bool { return i.Iface != nil }, OnName: func(pcap.Name) {}})
		if err != nil {
			return
		}
		for {
			var p pcap.Packet
			if err := c.Next(&p); err != nil {
				break
			}
			if p.Iface == nil {
				t.Fatal("no interface")
			}
			memory.Check(t)
		}
	})
}

// resum makes an index's checksums right again.
func resum(in []byte) []byte {
	if len(in) < headerBytes {
		return in
	}
	b := bytes.Clone(in)
	le := binary.LittleEndian
	var parts [4][]byte // filter, head, flows, and the rest
	rest := b[headerBytes:]
	for n := range parts {
		size := le.Uint64(b[80+8*n:])
		if n == 3 {
			size += le.Uint64(b[112:])
		}
		if size > uint64(len(rest)) {
			return in
		}
		parts[n], rest = rest[:size], rest[size:]
	}
	head, p := parts[1], parts[3]
	if n := (len(p) + crcBytes - 1) / crcBytes * 4; n <= len(head) {
		for at := len(head) - n; len(p) > 0; at += 4 {
			k := min(crcBytes, len(p))
			le.PutUint32(head[at:], crc32.Checksum(p[:k], castagnoli))
			p = p[k:]
		}
	}
	for n := range 3 {
		le.PutUint32(b[120+4*n:], crc32.Checksum(parts[n], castagnoli))
	}
	le.PutUint32(b[12:], 0)
	le.PutUint32(b[12:], crc32.Checksum(b[:headerBytes], castagnoli))
	return b
}
