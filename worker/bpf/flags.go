package bpf

// Bits of struct target.flags in packet.bpf.c.
const (
	flagInboundOnly  = 1
	flagOutboundOnly = 2
	flagRaw          = 4
	flagOwnOnly      = 8
	flagLocal        = 16
)
