package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/sshark/sshark/pcap"
)

// Wireshark's editcap and mergecap want an interface first, and its programs show the last name
// of a record: what is told before the first packet stands behind that packet's interface, and the
// name to be shown is said again at the end. Who reads it here sees it once.
func TestNamesBeforePackets(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []pcap.Name{
		{Addr: netip.MustParseAddr("10.0.0.1"), Names: []string{"shop/cart-0", "ns=shop", "pod=cart-0"}},
		{Addr: netip.MustParseAddr("fd00::1"), Names: []string{"web.example"}},
	}
	for _, n := range want {
		if err := w.Name(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Secrets(7, []byte("secret")), w.Flush()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(&pcap.Packet{Time: 1, Data: []byte{1}, Length: 1, Iface: &pcap.Interface{Name: "eth0"}}), w.Flush()); err != nil {
		t.Fatal(err)
	}
	var kinds []uint32
	for b := out.Bytes(); len(b) > 0; b = b[binary.LittleEndian.Uint32(b[4:]):] {
		kinds = append(kinds, binary.LittleEndian.Uint32(b))
	}
	if !slices.Equal(kinds, []uint32{0x0a0d0d0a, 1, 4, 4, 10, 6}) {
		t.Errorf("blocks %x", kinds)
	}
	if !bytes.Contains(out.Bytes(), []byte("shop/cart-0\x00ns=shop\x00pod=cart-0\x00shop/cart-0\x00")) {
		t.Error("the last name is not the one to be shown")
	}
	var got []pcap.Name
	r, err := NewReader(&out, ReaderOptions{OnName: func(n pcap.Name) { got = append(got, n) }})
	if err != nil {
		t.Fatal(err)
	}
	var p pcap.Packet
	if err := r.Next(&p); err != nil {
		t.Fatal(err)
	}
	if err := r.Next(&p); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if !slices.EqualFunc(got, want, func(a, b pcap.Name) bool { return a.Addr == b.Addr && slices.Equal(a.Names, b.Names) }) {
		t.Errorf("%q, want %q", got, want)
	}
}
