package mysql

import (
	"bytes"
	"encoding/binary"
	"unsafe"
)

const (
	headerSize = 4 // of a packet: its length and its number
	maxPacket  = 1<<24 - 1
)

// Capabilities that change what is on the wire.
const (
	capConnectWithDB = 1 << 3
	capCompress      = 1 << 5
	capProtocol41    = 1 << 9
	capTLS           = 1 << 11
	capSecure        = 1 << 15
	capLenencAuth    = 1 << 21
	capZstd          = 1 << 26
	capAttributes    = 1 << 27
)

// Status flags.
const (
	moreResults  = 0x0008
	cursorExists = 0x0040
)

// What a response packet begins with.
const (
	packetOK     = 0x00
	packetInfile = 0xfb
	packetEOF    = 0xfe
	packetError  = 0xff
)

// Commands that are treated in a way of their own.
const (
	comQuit         = 0x01
	comInitDB       = 0x02
	comQuery        = 0x03
	comFieldList    = 0x04
	comStatistics   = 0x09
	comProcessInfo  = 0x0a
	comPing         = 0x0e
	comChangeUser   = 0x11
	comBinlogDump   = 0x12
	comTableDump    = 0x13
	comPrepare      = 0x16
	comExecute      = 0x17
	comLongData     = 0x18
	comStmtClose    = 0x19
	comStmtReset    = 0x1a
	comFetch        = 0x1c
	comBinlogGTID   = 0x1e
	comReset        = 0x1f
	comBulkExecute  = 0xfa // of MariaDB
	lastPrepared    = 0xffffffff
	progressReport  = 0xffff // the code of an error that is none, of MariaDB
	protocolVersion = 10
)

// names are those of the commands.
var names = [256]string{
	"COM_SLEEP", "COM_QUIT", "COM_INIT_DB", "COM_QUERY", "COM_FIELD_LIST", "COM_CREATE_DB", "COM_DROP_DB", "COM_REFRESH",
	"COM_SHUTDOWN", "COM_STATISTICS", "COM_PROCESS_INFO", "COM_CONNECT", "COM_PROCESS_KILL", "COM_DEBUG", "COM_PING", "COM_TIME",
	"COM_DELAYED_INSERT", "COM_CHANGE_USER", "COM_BINLOG_DUMP", "COM_TABLE_DUMP", "COM_CONNECT_OUT", "COM_REGISTER_SLAVE",
	"COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_STMT_SEND_LONG_DATA", "COM_STMT_CLOSE", "COM_STMT_RESET", "COM_SET_OPTION",
	"COM_STMT_FETCH", "COM_DAEMON", "COM_BINLOG_DUMP_GTID", "COM_RESET_CONNECTION", "COM_CLONE",
	0x21: "COM_SUBSCRIBE_GROUP_REPLICATION_STREAM", comBulkExecute: "COM_STMT_BULK_EXECUTE",
}

// packetLen is the length that a header tells.
func packetLen(header []byte) int {
	return int(header[0]) | int(header[1])<<8 | int(header[2])<<16
}

// lenenc reads a length-encoded integer; ok is false where it is none or cut.
func lenenc(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	size := 0
	switch b[0] {
	case 0xfc:
		size = 2
	case 0xfd:
		size = 3
	case 0xfe:
		size = 8
	case 0xfb, 0xff:
		return 0, b, false
	default:
		return uint64(b[0]), b[1:], true
	}
	if len(b) < 1+size {
		return 0, b, false
	}
	var mem [8]byte
	copy(mem[:], b[1:1+size])
	return binary.LittleEndian.Uint64(mem[:]), b[1+size:], true
}

// lenstr reads a length-encoded string; it may be cut.
func lenstr(b []byte) (s, rest []byte, ok bool) {
	n, rest, ok := lenenc(b)
	if !ok {
		return nil, rest, false
	}
	n = min(n, uint64(len(rest)))
	return rest[:n], rest[n:], true
}

// cstring is the string that b begins with, up to a zero byte or the end.
func cstring(b []byte) (s, rest []byte) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// name is cstring of what the session is known by later: one whose end was cut off is not known.
func name(b []byte, cut bool) (s, rest []byte) {
	if s, rest = cstring(b); cut && len(rest) == 0 {
		return nil, nil
	}
	return s, rest
}

// text says whether b is text.
func text(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' {
			return false
		}
	}
	return true
}

// view is a string of the same bytes, for as long as they stay.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// status reads the status flags of an OK or EOF packet.
func status(b []byte) (flags uint16, ok bool) {
	if b[0] == packetEOF && len(b) == 5 {
		return binary.LittleEndian.Uint16(b[3:]), true
	}
	_, rest, ok1 := lenenc(b[1:])
	_, rest, ok2 := lenenc(rest)
	if !ok1 || !ok2 || len(rest) < 2 {
		return 0, false
	}
	return binary.LittleEndian.Uint16(rest), true
}

// queryText is the text of a query behind its attributes, if there are any (MySQL 8: numbers of
// parameters and of sets of them).
func queryText(b []byte, attributes bool) []byte {
	if len(b) > 0 && b[0] == 0 {
		return b[min(len(b), 2):]
	}
	if !attributes {
		return b
	}
	n, rest, ok := lenenc(b)
	_, rest, ok2 := lenenc(rest)
	if !ok || !ok2 {
		return nil
	}
	if n == 0 || n > 1000 {
		return b
	}
	skip := int(n+7)/8 + 1
	if len(rest) < skip {
		return nil
	}
	nulls, rest := rest[:skip-1], rest[skip:]
	var kinds [1000]byte
	for i := range n {
		if len(rest) < 2 {
			return nil
		}
		kinds[i] = rest[0]
		if _, rest, ok = lenstr(rest[2:]); !ok {
			return nil
		}
	}
	for i := range n {
		if nulls[i/8]>>(i%8)&1 == 1 {
			continue
		}
		size := valueSize(kinds[i])
		if size < 0 {
			if _, rest, ok = lenstr(rest); !ok {
				return nil
			}
			continue
		}
		if len(rest) < size {
			return nil
		}
		rest = rest[size:]
	}
	return rest
}

// valueSize is how long a binary value of a type is, -1: its length stands before it.
func valueSize(kind byte) int {
	switch kind {
	case 0x06: // NULL
		return 0
	case 0x01:
		return 1
	case 0x02, 0x0d:
		return 2
	case 0x03, 0x04, 0x09:
		return 4
	case 0x05, 0x08:
		return 8
	}
	return -1
}
