package flow

import "github.com/sshark/sshark/pcap"

// Info is what a store's index, or a pass over a file, knows of one flow without reading
// any payload. Directions are those of the key.
type Info struct {
	ID      ID
	Key     Key
	Iface   *pcap.Interface // where it was seen: the interface of its first packet
	First   int64           // time of its first kept packet, ns
	Last    int64           // time of its last kept packet, ns; an index rounds it up (see package segment)
	Packets [2]uint64       // by direction
	Bytes   [2]uint64       // on the wire, by direction
	Flags   [2]uint8        // TCP flags seen, or-ed, by direction
	Opener  Opener
}

// Opener says who began a flow, as far as headers tell.
type Opener uint8

// The guesses are of flows whose first kept packet was no SYN: they are older than what is
// kept, or not TCP.
const (
	UnknownOpener Opener = iota
	OpenerA              // A sent a SYN without ACK, or got one with
	OpenerB
	OpenerAGuess // A sent the first packet that was seen
	OpenerBGuess
)
