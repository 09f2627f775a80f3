// Package snapshot reads and writes snapshots: an immutable window of packets, one file that can
// be carried away. It owns the format, and no place where snapshots are kept.
//
// # Format
//
// A snapshot is a tar (POSIX ustar or pax) within gzip. Its entries are plain files without
// folders, in this order:
//
//	manifest.json   what the snapshot is: Manifest
//	names.json      who each address was, and from when on: an array of Named
//	NODE.pcapng     one for each node of the manifest that has a file, in the manifest's order
//
// The manifest says the format's version and the exact size, packets and bytes of each node's
// file, so that whoever takes one from a stranger knows before the packets come what there is to
// come. Times are RFC 3339 in UTC. Each NODE.pcapng is whole by itself: it names its pods, and
// opens in Wireshark.
//
// # Errors
//
// What is read may come from anybody. A Reader takes one entry after another and holds no file
// in memory; whatever the input claims it takes less than 64 MiB. It refuses, with a reason for
// the one who brought it: ErrFormat, no snapshot; ErrVersion, of another version; ErrUnsafe, an
// entry that does not belong here (a path, a link, a device, a double); ErrTooLarge, more than
// Limits allow, or too much out of too little; ErrTruncated, the end is missing; ErrManifest, the
// manifest does not fit the files. All are final. Errors of the io.Reader are wrapped.
//
// Readers and writers are used by one goroutine at a time.
package snapshot

import (
	"errors"
	"regexp"
)

// FormatVersion is what Write writes, and the only version that is read.
const FormatVersion = 1

// Names of the entries that are in every snapshot, and what those of nodes end in.
const (
	manifestFile = "manifest.json"
	namesFile    = "names.json"
	packetsExt   = ".pcapng"
)

// Bounds of a snapshot, whatever Limits say.
const (
	maxManifest = 4 << 20  // bytes
	maxNodes    = 5000     // of a manifest
	maxNames    = 16 << 20 // bytes of names.json; what does not fit is in the packets' files all the same
	maxNamed    = 64 << 10 // bytes of one record of it
	maxPadding  = 1 << 20  // bytes behind the last entry
)

// Limits bound what a Reader takes.
type Limits struct {
	Bytes int64 // of all files together, uncompressed; 0: 64 GiB
	Ratio int64 // how many bytes may come out of one; 0: 200
}

const (
	defaultBytes = 64 << 30
	defaultRatio = 200
	// ratioSlack is how many bytes come out before the ratio counts: small files may be well
	// compressed.
	ratioSlack = 16 << 20
)

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.Ratio <= 0 {
		l.Ratio = defaultRatio
	}
	return l
}

// Why a snapshot is refused.
var (
	ErrFormat    = errors.New("not a snapshot")
	ErrVersion   = errors.New("a snapshot of another version")
	ErrUnsafe    = errors.New("it holds what no snapshot does")
	ErrTooLarge  = errors.New("too large")
	ErrTruncated = errors.New("the end is missing")
	ErrManifest  = errors.New("the manifest is wrong")
)

// Names of snapshots are also names of files, on systems of all kinds.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// NameRule says what a name may be, for whoever typed another one.
const NameRule = "1 to 63 of a-z, 0-9, dot, dash and underscore, the first a letter or digit"

// ValidName says whether a snapshot may have a name.
func ValidName(name string) bool { return namePattern.MatchString(name) }
