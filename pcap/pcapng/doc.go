// Package pcapng reads classic pcap and pcapng files and streams, plain or compressed with
// gzip or zstd, and writes pcapng (draft-ietf-opsawg-pcapng) and classic pcap.
//
// A Reader and a Writer are used by one goroutine at a time. They own their buffers; what a
// Reader hands out is borrowed until its next Next. Memory is bounded whatever the input
// says: blocks by MaxBlock, interfaces by MaxInterfaces; names are handed on, not kept.
//
// # Who is who
//
// What the format has no field for is written where Wireshark shows it:
//
//	if_name         namespace/pod:eth0, or eth0 for the node's own device
//	if_description  pod=NAME ns=NAMESPACE pod_uid=UID node=NODE, as far as known
//	if_IPv4addr,    the device's own addresses
//	if_IPv6addr
//	opt_comment     of the section: node=NODE
//
// A value that holds a blank, a quote or a control character is quoted as in Go. A
// description that does not consist of such pairs is a foreign file's, and becomes the
// interface's Comment.
//
// # Errors
//
// ErrFormat: the input is no capture that is known here. *CorruptError: it begins like one
// and then breaks; all whole packets before were delivered. errors.Is(err, ErrTruncated)
// tells the one kind that is harmless: the end is missing. Errors of the io.Reader are
// wrapped. All of them are final.
package pcapng

import (
	"errors"
	"fmt"
)

// Limits of a Reader.
const (
	MaxBlock      = 16 << 20 // bytes of one block or packet record
	MaxWindow     = 8 << 20  // bytes that zstd remembers (RFC 8878, 3.1.1.1.2); more with zstd --long only
	MaxInterfaces = 1 << 16  // of one section
	maxVantages   = 1 << 16  // of one file; interfaces of later pods are told apart no more
	maxAddrs      = 64       // of one interface; more are left out
	maxHeld       = 8 << 20  // bytes of text that the interfaces of a section are described with
)

// Block types (draft-ietf-opsawg-pcapng, 11.1).
const (
	blockInterface   = 1
	blockOldPacket   = 2
	blockSimple      = 3
	blockNames       = 4
	blockStatistics  = 5
	blockEnhanced    = 6
	blockSecrets     = 10
	blockSection     = 0x0A0D0D0A
	byteOrderMagic   = 0x1A2B3C4D
	swappedByteOrder = 0x4D3C2B1A
)

// Options, by the block that they belong to (the same draft, 3.5 and 4).
const (
	optEnd     = 0
	optComment = 1

	optHardware    = 2 // section
	optOS          = 3
	optApplication = 4

	optName        = 2 // interface
	optDescription = 3
	optIPv4        = 4
	optIPv6        = 5
	optTimeRes     = 9
	optTimeOffset  = 14

	optFlags     = 2 // enhanced packet
	optDropCount = 4

	optStart        = 2 // interface statistics
	optEnding       = 3
	optReceived     = 4
	optDropped      = 5
	optFilterAccept = 6
	optOSDropped    = 7
	optDelivered    = 8

	recordIPv4 = 1 // name resolution
	recordIPv6 = 2
)

// ErrFormat: the input does not begin like a capture file.
var ErrFormat = errors.New("not a pcap or pcapng file")

// ErrTruncated: the input ends within a block or record. What was before it is sound.
var ErrTruncated = errors.New("file is cut off")

// CorruptError says where a file broke. Offset counts bytes of the uncompressed file, up to
// the beginning of the block or record that could not be read.
type CorruptError struct {
	Offset int64
	Err    error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("at byte %d: %v", e.Offset, e.Err) }

func (e *CorruptError) Unwrap() error { return e.Err }

// pad4 rounds up to a multiple of 4.
func pad4(n int) int { return (n + 3) &^ 3 }
