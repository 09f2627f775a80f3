package mysql

import (
	"encoding/binary"
	"strings"

	"github.com/sshark/sshark/dissect/cuttest"
)

type (
	sink = cuttest.Script
	step = cuttest.Step
)

var (
	c = cuttest.Client
	s = cuttest.Server
)

func cgap(n int64) step { return cuttest.Missing(0, n) }
func sgap(n int64) step { return cuttest.Missing(1, n) }

// run plays steps; see cuttest.Script.
func run(k *sink, steps []step, chunk int) error { return k.Play(newParser(k), steps, chunk) }

// pkt is a packet: its number, and a payload put together from strings (which end where they
// end), bytes, and numbers of one, two (uint16) and four bytes (uint32).
func pkt(seq byte, parts ...any) string {
	b := []byte{0, 0, 0, seq}
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case byte:
			b = append(b, p)
		case int:
			b = append(b, byte(p))
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, p)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, p)
		}
	}
	n := len(b) - headerSize
	b[0], b[1], b[2] = byte(n), byte(n>>8), byte(n>>16)
	return string(b)
}

func query(text string) string   { return pkt(0, comQuery, text) }
func prepare(text string) string { return pkt(0, comPrepare, text) }
func execute(id uint32) string   { return pkt(0, comExecute, id, 0, uint32(1)) }
func ok(seq byte, flags uint16) string {
	return pkt(seq, 0, 0, 0, flags, uint16(0))
}
func eof(seq byte, flags uint16) string { return pkt(seq, packetEOF, uint16(0), flags) }

// okEOF is what stands for an EOF where both sides agreed on that.
func okEOF(seq byte, flags uint16) string { return pkt(seq, packetEOF, 0, 0, flags, uint16(0)) }

func failure(seq byte, code uint16, text string) string {
	return pkt(seq, packetError, code, "#42000"+text)
}

func column(seq byte) string {
	return pkt(seq, "\x03def\x00\x00\x00\x011\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00")
}

// row is one of a query.
func row(seq byte, columns ...string) string {
	var b []byte
	for _, c := range columns {
		switch {
		case c == "NULL":
			b = append(b, 0xfb)
		case len(c) < 0xfb:
			b = append(append(b, byte(len(c))), c...)
		default:
			b = append(append(b, 0xfd, byte(len(c)), byte(len(c)>>8), byte(len(c)>>16)), c...)
		}
	}
	return pkt(seq, string(b))
}

// table is a result of one column, with its EOFs.
func table(seq byte, flags uint16, values ...string) string {
	s := pkt(seq, 1) + column(seq+1) + eof(seq+2, flags)
	seq += 3
	for _, v := range values {
		s += row(seq, v)
		seq++
	}
	return s + eof(seq, flags)
}

// shortTable is one without the EOF behind the columns.
func shortTable(seq byte, flags uint16, values ...string) string {
	s := pkt(seq, 1) + column(seq+1)
	seq += 2
	for _, v := range values {
		s += row(seq, v)
		seq++
	}
	return s + okEOF(seq, flags)
}

// prepared is the response to a COM_STMT_PREPARE with a parameter and a column.
func prepared(id uint32, ends bool) string {
	s := pkt(1, 0, id, uint16(1), uint16(1), 0, uint16(0)) + column(2)
	if ends {
		return s + eof(3, 2) + column(4) + eof(5, 2)
	}
	return s + column(3)
}

func greeting(caps uint32) string {
	return pkt(0, protocolVersion, "8.0.36\x00", uint32(7), "12345678\x00", uint16(caps), 8, uint16(2), uint16(caps>>16), 21,
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "123456789012\x00", "mysql_native_password\x00")
}

func loginAs(caps uint32, user, database string) string {
	caps |= capProtocol41 | capSecure
	s := user + "\x00" + "\x03abc"
	if database != "" {
		caps |= capConnectWithDB
		s += database + "\x00"
	}
	return pkt(1, caps, uint32(1<<24), 8, strings.Repeat("\x00", 23), s+"mysql_native_password\x00")
}

const deprecateEOF = 1 << 24
