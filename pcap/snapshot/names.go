package snapshot

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"
)

// Named is who an address was from a time on: what a pcapng name record says, with the time.
type Named struct {
	Addr  netip.Addr `json:"address"`
	From  time.Time  `json:"from,omitzero"` // zero: from before the snapshot on
	Names []string   `json:"names"`
}

// Bounds on what a History remembers; the tables that names are learnt into have them too.
const (
	maxAddresses = 1 << 18
	maxChanges   = 64 // of one address
)

// History gathers who each address was, from several nodes. It is not safe for concurrent use.
type History struct{ of map[netip.Addr][]Named }

// Learn says what an address was called from a time on, in ns.
func (h *History) Learn(addr netip.Addr, from int64, names []string) {
	addr = addr.Unmap()
	known := h.of[addr]
	if h.of == nil {
		h.of = map[netip.Addr][]Named{}
	}
	if len(known) == 0 && len(h.of) >= maxAddresses || len(known) >= maxChanges || !addr.IsValid() {
		return
	}
	n := Named{Addr: addr.WithZone(""), From: time.Unix(0, from).UTC(), Names: slices.Clone(names)}
	i, _ := slices.BinarySearchFunc(known, n.From, func(k Named, t time.Time) int {
		return cmp.Or(k.From.Compare(t), -1) // behind those of the same time
	})
	if i > 0 && slices.Equal(known[i-1].Names, names) {
		return
	}
	known = slices.Insert(known, i, n)
	if i+1 < len(known) && slices.Equal(known[i+1].Names, names) {
		known = slices.Delete(known, i+1, i+2) // it is known from earlier on now
	}
	h.of[addr] = known
}

// WriteTo writes names.json: addresses in order, each in order of time.
func (h *History) WriteTo(w io.Writer) (int64, error) {
	b := bufio.NewWriter(w)
	n := int64(0)
	put := func(text []byte) {
		k, _ := b.Write(text) // Flush has the error
		n += int64(k)
	}
	addrs := make([]netip.Addr, 0, len(h.of))
	for a := range h.of {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	put([]byte("["))
	sep := "\n"
	for _, a := range addrs {
		for i := range h.of[a] {
			one, err := json.Marshal(&h.of[a][i])
			if err != nil {
				return n, fmt.Errorf("write names: %w", err)
			}
			if len(one) > maxNamed || n+int64(len(one)) > maxNames-16 {
				continue // the packets' own name records still have it
			}
			put([]byte(sep))
			put(one)
			sep = ",\n"
		}
	}
	put([]byte("\n]\n"))
	if err := b.Flush(); err != nil {
		return n, fmt.Errorf("write names: %w", err)
	}
	return n, nil
}

// budget fails a record that is too long before it is in memory.
type budget struct {
	r    io.Reader
	left int
}

var errBudget = errors.New("one name is too long")

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBudget
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// readNames reads names.json. A Named may be kept.
func readNames(r io.Reader, each func(Named) error) error {
	wrong := func(err error) error {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends early")
		}
		return fmt.Errorf("%w: %s: %w", ErrManifest, namesFile, err)
	}
	in := &budget{r: r, left: maxNamed}
	d := json.NewDecoder(in)
	if t, err := d.Token(); err != nil {
		return wrong(err)
	} else if t != json.Delim('[') {
		return wrong(errors.New("want a list"))
	}
	for d.More() {
		in.left = maxNamed
		var n Named
		if err := d.Decode(&n); err != nil {
			return wrong(err)
		}
		if !n.Addr.IsValid() || len(n.Names) == 0 {
			return wrong(errors.New("a record has no address or no name"))
		}
		if each != nil {
			if err := each(n); err != nil {
				return err
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return wrong(err)
	}
	return nil
}
