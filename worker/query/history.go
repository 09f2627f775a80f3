package query

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/servicemap/identity"
)

// nameAt is who an address was from a time on.
type nameAt struct {
	addr  netip.Addr
	from  int64
	owner identity.Owner
}

// Bounds on what is taken from a history of names.
const (
	maxNamed       = 1 << 17
	maxNamedAt     = 1 << 16 // of one moment
	maxHistoryFile = 1 << 30 // bytes
)

// history reads the names that an archive tells of a node (archive.HistoryName): a JSON object
// of Unix seconds, each with what was known from then on: an object of addresses, also with a
// port, each with FullAddress, SERVICE.NAMESPACE, and Namespace. Keys that are no addresses
// repeat the names.
func (f *File) history(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	d := json.NewDecoder(io.LimitReader(in, maxHistoryFile))
	if err := want(d, json.Delim('{')); err != nil {
		return err
	}
	f.bare = true
	before := map[netip.Addr]identity.Owner{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		text, _ := key.(string) // of an object, keys are strings
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 || seconds > maxSecond {
			return fmt.Errorf("%q: want seconds since 1970", text)
		}
		now, err := moment(d)
		if err != nil {
			return fmt.Errorf("of %d: %w", seconds, err)
		}
		from := seconds * int64(time.Second)
		for addr := range before {
			if _, still := now[addr]; !still {
				f.names = append(f.names, nameAt{addr, from, identity.Owner{}})
			}
		}
		for addr, o := range now {
			if b, known := before[addr]; !known || !o.Equal(b) {
				f.names = append(f.names, nameAt{addr, from, o})
			}
		}
		if len(f.names) > maxNamed {
			f.notes = append(f.notes, fmt.Sprintf("a history of names is longer than %d changes: later names are not known", maxNamed))
			return nil
		}
		before = now
	}
	return want(d, json.Delim('}'))
}

// maxSecond is the last second that is an int64 in nanoseconds.
const maxSecond = (1<<63 - 1) / int64(time.Second)

// moment reads what was known at one time.
func moment(d *json.Decoder) (map[netip.Addr]identity.Owner, error) {
	if err := want(d, json.Delim('{')); err != nil {
		return nil, err
	}
	out := map[netip.Addr]identity.Owner{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var v struct{ FullAddress, Namespace string }
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		if json.Unmarshal(raw, &v) != nil || v.FullAddress == "" {
			continue // null, or what a later version says
		}
		text, _ := key.(string)
		id := &dissect.Identity{DNS: v.FullAddress}
		if v.Namespace != "" {
			id = &dissect.Identity{Namespace: v.Namespace, Service: strings.TrimSuffix(v.FullAddress, "."+v.Namespace)}
		}
		addr, port, ok := addressPort(text)
		if !ok || len(out) >= maxNamedAt {
			continue
		}
		o := out[addr]
		if port == 0 {
			o.Identity = id
		} else if o.Ports == nil {
			o.Ports = map[uint16]*dissect.Identity{port: id}
		} else {
			o.Ports = maps.Clone(o.Ports)
			o.Ports[port] = id
		}
		out[addr] = o
	}
	return out, want(d, json.Delim('}'))
}

// addressPort reads an address, with or without a port; IPv6 has no brackets there.
func addressPort(s string) (addr netip.Addr, port uint16, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap(), 0, true
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return addr, 0, false
	}
	a, err := netip.ParseAddr(strings.Trim(s[:i], "[]"))
	if err != nil {
		return addr, 0, false
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	return a.Unmap(), uint16(n), err == nil && n > 0
}

// want reads one token.
func want(d *json.Decoder, t json.Delim) error {
	got, err := d.Token()
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	case got != t:
		return fmt.Errorf("%v where %v should be", got, t)
	}
	return nil
}
