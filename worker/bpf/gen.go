package bpf

// The two -idirafter are where Debian keeps asm/types.h; a folder that is not there is ignored.
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel packet packet.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
