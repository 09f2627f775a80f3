// Package segment is the on-disk format of a node's store: one segment is a pcapng file and
// its index. It writes segments, reads them (also the one that is being written), and
// rebuilds a lost index from the packets.
//
// # The two files
//
//	00000042-20260102T150405.123456789Z.pcapng    the packets: what Wireshark opens
//	00000042-20260102T150405.123456789Z.idx       where each flow's packets are in it
//
// The first number counts the segments of a store, the time is that of the first packet
// (UTC). While a file is written its name begins with a dot; it is renamed when it is
// complete and synced. So a name that can be seen is a complete file. The index can always
// be made again from the segment, byte for byte.
//
// # The segment
//
// It is one little-endian pcapng section. The section header's comment is "sshark segment 1",
// where 1 is the version of this format; anything else is refused. Packets are numbered from 0.
//
//	┌─────┬─────┬─────┬─────┬─────┬──────┬─────┬─────┬───┬─────┬─────┬─────┐
//	│ SHB │ IDB │ sum │ NRB │ EPB │ flow │ EPB │ sum │ … │ ISB │ ISB │ sum │
//	└─────┴─────┴─────┴─────┴─────┴──────┴─────┴─────┴───┴─────┴─────┴─────┘
//
// An interface (IDB, see package pcapng) is described before its first packet, an address is
// named (NRB) before the first packet of a flow that has it if its name is known by then,
// and right when it is learnt if not. Statistics (ISB) of all interfaces end a segment that
// was closed in order. Packets are in the order of their arrival, which is that of time but
// for what the kernel's CPUs mix up, and but for a clock that was set back.
//
// A flow block (type 0x80005346, for local use: readers skip it) stands before the first
// packet in this segment of a flow that is known from an earlier one:
//
//	 0                   4                   8           16       20           24
//	┌───────────────────┬───────────────────┬───────────┬────────┬────────────┐
//	│ type = 0x80005346 │ length = 24       │ flow ID   │ opener │ length     │
//	└───────────────────┴───────────────────┴───────────┴────────┴────────────┘
//
// All other flow IDs follow from the packets (see Table), so the index does too.
//
// A sum block (type 0x80005347) has the sum (see sums) of the bytes since the one before, or
// since the beginning. One stands behind the section header, and one ends what is synced:
//
//	 0                   4                   8           16          20
//	┌───────────────────┬───────────────────┬───────────┬───────────┐
//	│ type = 0x80005347 │ length = 20       │ sum       │ length    │
//	└───────────────────┴───────────────────┴───────────┴───────────┘
//
// # The tail while it is written
//
// With O_DIRECT only whole pages of 4 KiB can be written. When the tail is synced, its last
// page is filled up with zeros, and the same page is written again when more has come: its
// beginning is then the same bytes, so a torn write can harm only what was new in it.
// Recovery cuts the file behind the last sum that is right: all that was synced is before it,
// and a disk that lost any sector of the rest does not go unnoticed. Completion truncates the
// file to its exact size.
//
// # The index
//
//	┌────────┬────────┬──────┬───────┬────────┬──────────┐
//	│ header │ filter │ head │ flows │ places │ postings │
//	└────────┴────────┴──────┴───────┴────────┴──────────┘
//
//	header    magic "sshkidx" and version, sizes of the other parts and of the segment, times
//	          and counts, CRC-32C of filter, head, flows and of the header (see Header)
//	filter    5.6 bits for each flow: which IDs are surely not here (see appendFilter)
//	head      the interfaces as pcapng (SHB, IDB …); names with their offsets; the parameters of
//	          the places; for each span the lowest and highest time in it, the drops that its
//	          packets report, the number of its first packet and how much of the places is its;
//	          the addresses of all flows; for each 1024 flows the lowest and highest time and how
//	          much of flows and postings is theirs; CRC-32C of each 64 KiB of places and postings
//	flows     in the order of their first packet: its number, key, interface, times, counters,
//	          TCP flags, opener, how many bits its postings take, and the ID where it does not
//	          follow from that. The time of the last packet is rounded up (see rounded), by less
//	          than an eighth of what the flow lasted and by less than about a millisecond
//	places    for each page but the first of a span the number and offset of its first packet
//	postings  for each flow how many pages there are from each of its packets to the next
//
// A span is 256 KiB of the segment, and its pages are of 4 KiB: a packet with those that begin so
// close behind it. Which packets of a page are a flow's is not in the index, as the packets tell
// it: they have its key (flow.Header), are of its vantage and not before its first one, and there
// are as many in the page as the postings say. So it also shows when an index does not fit its
// segment, or was made by a program that found other keys in the packets.
//
// Numbers are little-endian or unsigned varints. Flows, places and postings are bits: the flows of
// a block are a table of numbers, each column with its lowest value and a parameter (see
// bitWriter), a column whose values are all the same taking nothing. The postings of a flow of
// two packets are one number, which stands in the table instead of their bits. A reader checks
// what it reads before it uses it, and says ErrIndex if anything is wrong; it asks for a
// *VersionError's file to be left alone, and for an ErrOldIndex's to be made anew.
//
// How large it is beside the packets as they were on the wire, and beside the segment
// (BenchmarkIndexSize), and where that goes:
//
//	UDP of 64 bytes, one flow                0.2 %   0.1 %  postings of a bit a packet, places
//	UDP of 64 bytes, 100 flows at random     0.6 %   0.4 %  postings
//	UDP of 64 bytes, 10,000 flows at random  2.2 %   1.3 %  postings: 9.5 bits are the information
//	DNS, two packets a flow                  2.7 %   1.9 %  flows: time, port, host; filter
//	DNS, all of it at random                 3.8 %   2.8 %  the same, sizes, and who was answered when
//	HTTP, connections kept alive             0.13 %  0.12 % postings
//	HTTP, a connection for each call         0.4 %   0.3 %  flows
//	bulk of 1500 bytes                       0.04 %  0.04 % places
//
// # Concurrency and ownership
//
// Table and Builder are used by one goroutine. A Live segment is filled by one goroutine (the
// producer, who holds its lock for a batch), written to disk by another (the flusher), and
// read by any number. An Index is immutable.
package segment

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The versions of segment and index that are written, and the only ones read. An older index
// is made anew from its segment. IndexVersion goes up too when flow.Header finds other keys in
// packets than before: what an older index has of them would not be found.
const (
	Version      = 1
	IndexVersion = 3
)

const (
	segmentComment = "sshark segment "
	blockFlow      = 0x80005346
	flowBlockBytes = 24 // of a flow block in the file

	// Extensions of the two files' names.
	ExtSegment = ".pcapng"
	ExtIndex   = ".idx"
)

// ErrIndex: the index is damaged, or belongs to another segment. It can be rebuilt.
var ErrIndex = errors.New("index is damaged")

// ErrForeign: the file has a segment's name, and was not written as one.
var ErrForeign = errors.New("not a segment of sshark")

// ErrOldIndex: the index was written by an older version of sshark. It can be rebuilt.
var ErrOldIndex = errors.New("index of an older version")

// VersionError: the file was written by another version of sshark. It must be left alone.
type VersionError struct {
	Version string
	Reads   int // what is read here
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("format version %s: this version of sshark reads %d", e.Version, e.Reads)
}

const nameTime = "20060102T150405.000000000Z"

// FileName is the name of segment seq without extension; first is the time of its first packet.
func FileName(seq uint64, first int64) string {
	return fmt.Sprintf("%08d-%s", seq, time.Unix(0, first).UTC().Format(nameTime))
}

// ParseName reads a file name: base is what FileName made; hidden says it was being written.
func ParseName(file string) (base string, seq uint64, hidden bool, ext string, ok bool) {
	base, hidden = strings.CutPrefix(file, ".")
	for _, ext = range [...]string{ExtSegment, ExtIndex} {
		if b, found := strings.CutSuffix(base, ext); found {
			number, stamp, found := strings.Cut(b, "-")
			seq, err := strconv.ParseUint(number, 10, 63)
			if _, err2 := time.Parse(nameTime, stamp); !found || err != nil || err2 != nil || len(number) < 8 {
				return "", 0, false, "", false
			}
			return b, seq, hidden, ext, true
		}
	}
	return "", 0, false, "", false
}
