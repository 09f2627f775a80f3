package postgresql

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

var long = strings.Repeat("x", 30_000)

var conversations = []struct {
	name  string
	steps []step
	want  []string
}{
	{"simple", []step{c(query("select 1")), s(columns + row("1") + tag("SELECT 1") + idle)}, []string{"select 1 -> SELECT 1"}},
	{"startup", []step{c(hello), s(msg('R', 5, []byte("salt"))), c(msg('p', "md5abc")), s(welcome), c(query("select 1")), s(tag("SELECT 1") + idle), c(msg('X'))},
		[]string{"startup shop orders -> OK", "select 1 -> SELECT 1"}},
	{"startup of the user's own database", []step{c(first(versionThree+2, "user", "shop", byte(0))), s(welcome)}, []string{"startup shop shop -> OK"}},
	{"startup is refused", []step{c(hello), s(msg('R', 3)), c(msg('p', "no")), s(failure("28P01", "password authentication failed"))}, []string{"!startup shop orders -> 28P01"}},
	{"several statements in one", []step{c(query("begin; insert into t values (1);\n  commit")), s(tag("BEGIN") + tag("INSERT 0 1") + tag("COMMIT") + idle)}, []string{"begin; insert into t values (1); commit -> COMMIT"}},
	{"nothing", []step{c(query("")), s(msg('I') + idle)}, []string{"-> OK"}},
	{"error", []step{c(query("select x")), s(failure("42703", "column \"x\" does not exist") + idle), c(query("select 1")), s(tag("SELECT 1") + idle)}, []string{"!select x -> 42703", "select 1 -> SELECT 1"}},
	{"notice", []step{c(query("drop table if exists t")), s(msg('N', []byte("SNOTICE\x00C00000\x00Mtable does not exist\x00"), byte(0)) + tag("DROP TABLE") + idle)}, []string{"drop table if exists t -> DROP TABLE"}},
	{"extended", []step{c(parse("", "select $1") + bind("", "") + describe('P', "") + run1("") + syncs), s(parsed + bound + columns + row("1") + tag("SELECT 1") + idle)}, []string{"select $1 -> SELECT 1"}},
	{"prepared", []step{
		c(parse("s1", "select $1") + describe('S', "s1") + syncs), s(parsed + types + columns + idle),
		c(bind("", "s1") + run1("") + syncs), s(bound + row("1") + tag("SELECT 1") + idle),
		c(bind("p", "s1") + describe('P', "p") + run1("p") + syncs), s(bound + columns + tag("SELECT 0") + idle),
		c(closes('S', "s1") + syncs), s(closed + idle),
		c(bind("", "s1") + run1("") + syncs), s(failure("26000", "prepared statement \"s1\" does not exist") + idle),
	}, []string{"prepare select $1 -> OK", "select $1 -> SELECT 1", "select $1 -> SELECT 0", "!execute s1 -> 26000"}},
	{"prepared with a flush", []step{
		c(parse("s1", "select $1") + describe('S', "s1") + flushes), s(parsed + types + noData),
		c(bind("", "s1") + run1("") + syncs), s(bound + tag("SELECT 0") + idle)}, []string{"prepare select $1 -> OK", "select $1 -> SELECT 0"}},
	{"prepared in vain", []step{c(parse("s1", "selec") + describe('S', "s1") + syncs), s(failure("42601", "syntax error") + idle)}, []string{"!prepare selec -> 42601"}},
	{"in parts", []step{c(parse("", "select 1") + bind("", "") + run1("") + syncs), s(parsed + bound + row("1") + msg('s') + idle), c(run1("") + syncs), s(row("2") + tag("SELECT 1") + idle)},
		[]string{"select 1 -> OK", "select 1 -> SELECT 1"}},
	{"pipeline", []step{c(parse("", "insert 1") + bind("", "") + run1("") + parse("", "insert 2") + bind("", "") + run1("")), c(parse("s", "insert 3") + bind("", "s") + run1("") + bind("", "s") + run1("") + syncs),
		s(parsed + bound + tag("INSERT 0 1") + parsed + bound + tag("INSERT 0 2") + parsed + bound + tag("INSERT 0 3") + bound + tag("INSERT 0 4") + idle)},
		[]string{"insert 1 -> INSERT 0 1", "insert 2 -> INSERT 0 2", "insert 3 -> INSERT 0 3", "insert 3 -> INSERT 0 4"}},
	{"pipeline with an error", []step{c(parse("", "a") + bind("", "") + run1("") + parse("", "b") + bind("", "") + run1("") + parse("", "c") + bind("", "") + run1("") + syncs + parse("", "d") + bind("", "") + run1("") + syncs),
		s(parsed + bound + tag("INSERT 0 1") + failure("42601", "no") + idle + parsed + bound + tag("INSERT 0 4") + idle)},
		[]string{"a -> INSERT 0 1", "!b -> 42601", "c", "d -> INSERT 0 4"}},
	{"batch", []step{c(parse("b", "begin") + bind("", "b") + run1("") + bind("", "b") + run1("") + closes('P', "") + syncs), s(parsed + bound + tag("BEGIN") + bound + tag("BEGIN") + closed + idle)}, []string{"begin -> BEGIN", "begin -> BEGIN"}},
	{"copy in", []step{c(query("copy t from stdin")), s(msg('G', byte(0), int16(1), int16(0))), c(msg('d', []byte("1\n")) + msg('d', []byte("2\n")) + msg('c')), s(tag("COPY 2") + idle)}, []string{"copy t from stdin -> COPY 2"}},
	{"copy out", []step{c(query("copy t to stdout")), s(msg('H', byte(0), int16(1), int16(0)) + msg('d', []byte("1\n")) + msg('c') + tag("COPY 1") + idle)}, []string{"copy t to stdout -> COPY 1"}},
	{"copy fails", []step{c(query("copy t from stdin")), s(msg('G', byte(0), int16(1), int16(0))), c(msg('f', "no")), s(failure("57014", "COPY from stdin failed") + idle)}, []string{"!copy t from stdin -> 57014"}},
	{"cancel", []step{c(first(cancelRequest, 4711, 1))}, []string{"cancel 4711"}},
	{"notification", []step{c(query("listen x")), s(tag("LISTEN") + idle), s(msg('A', 1, "x", "hello")), s(msg('A', 1, "x", ""))}, []string{"listen x -> LISTEN", "<notification x hello", "<notification x"}},
	{"an error that nobody caused", []step{c(query("select 1")), s(tag("SELECT 1") + idle), s(msg('E', []byte("SFATAL\x00VFATAL\x00C57P01\x00Mterminating connection\x00"), byte(0)))}, []string{"select 1 -> SELECT 1", "<!error terminating connection"}},
	{"function call", []step{c(msg('F', 1, int16(0), int16(0), int16(0))), s(msg('V', -1) + idle)}, []string{"function call -> OK"}},
	{"encryption is refused", []step{c(first(gssRequest)), s("N"), c(first(sslRequest)), s("N"), c(hello), s(welcome)}, []string{"startup shop orders -> OK"}},
	{"large", []step{c(query("insert into t values ('" + long + "')")), s(tag("INSERT 0 1") + idle), c(query("select *")), s(columns + row(long) + row(long) + tag("SELECT 2") + idle)},
		[]string{"insert into t values ('" + long[:177] + "… -> INSERT 0 1", "select * -> SELECT 2"}},
	{"replication", []step{c(query("START_REPLICATION 0/0")), s(msg('W', byte(0), int16(0)) + msg('d', []byte("w"))), c(msg('d', []byte("r")))}, []string{"~START_REPLICATION 0/0 ->"}},
	{"sync alone", []step{c(syncs), s(idle), c(query("select 1")), s(tag("SELECT 1") + idle)}, []string{"select 1 -> SELECT 1"}},
	{"no answer", []step{c(query("select 1"))}, []string{"select 1"}},
	{"answer alone", []step{s(tag("SELECT 1") + idle), c(query("select 2")), s(tag("SELECT 2") + idle)}, []string{"select 2 -> SELECT 2"}},
}

func TestCalls(t *testing.T) {
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunk := range []int{0, 1, 2, 3, 5, 7, 100} {
				k := &sink{TB: t}
				if err := run(k, tt.steps, chunk); err != nil {
					t.Fatal(err)
				}
				for i := range k.Calls {
					k.Calls[i] = strings.TrimSpace(k.Calls[i])
				}
				if !slices.Equal(k.Calls, tt.want) {
					t.Fatalf("in pieces of %d: got\n%s\nwant\n%s", chunk, strings.Join(k.Calls, "\n"), strings.Join(tt.want, "\n"))
				}
			}
		})
	}
}

func TestSwitch(t *testing.T) {
	for _, tt := range []struct {
		steps []step
		next  string
	}{
		{[]step{c(first(sslRequest)), s("S\x16")}, "tlsx"},
		{[]step{c(first(gssRequest)), s("N"), c(first(sslRequest)), s("S\x16")}, "tlsx"},
		{[]step{c(first(gssRequest)), s("G\x16")}, ""},
	} {
		k := &sink{TB: t}
		if err := run(k, tt.steps, 0); err != nil || !k.Switched || k.Next != tt.next || k.Rest != "\x16" || len(k.Calls) > 0 {
			t.Errorf("%v %+v", err, k)
		}
	}
}

func TestLoss(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"in a query", []step{c(query("select '" + long + "'")[:100]), cgap(20_000), c(query("select '" + long + "'")[20_100:]), s(tag("SELECT 1") + idle)}, []string{"~select '" + long[:87] + " -> SELECT 1"}},
		{"in a row", []step{c(query("select 1")), s(columns + row(long)[:100]), sgap(20_000), s(row(long)[20_100:] + tag("SELECT 1") + idle)}, []string{"~select 1 -> SELECT 1"}},
		{"of rows", []step{c(query("select 1")), s(columns + row("1")), sgap(0), s("garbage" + tag("SELECT 1") + idle), c(query("select 2")), s(tag("SELECT 2") + idle)}, []string{"~select 1 -> ", "select 2 -> SELECT 2"}},
		{"of an answer", []step{c(query("select 1")), c(query("select 2")), sgap(0), s(tag("SELECT 2") + idle)}, []string{"~select 1", "~select 2 -> SELECT 2"}},
		{"of a query", []step{c(query("select 1")), s(tag("SELECT 1") + idle), cgap(14), s(tag("SELECT 7") + idle), c(query("select 2")), s(tag("SELECT 2") + idle)}, []string{"select 1 -> SELECT 1", "select 2 -> SELECT 2"}},
		{"of a query's end", []step{c(query("select 1")[:10]), cgap(0), c(query("select 2")), s(tag("SELECT 2") + idle)}, []string{"~selec", "~select 2"}},
		{"in a batch, nothing is guessed", []step{c(parse("", "a") + bind("", "") + run1("") + parse("", "b") + bind("", "") + run1("") + syncs), s(parsed + bound + tag("INSERT 0 1")[:7]), sgap(20), s(tag("INSERT 0 2") + idle), c(query("select 2")), s(tag("SELECT 2") + idle)},
			[]string{"~a -> ", "~b -> ", "select 2 -> SELECT 2"}},
		{"garbage before", []step{s("rows"), c("lect 1\x00"), c(query("select 2")), s(tag("SELECT 2") + idle)}, []string{"select 2 -> SELECT 2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &sink{TB: t}
			steps := tt.steps
			for range patient { // by one that waits for each answer
				if steps[0].Dir == 0 {
					steps = append([]step{c(query("select 0")), s(tag("SELECT 0") + idle)}, steps...)
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

func TestNotMine(t *testing.T) {
	k := &sink{TB: t}
	junk := "\xff\x01\x02\x03\x04\x05\x06\x07"
	if err := run(k, []step{c(junk), s(junk), c(junk), s(junk), c(junk), s(junk), c(junk), s(junk)}, 0); !errors.Is(err, dissect.ErrNotMine) {
		t.Errorf("got %v, %q", err, k.Calls)
	}
}

// TestLate: an answer that was read before its query finds it.
func TestLate(t *testing.T) {
	k := &sink{TB: t}
	p := newParser(k)
	at := func(ms int64) dissect.Stamp { return dissect.Stamp{Time: ms * 1e6} }
	p.Data(0, []byte(query("select 1")), at(1))
	p.Data(1, []byte(tag("SELECT 1")+idle), at(2))
	p.Data(1, []byte(tag("SELECT 2")+idle), at(4))
	p.Data(0, []byte(query("select 2")), at(3))
	p.Data(1, []byte(failure("42601", "no")+idle), at(6))
	p.Data(0, []byte(query("select 3")), at(5))
	p.Data(0, []byte(query("select 4")), at(7))
	p.Data(1, []byte(tag("SELECT 4")+idle), at(8))
	p.Close(at(9))
	if want := []string{"select 1 -> SELECT 1", "select 2 -> SELECT 2", "!select 3 -> 42601", "select 4 -> SELECT 4"}; !slices.Equal(k.Calls, want) {
		t.Errorf("got %q", k.Calls)
	}
}

func TestFields(t *testing.T) {
	k := &sink{TB: t}
	steps := []step{c(hello), s(welcome), c(query("select x")), s(failure("42703", "no such \"column\"") + idle)}
	if err := run(k, steps, 0); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"postgresql_command":"STARTUP","postgresql_user":"shop","postgresql_database":"orders","postgresql_success":true,"postgresql_request_size":35,"postgresql_response_size":51,"postgresql_total_size":86}`,
		`{"postgresql_command":"COM_QUERY","postgresql_query":"select x","postgresql_user":"shop","postgresql_database":"orders","postgresql_success":false,"postgresql_error_code":"42703","postgresql_error_message":"no such \"column\"","postgresql_request_size":14,"postgresql_response_size":51,"postgresql_total_size":65}`,
	}
	if !slices.Equal(k.Lines, want) {
		t.Errorf("got\n%s", strings.Join(k.Lines, "\n"))
	}
}

func TestTimes(t *testing.T) {
	n := 0
	k := &sink{TB: t, Each: func(c *dissect.Call) {
		n++
		if c.Time != 1 || c.RequestEnd != 2 || c.ResponseStart != 3 || c.ResponseEnd != 4 || c.RequestSize != 14 || c.ResponseSize != 20 {
			t.Errorf("%+v", c)
		}
	}}
	p := newParser(k)
	p.Data(0, []byte(query("select 1")[:7]), dissect.Stamp{Time: 1})
	p.Data(0, []byte(query("select 1")[7:]), dissect.Stamp{Time: 2})
	p.Data(1, []byte(tag("SELECT 1")[:3]), dissect.Stamp{Time: 3})
	p.Data(1, []byte(tag("SELECT 1")[3:]+idle), dissect.Stamp{Time: 4})
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
	for i := range 3 * maxStatements {
		name := strings.Repeat("n", i%50) + string(rune('a'+i%26)) + string(rune(0x100+i))
		p.Data(0, []byte(parse(name, long[:2000])+bind(name, name)+syncs), at)
		p.Data(1, []byte(parsed+bound+idle), at)
	}
	if s := &p.statements; len(s.named) > maxStatements || s.bytes > maxPrepared || len(s.order) > 2*maxStatements || len(s.portals) > maxPortals {
		t.Errorf("%d statements, %d names, %d bytes, %d portals", len(s.named), len(s.order), s.bytes, len(s.portals))
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
	steps := []step{c(query("select 1")), s(columns + row("1", "NULL", "b") + row("2", "", "c") + tag("SELECT 2") + idle),
		c(query("copy t from stdin")), s(msg('G', byte(0), int16(1), int16(0))), c(msg('d', []byte("1\n")) + msg('d', []byte("2\n")) + msg('c')), s(tag("COPY 2") + idle),
		c(query("copy t to stdout")), s(msg('H', byte(0), int16(1), int16(0)) + msg('d', []byte("1\n")) + msg('c') + tag("COPY 1") + idle)}
	if err := run(k, steps, 0); err != nil {
		t.Fatal(err)
	}
	want := []string{"select 1", "1\t\\N\tb\n2\t\tc\n", "1\n2\n", "copy t to stdout", "1\n"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// What is beyond the limit is cut, and said to be.
	got = nil
	k.Limit = maxQuery
	if err := run(k, []step{c(query("select '" + long + "'")), s(columns + row(long) + tag("SELECT 1") + idle)}, 0); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got[0]) != 1+maxQuery || got[0][0] != '~' || got[1][0] != '~' || len(got[1]) > 1+maxQuery {
		t.Errorf("%d bodies", len(got))
	}
}
