package mysql

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/sshark/sshark/dissect"
)

var long = strings.Repeat("x", 30_000)

const all = ^uint32(0) &^ (capCompress | capZstd | capLenencAuth | deprecateEOF)

var conversations = []struct {
	name  string
	steps []step
	want  []string
}{
	{"query", []step{c(query("select 1")), s(table(1, 2, "1"))}, []string{"select 1 -> OK"}},
	{"query without EOF", []step{c(query("select 1")), s(shortTable(1, 2, "1"))}, []string{"select 1 -> OK"}},
	{"nothing found", []step{c(query("select 1")), s(table(1, 2)), c(query("select 2")), s(shortTable(1, 2))}, []string{"select 1 -> OK", "select 2 -> OK"}},
	{"many rows", []step{c(query("select 1")), s(table(1, 2, make([]string, 600)...)), c(pkt(0, comPing)), s(ok(1, 2))}, []string{"select 1 -> OK", "ping -> OK"}},
	{"login", []step{s(greeting(all)), c(loginAs(0, "shop", "orders")), s(ok(2, 2)), c(query("select 1")), s(table(1, 2, "1")), c(pkt(0, comQuit))},
		[]string{"login shop orders -> OK", "select 1 -> OK", "quit"}},
	{"login is refused", []step{s(greeting(all)), c(loginAs(0, "shop", "")), s(failure(2, 1045, "Access denied"))}, []string{"!login shop -> 1045"}},
	{"login another way", []step{s(greeting(all)), c(loginAs(0, "shop", "")), s(pkt(2, packetEOF, "caching_sha2_password\x00salt")), c(pkt(3, "hash")), s(pkt(4, 1, 4)), c(pkt(5, "secret")), s(ok(6, 2)), c(pkt(0, comPing)), s(ok(1, 2))},
		[]string{"login shop -> OK", "ping -> OK"}},
	{"too many connections", []step{s(pkt(0, packetError, uint16(1040), "Too many connections"))}, []string{"<!error Too many connections"}},
	{"error", []step{c(query("selec")), s(failure(1, 1064, "You have an error")), c(query("select 1")), s(table(1, 2))}, []string{"!selec -> 1064", "select 1 -> OK"}},
	{"error among rows", []step{c(query("select 1")), s(pkt(1, 1) + column(2) + eof(3, 2) + row(4, "1") + failure(5, 1317, "interrupted")), c(query("select 2")), s(table(1, 2))}, []string{"!select 1 -> 1317", "select 2 -> OK"}},
	{"several results", []step{c(query("call p()")), s(table(1, 2|moreResults, "1") + ok(6, 2|moreResults)), s(table(7, 2|moreResults, "2") + ok(12, 2)), c(query("x")), s(failure(1, 1064, ""))}, []string{"call p() -> OK", "!x -> 1064"}},
	{"several results, the last one fails", []step{c(query("a; b")), s(ok(1, 2|moreResults) + failure(2, 1064, "no")), c(pkt(0, comPing)), s(ok(1, 2))}, []string{"!a; b -> 1064", "ping -> OK"}},
	{"prepared", []step{
		c(prepare("select ?")), s(prepared(7, true)), c(execute(7)), s(pkt(1, 1) + column(2) + eof(3, 2) + pkt(4, 0, 0, "\x011") + eof(5, 2)),
		c(execute(7)), s(failure(1, 1210, "Incorrect arguments")), c(pkt(0, comLongData, uint32(7), uint16(0), "data") + pkt(0, comStmtReset, uint32(7))), s(ok(1, 2)),
		c(pkt(0, comStmtClose, uint32(7)) + execute(7)), s(failure(1, 1243, "Unknown prepared statement")),
	}, []string{"prepare select ? -> OK", "select ? -> OK", "!select ? -> 1210", "stmt send long data #7", "stmt reset #7 -> OK", "stmt close #7", "!stmt execute #7 -> 1243"}},
	{"prepared without EOF", []step{s(greeting(all | deprecateEOF)), c(loginAs(all|deprecateEOF, "u", "d")), s(ok(2, 2)), c(prepare("select ?")), s(prepared(7, false)), c(execute(7)), s(shortTable(1, 2, "1"))},
		[]string{"login u d -> OK", "prepare select ? -> OK", "select ? -> OK"}},
	{"prepared in the middle", []step{c(prepare("select ?")), s(prepared(7, false)), c(execute(7)), s(shortTable(1, 2, "1"))}, []string{"prepare select ? -> OK", "select ? -> OK"}},
	{"prepared without parameters", []step{c(prepare("begin")), s(pkt(1, 0, uint32(3), uint16(0), uint16(0), 0, uint16(0))), c(execute(3)), s(ok(1, 2))}, []string{"prepare begin -> OK", "begin -> OK"}},
	{"prepared in vain", []step{c(prepare("selec")), s(failure(1, 1064, "no"))}, []string{"!prepare selec -> 1064"}},
	{"prepared and run at once", []step{c(prepare("select ?") + execute(lastPrepared)), s(prepared(7, true) + table(1, 2, "1"))}, []string{"prepare select ? -> OK", "select ? -> OK"}},
	{"pipeline", []step{c(query("insert 1") + query("insert 2") + query("selec")), s(ok(1, 2) + ok(1, 2) + failure(1, 1064, "no"))}, []string{"insert 1 -> OK", "insert 2 -> OK", "!selec -> 1064"}},
	{"cursor", []step{c(prepare("select ?")), s(prepared(7, true)), c(execute(7)), s(pkt(1, 1) + column(2) + eof(3, 2|cursorExists)), c(pkt(0, comFetch, uint32(7), uint32(10))), s(pkt(1, 0, 0, "\x011") + eof(2, 0x82))},
		[]string{"prepare select ? -> OK", "select ? -> OK", "stmt fetch #7 -> OK"}},
	{"columns that are known", []step{c(execute(1)), s(pkt(1, 1, 0) + eof(2, 2) + pkt(3, 0, 0, "\x011") + eof(4, 2)), c(pkt(0, comPing)), s(ok(1, 2))}, []string{"stmt execute #1 -> OK", "ping -> OK"}},
	{"file", []step{c(query("load data local infile 'x'")), s(pkt(1, packetInfile, "x")), c(pkt(2, "1,2\n") + pkt(3, "3,4\n") + pkt(4)), s(ok(5, 2)), c(pkt(0, comPing)), s(ok(1, 2))}, []string{"load data local infile 'x' -> OK", "ping -> OK"}},
	{"other commands", []step{c(pkt(0, comInitDB, "shop")), s(ok(1, 2)), c(pkt(0, comStatistics)), s(pkt(1, "Uptime: 7")), c(pkt(0, comFieldList, "t\x00")), s(column(1) + eof(2, 2)),
		c(pkt(0, comProcessInfo)), s(table(1, 2, "7")), c(pkt(0, 0x1b, uint16(0))), s(eof(1, 2)), c(pkt(0, comReset)), s(ok(1, 2)), c(pkt(0, 0x30, "x")), s(failure(1, 1047, "Unknown command")), c(pkt(0, comPing)), s(ok(1, 2))},
		[]string{"init db shop -> OK", "statistics -> OK", "field list t -> OK", "process info -> OK", "set option -> OK", "reset connection -> OK", "!48 -> 1047", "ping -> OK"}},
	{"another user", []step{c(pkt(0, comChangeUser, "other\x00\x03abcshop\x00")), s(pkt(1, packetEOF, "mysql_native_password\x00salt")), c(pkt(2, "hash")), s(ok(3, 2)), c(pkt(0, comPing)), s(ok(1, 2))}, []string{"change user other -> OK", "ping -> OK"}},
	{"attributes", []step{c(pkt(0, comQuery, 0, 1, "select 1")), s(table(1, 2))}, []string{"select 1 -> OK"}},
	{"attributes with values", []step{s(greeting(all)), c(loginAs(all, "u", "d")), s(ok(2, 2)), c(pkt(0, comQuery, 2, 1, 0, 1, "\x03\x00\x01n\x0f\x00\x01s", uint32(7), "\x03abc", "select 1")), s(table(1, 2))}, []string{"login u d -> OK", "select 1 -> OK"}},
	{"progress", []step{c(query("alter table t")), s(pkt(1, packetError, uint16(progressReport), 1, 1, 2, "abc", "\x05stage") + ok(2, 2))}, []string{"alter table t -> OK"}},
	{"replica", []step{c(pkt(0, comBinlogDump, uint32(4), uint16(0), uint32(2), "bin.1")), s(pkt(1, 0, "event") + pkt(2, 0, "event"))}, []string{"~binlog dump -> "}},
	{"large", []step{c(query("insert '" + long + "'")), s(ok(1, 2)), c(query("select 1")), s(table(1, 2, long, long))}, []string{"insert '" + long[:192] + "… -> OK", "select 1 -> OK"}},
	{"no response", []step{c(query("select 1"))}, []string{"select 1"}},
	{"end of another response", []step{c(query("select 1")), s(eof(9, 2)), s(table(1, 2))}, []string{"select 1 -> OK"}},
}

func TestCalls(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunk := range []int{0, 1, 2, 3, 5, 7, 100} {
				k := &sink{TB: t}
				if err := run(k, tt.steps, chunk); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(k.Calls, tt.want) {
					t.Fatalf("in pieces of %d: got\n%s\nwant\n%s", chunk, strings.Join(k.Calls, "\n"), strings.Join(tt.want, "\n"))
				}
			}
		})
	}
}

// compressed wraps bytes in packets of a compressed connection.
func compressed(t testing.TB, how method, seq byte, data string) string {
	wrap := func(payload []byte, size int) string {
		n := len(payload)
		return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq, byte(size), byte(size >> 8), byte(size >> 16)}) + string(payload)
	}
	var b bytes.Buffer
	switch how {
	case zlibbed:
		w := zlib.NewWriter(&b)
		w.Write([]byte(data))
		w.Close()
	case zstded:
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(data))
		w.Close()
	default:
		return wrap([]byte(data), 0)
	}
	return wrap(b.Bytes(), len(data))
}

func TestCompressed(t *testing.T) {
	for how, bit := range map[method]uint32{zlibbed: capCompress, zstded: capZstd} {
		z := func(seq byte, data string) string { return compressed(t, how, seq, data) }
		table := table(1, 2, long, "2")
		start := []step{s(greeting(all | bit)), c(loginAs(bit, "u", "")), s(ok(2, 2))}
		queries := []step{c(compressed(t, plain, 0, query("select 1"))), s(z(1, table[:1000]) + z(2, table[1000:])),
			c(z(0, query("insert '"+long+"'"))), s(compressed(t, plain, 1, ok(1, 2))),
			c(z(0, query("select 2 from a table with a long name, so that it is compressed"))), s(z(1, table))}
		want := []string{"login u -> OK", "select 1 -> OK", "insert '" + long[:192] + "… -> OK", "select 2 from a table with a long name, so that it is compressed -> OK"}
		for _, chunk := range []int{0, 1, 7, 1000} {
			k := &sink{TB: t}
			if err := run(k, append(slices.Clone(start), queries...), chunk); err != nil || !slices.Equal(k.Calls, want) {
				t.Errorf("in pieces of %d: %v\n%s", chunk, err, strings.Join(k.Calls, "\n"))
			}
		}
		for i := 0; i < len(queries); i += 2 { // from the middle
			k := &sink{TB: t}
			if err := run(k, queries[i:], 0); err != nil || !slices.Equal(k.Calls, want[1+i/2:]) {
				t.Errorf("from %d: %v\n%s", i, err, strings.Join(k.Calls, "\n"))
			}
		}
	}
}

// TestBomb: what is too large for its packet is not undone beyond what the header says.
func TestBomb(t *testing.T) {
	k := &sink{TB: t}
	big := strings.Repeat("\x00", 32<<20)
	bomb := []byte(compressed(t, zlibbed, 1, big))
	copy(bomb[4:7], "\x10\x00\x00")
	steps := []step{c(compressed(t, plain, 0, query("select 1"))), s(string(bomb)), c(compressed(t, plain, 0, query("select 2"))), s(compressed(t, plain, 1, table(1, 2, "1")))}
	if err := run(k, steps, 0); err != nil || len(k.Calls) != 2 {
		t.Errorf("%v %q", err, k.Calls)
	}
	p := newParser(&sink{})
	p.Data(0, []byte(steps[0].Data), dissect.Stamp{Time: 1})
	for range 200 {
		p.Data(1, []byte("\xff\xff\xff\x01\xff\xff\xff"+long), dissect.Stamp{Time: 2})
	}
	if n := cap(p.half[1].unwrap.buf); n > 2*maxCompressed {
		t.Errorf("%d bytes are held", n)
	}
}

func TestSwitch(t *testing.T) {
	k := &sink{TB: t}
	steps := []step{s(greeting(all)), c(pkt(1, uint32(capTLS|capProtocol41), uint32(1<<24), 8, strings.Repeat("\x00", 23)) + "\x16\x03")}
	if err := run(k, steps, 0); err != nil || !k.Switched || k.Next != "tlsx" || k.Rest != "\x16\x03" || len(k.Calls) > 0 {
		t.Errorf("%v %+v", err, k)
	}
}

func TestLoss(t *testing.T) {
	big := table(1, 2, long, long)
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"in a query", []step{c(query("select '" + long + "'")[:100]), cgap(20_000), c(query("select '" + long + "'")[20_100:]), s(table(1, 2))}, []string{"~select '" + long[:87] + " -> "}},
		{"in a row", []step{c(query("select 1")), s(big[:1000]), sgap(20_000), s(big[21_000:]), c(query("select 2")), s(table(1, 2))}, []string{"~select 1 -> ", "select 2 -> OK"}},
		{"of rows, the end is seen", []step{c(query("select 1")), s(big[:1000]), sgap(0), s(big[50_000:]), c(query("select 2")), s(table(1, 2))}, []string{"~select 1 -> ", "select 2 -> OK"}},
		{"of rows and the end", []step{c(query("select 1")), s(big[:1000]), sgap(0), s(big[50_000:51_000]), c(query("select 2")), s(table(1, 2))}, []string{"~select 1 -> ", "select 2 -> OK"}},
		{"of a response", []step{c(query("select 1")), c(query("select 2")), sgap(0), s(table(1, 2))}, []string{"~select 1", "~select 2 -> "}},
		{"of a command", []step{c(query("select 1")), s(ok(1, 2)), cgap(14), s(table(1, 2)), c(query("select 2")), s(table(1, 2))}, []string{"select 1 -> OK", "select 2 -> OK"}},
		{"garbage before", []step{s("rows"), c("lect 1"), c(query("select 2")), s(table(1, 2))}, []string{"select 2 -> OK"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &sink{TB: t}
			steps := tt.steps
			for range patient { // by one that waits for each response
				if steps[0].Dir == 0 {
					steps = append([]step{c(query("select 0")), s(ok(1, 2))}, steps...)
				}
			}
			if err := run(k, steps, 0); err != nil {
				t.Fatal(err)
			}
			k.Calls = k.Calls[(len(steps)-len(tt.steps))/2:]
			if !slices.Equal(k.Calls, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(k.Calls, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestNamesCut: what a session is known by is not told by half, nor an error that nothing is left of.
func TestNamesCut(t *testing.T) {
	login, use, no := loginAs(0, "shop", "orders"), pkt(0, comInitDB, "orders"), failure(1, 1064, "no")
	k := &sink{TB: t}
	steps := []step{s(greeting(all)), c(login[:38]), cgap(int64(len(login) - 38)), s(ok(2, 2)), c(use[:8]), cgap(int64(len(use) - 8)), s(ok(1, 2)), c(query("x")), s(no[:5]), sgap(int64(len(no) - 5)),
		c(query("y")), s(no[:8]), sgap(int64(len(no) - 8)), c(query("select 2")), s(table(1, 2))}
	named := 0
	k.Each = func(c *dissect.Call) {
		if e := c.Message.(*exchange); len(e.user)+len(e.database)+len(e.message) > 0 {
			named++
		}
	}
	if err := run(k, steps, 0); err != nil || named > 0 {
		t.Errorf("%v, %d calls have a name", err, named)
	}
	if want := []string{"~login -> ", "~init db ord -> ", "~!x -> error", "~!y -> 1064", "select 2 -> OK"}; !slices.Equal(k.Calls, want) {
		t.Errorf("got %q, want %q", k.Calls, want)
	}
}

func TestNotMine(t *testing.T) {
	k := &sink{TB: t}
	junk := "\xff\xff\xff\xff\x04\x05\x06\x07"
	if err := run(k, []step{c(junk), s(junk), c(query("x")), s(junk), c(junk), s(junk), c("\x00\x00\x00\x00"), s(junk)}, 0); err != nil && !errors.Is(err, dissect.ErrNotMine) || len(k.Calls) > 1 {
		t.Errorf("got %v, %q", err, k.Calls)
	}
}

// TestLate: a response that was read before its command finds it.
func TestLate(t *testing.T) {
	k := &sink{TB: t}
	p := newParser(k)
	at := func(ms int64) dissect.Stamp { return dissect.Stamp{Time: ms * 1e6} }
	p.Data(0, []byte(query("select 1")), at(1))
	p.Data(1, []byte(table(1, 2)), at(2))
	p.Data(1, []byte(table(1, 2)), at(4))
	p.Data(0, []byte(query("select 2")), at(3))
	p.Data(1, []byte(failure(1, 1064, "no")), at(6))
	p.Data(0, []byte(query("select 3")), at(5))
	p.Data(0, []byte(query("select 4")), at(7))
	p.Data(1, []byte(table(1, 2)), at(8))
	p.Close(at(9))
	if want := []string{"select 1 -> OK", "select 2 -> OK", "!select 3 -> 1064", "select 4 -> OK"}; !slices.Equal(k.Calls, want) {
		t.Errorf("got %q", k.Calls)
	}
}

func TestFields(t *testing.T) {
	k := &sink{TB: t}
	steps := []step{s(greeting(all)), c(loginAs(0, "shop", "")), s(ok(2, 2)), c(query("use `orders`;")), s(ok(1, 2)), c(prepare("select ?")), s(prepared(7, true)), c(execute(7)), s(failure(1, 1146, "no such \"table\""))}
	if err := run(k, steps, 0); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"mysql_user":"shop","mysql_success":true,"mysql_request_size":67,"mysql_response_size":11,"mysql_total_size":78}`,
		"{\"mysql_command\":\"COM_QUERY\",\"mysql_query\":\"use `orders`;\",\"mysql_user\":\"shop\",\"mysql_database\":\"orders\",\"mysql_success\":true,\"mysql_request_size\":18,\"mysql_response_size\":11,\"mysql_total_size\":29}",
		`{"mysql_command":"COM_STMT_PREPARE","mysql_query":"select ?","mysql_statement_id":7,"mysql_user":"shop","mysql_database":"orders","mysql_success":true,"mysql_request_size":13,"mysql_response_size":88,"mysql_total_size":101}`,
		`{"mysql_command":"COM_STMT_EXECUTE","mysql_query":"select ?","mysql_statement_id":7,"mysql_user":"shop","mysql_database":"orders","mysql_success":false,"mysql_error_code":1146,"mysql_error_message":"no such \"table\"","mysql_request_size":14,"mysql_response_size":28,"mysql_total_size":42}`,
	}
	if !slices.Equal(k.Lines, want) {
		t.Errorf("got\n%s", strings.Join(k.Lines, "\n"))
	}
}

func TestTimes(t *testing.T) {
	n := 0
	k := &sink{TB: t, Each: func(c *dissect.Call) {
		n++
		if c.Time != 1 || c.RequestEnd != 2 || c.ResponseStart != 3 || c.ResponseEnd != 4 || c.RequestSize != 13 || c.ResponseSize != uint64(len(table(1, 2, "1"))) {
			t.Errorf("%+v", c)
		}
	}}
	p := newParser(k)
	p.Data(0, []byte(query("select 1")[:7]), dissect.Stamp{Time: 1})
	p.Data(0, []byte(query("select 1")[7:]), dissect.Stamp{Time: 2})
	p.Data(1, []byte(table(1, 2, "1")[:3]), dissect.Stamp{Time: 3})
	p.Data(1, []byte(table(1, 2, "1")[3:]), dissect.Stamp{Time: 4})
	if n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestLimits(t *testing.T) {
	at := dissect.Stamp{Time: 1}
	k := &sink{}
	p := newParser(k)
	for range maxPending + 5 {
		p.Data(0, []byte(query("x")), at)
	}
	if len(k.Calls) < 5 || p.pending.Len() > maxPending {
		t.Errorf("%d calls, %d wait", len(k.Calls), p.pending.Len())
	}
	k = &sink{Limit: 1 << 20}
	p = newParser(k)
	for range 8 {
		p.Data(0, []byte(query(strings.Repeat(long, 40))), at)
	}
	if n := p.pending.Kept(); n > maxKept || len(k.Calls) == 0 {
		t.Errorf("%d bytes are held, %d calls", n, len(k.Calls))
	}
	p = newParser(&sink{})
	for i := range uint32(3 * maxStatements) {
		p.Data(0, []byte(prepare(long[:2000])), at)
		p.Data(1, []byte(prepared(i, false)), at)
	}
	if s := &p.statements; len(s.byID) > maxStatements || s.bytes > maxPrepared || len(s.order) > 2*maxStatements || len(s.byID) == 0 {
		t.Errorf("%d statements, %d numbers, %d bytes", len(s.byID), len(s.order), s.bytes)
	}
}

func TestBodies(t *testing.T) {
	var got []string
	k := &sink{TB: t, Limit: 20, Each: func(c *dissect.Call) {
		for part := range 2 {
			if b := c.Message.Body(part); b != nil {
				mark := ""
				if b.Truncated {
					mark = "~"
				}
				got = append(got, mark+string(b.Data))
			}
		}
	}}
	steps := []step{c(query("select 1")), s(pkt(1, 3) + column(2) + column(3) + column(4) + row(5, "1", "NULL", "b") + row(6, "2", "", "c") + okEOF(7, 2)),
		c(query("load data local infile 'x'")), s(pkt(1, packetInfile, "x")), c(pkt(2, "1,2\n") + pkt(3, "3,4\n") + pkt(4)), s(ok(5, 2))}
	if err := run(k, steps, 0); err != nil {
		t.Fatal(err)
	}
	if want := []string{"select 1", "1\t\\N\tb\n2\t\tc\n", "1,2\n3,4\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// What is beyond the limit is cut, and said to be.
	got = nil
	if err := run(k, []step{c(query("select '" + long + "'")), s(table(1, 2, long))}, 0); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got[0]) != 1+20 || got[0][0] != '~' || got[1][0] != '~' || len(got[1]) > 1+20 {
		t.Errorf("%d bodies", len(got))
	}
}
