package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Socket is the capture of one interface. It keeps the interface's network namespace alive
// until it is closed.
type Socket struct {
	fd int
}

// Open makes a socket in the network namespace of the calling thread, whose packets will have
// slot. It captures nothing before it is bound, which may be done from any thread. It needs
// CAP_NET_RAW in that namespace.
func (p *Program) Open(slot uint32) (*Socket, error) {
	entry, err := p.entry(slot)
	if err != nil {
		return nil, fmt.Errorf("load entry program of slot %d: %w", slot, err)
	}
	defer entry.Close() // the socket holds it
	// Protocol 0: no packet is shown to the socket before its filter is attached.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, Explain(fmt.Errorf("open packet socket: %w", err))
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, entry.FD()); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("attach capture program: %w", err)
	}
	return &Socket{fd: fd}, nil
}

// cbOffset is where __sk_buff.cb is (linux/bpf.h): room for programs to pass something on.
const cbOffset = 48

// entry is the program that a socket runs. It knows its slot as a constant and jumps to the
// capture program: six instructions instead of 2,000 to verify for each interface.
func (p *Program) entry(slot uint32) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:    "entry",
		Type:    ebpf.SocketFilter,
		License: "Dual BSD/GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R2, int32(slot)),
			asm.StoreMem(asm.R1, cbOffset, asm.R2, asm.Word),
			asm.LoadMapPtr(asm.R2, p.objs.Programs.FD()),
			asm.Mov.Imm(asm.R3, 0),
			asm.FnTailCall.Call(),
			asm.Mov.Imm(asm.R0, 0), // keep nothing
			asm.Return(),
		},
	})
}

// Bind begins the capture of a device, which may be down: it is captured as soon as it is up,
// and again after it was down. ignoreOutgoing spares the kernel the copies of sent packets,
// for lo and for a target that is InboundOnly.
func (s *Socket) Bind(ifindex uint32, ignoreOutgoing bool) error {
	if ignoreOutgoing {
		// Since Linux 4.20; the program leaves them out by itself, too.
		_ = unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8
	err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: int(ifindex)})
	if err != nil {
		return fmt.Errorf("bind packet socket to interface %d: %w", ifindex, err)
	}
	return nil
}

// Close ends the capture. When it returns, the program no longer runs for this socket. It
// waits for the kernel about 12 ms: close many in parallel.
func (s *Socket) Close() error {
	if err := unix.Close(s.fd); err != nil {
		return fmt.Errorf("close packet socket: %w", err)
	}
	return nil
}
