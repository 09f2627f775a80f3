package postgresql

import (
	"encoding/binary"

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

// msg is a message: its kind, and a payload put together from strings (which end with a zero
// byte), bytes, and numbers of two (int16) and four bytes (int).
func msg(kind byte, parts ...any) string {
	b := []byte{kind, 0, 0, 0, 0}
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(append(b, p...), 0)
		case []byte:
			b = append(b, p...)
		case byte:
			b = append(b, p)
		case int16:
			b = binary.BigEndian.AppendUint16(b, uint16(p))
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		}
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return string(b)
}

// first is a packet without a kind.
func first(code int, parts ...any) string {
	return msg(0, append([]any{code}, parts...)...)[1:]
}

func query(text string) string       { return msg('Q', text) }
func parse(name, text string) string { return msg('P', name, text, int16(0)) }
func bind(portal, name string) string {
	return msg('B', portal, name, int16(0), int16(0), int16(0))
}
func run1(portal string) string              { return msg('E', portal, 0) }
func describe(what byte, name string) string { return msg('D', what, name) }
func closes(what byte, name string) string   { return msg('C', what, name) }
func failure(code, text string) string {
	return msg('E', []byte("SERROR\x00VERROR\x00C"+code+"\x00M"+text+"\x00"), byte(0))
}
func tag(text string) string { return msg('C', text) }
func row(columns ...string) string {
	parts := []any{int16(len(columns))}
	for _, c := range columns {
		if c == "NULL" {
			parts = append(parts, -1)
			continue
		}
		parts = append(parts, len(c), []byte(c))
	}
	return msg('D', parts...)
}

var (
	syncs   = msg('S')
	flushes = msg('H')
	idle    = msg('Z', byte('I'))
	parsed  = msg('1')
	bound   = msg('2')
	closed  = msg('3')
	noData  = msg('n')
	columns = msg('T', int16(1), "id", 0, int16(0), 23, int16(4), -1, int16(0))
	types   = msg('t', int16(1), 23)
	hello   = first(versionThree, "user", "shop", "database", "orders", byte(0))
	welcome = msg('R', 0) + msg('S', "server_version", "15") + msg('K', 1, 2) + idle
)
