package redis

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

const ok = "+OK\r\n"

var long = strings.Repeat("x", 5000)

var conversations = []struct {
	name  string
	steps []step
	want  []string
}{
	{"one", []step{c(cmd("set", "k", "v")), s(ok)}, []string{"SET k v -> OK"}},
	{"values", []step{
		c(cmd("GET", "k")), s("$5\r\nhello\r\n"), c(cmd("GET", "k")), s("$-1\r\n"), c(cmd("INCR", "n")), s(":-42\r\n"),
		c(cmd("LRANGE", "l", "0", "-1")), s("*2\r\n$1\r\na\r\n*2\r\n:1\r\n+b\r\n"), c(cmd("KEYS", "*")), s("*0\r\n"),
		c(cmd("BLPOP", "l", "1")), s("*-1\r\n"), c(cmd("GET", "empty")), s("$0\r\n\r\n"),
	}, []string{"GET k -> 5 bytes", "GET k -> nil", "INCR n -> -42", "LRANGE l 0 -1 -> 2 elements", "KEYS * -> 0 elements",
		"BLPOP l 1 -> nil", "GET empty -> 0 bytes"}},
	{"values of RESP3", []step{
		c(cmd("HELLO", "3")), s("%2\r\n$5\r\nproto\r\n:3\r\n+x\r\n*1\r\n_\r\n"), c(cmd("GET", "k")), s("_\r\n"), c(cmd("SISMEMBER", "s", "m")), s("#t\r\n"),
		c(cmd("SMISMEMBER", "s", "m")), s("#f\r\n"), c(cmd("ZSCORE", "z", "m")), s(",1.5e-3\r\n"), c(cmd("DEBUG", "BIG")), s("(3492890328409238509324850943850943825024385\r\n"),
		c(cmd("SMEMBERS", "s")), s("~1\r\n$1\r\na\r\n"), c(cmd("LOLWUT")), s("=8\r\ntxt:text\r\n"), c(cmd("NOPE")), s("!11\r\nERR unknown\r\n"),
		c(cmd("ZSCORE", "z", "n")), s(",-inf\r\n"),
	}, []string{"HELLO 3 -> 2 elements", "GET k -> nil", "SISMEMBER s m -> true", "SMISMEMBER s m -> false", "ZSCORE z m -> 1.5e-3",
		"DEBUG BIG -> 3492890328409238509324850943850943825024385", "SMEMBERS s -> 1 elements", "LOLWUT -> 8 bytes", "!NOPE -> ERR", "ZSCORE z n -> -inf"}},
	{"attributes", []step{c(cmd("MGET", "a", "b")), s("|1\r\n+pop\r\n%2\r\n$1\r\na\r\n,0.1\r\n$1\r\nb\r\n,0.2\r\n*2\r\n:1\r\n:2\r\n"),
		c(cmd("GET", "a")), s("|1\r\n+ttl\r\n:1\r\n-ERR no\r\n")}, []string{"MGET a b -> 2 elements", "!GET a -> ERR"}},
	{"errors", []step{c(cmd("LLEN", "k")), s("-WRONGTYPE Operation against a key\r\n"), c(cmd("NOSUCH", "x")), s("-ERR unknown command 'NOSUCH'\r\n")},
		[]string{"!LLEN k -> WRONGTYPE", "!NOSUCH x -> ERR"}},
	{"pipeline", []step{c(cmd("SET", "a", "1") + cmd("GET", "a") + cmd("PING")), s(ok + "$1\r\n1\r\n" + "+PONG\r\n")},
		[]string{"SET a 1 -> OK", "GET a -> 1 bytes", "PING -> PONG"}},
	{"inline", []step{c("PING\r\nset  \"a b\" 'c d'\r\n\r\n get x\n"), s("+PONG\r\n" + ok + "$-1\r\n")},
		[]string{"PING -> PONG", "SET a b c d -> OK", "GET x -> nil"}},
	{"no command", []step{c("*0\r\n*-1\r\n" + cmd("PING")), s("+PONG\r\n")}, []string{"PING -> PONG"}},
	{"transaction", []step{c(cmd("MULTI")), s(ok), c(cmd("INCR", "c")), s("+QUEUED\r\n"), c(cmd("LPUSH", "c", "1")), s("+QUEUED\r\n"),
		c(cmd("EXEC")), s("*2\r\n:1\r\n-WRONGTYPE no\r\n"), c(cmd("EXEC")), s("-EXECABORT Transaction discarded\r\n")},
		[]string{"MULTI -> OK", "INCR c -> QUEUED", "LPUSH c 1 -> QUEUED", "!EXEC -> WRONGTYPE", "!EXEC -> EXECABORT"}},
	{"an error among elements is not the command's", []step{c(cmd("SCRIPT")), s("*1\r\n-ERR x\r\n")}, []string{"SCRIPT -> 1 elements"}},
	{"subscribe in RESP2", []step{c(cmd("SUBSCRIBE", "a", "b")), s("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"),
		s("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"), c(cmd("PING")), s("*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$2\r\nho\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
		c(cmd("UNSUBSCRIBE", "a", "b")), s("*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n"), s("*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n"),
		c(cmd("LRANGE", "l", "0", "-1")), s("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n")},
		[]string{"SUBSCRIBE a b -> 3 elements", "<message a hi", "<message b ho", "PING -> 2 elements", "UNSUBSCRIBE a b -> 3 elements", "LRANGE l 0 -1 -> 3 elements"}},
	{"subscribe in RESP3", []step{c(cmd("PSUBSCRIBE", "n*") + cmd("GET", "k")), s(">3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:1\r\n>4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$2\r\nn1\r\n$1\r\nx\r\n$1\r\nv\r\n"),
		s(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n")},
		[]string{"PSUBSCRIBE n* -> 3 elements", "<pmessage n* n1 x", "GET k -> 1 bytes", "<invalidate"}},
	{"subscribe is refused", []step{c(cmd("SUBSCRIBE", "a", "b")), s("-NOPERM no\r\n"), c(cmd("PING")), s("+PONG\r\n")}, []string{"!SUBSCRIBE a b -> NOPERM", "PING -> PONG"}},
	{"subscribed before", []step{s("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"), s("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nho\r\n")}, []string{"<message a hi", "<message a ho"}},
	{"replies off and on", []step{c(cmd("PING")), s("+PONG\r\n"), c(cmd("CLIENT", "REPLY", "OFF") + cmd("SET", "a", "1") + cmd("CLIENT", "REPLY", "SKIP") + cmd("client", "reply", "on") + cmd("PING")), s(ok + "+PONG\r\n"),
		c(cmd("CLIENT", "REPLY", "SKIP") + cmd("SET", "b", "1") + cmd("GET", "b")), s("$1\r\n1\r\n")},
		[]string{"PING -> PONG", "CLIENT REPLY OFF", "SET a 1", "CLIENT REPLY SKIP", "CLIENT reply on -> OK", "PING -> PONG", "CLIENT REPLY SKIP", "SET b 1", "GET b -> 1 bytes"}},
	{"monitor", []step{c(cmd("MONITOR")), s(ok + "+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n")}, []string{"MONITOR -> OK", `<monitor 1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`}},
	{"replica", []step{c(cmd("PSYNC", "?", "-1")), s("+FULLRESYNC abc 0\r\n"), s("\n\n$10\r\nREDIS\n\r\n+x" + cmd("SELECT", "0") + cmd("SET", "a", "1")), c(cmd("REPLCONF", "ACK", "14")), s("*1\r\n$4\r\nPING\r\n")},
		[]string{"PSYNC ? -1 -> FULLRESYNC abc 0", "<SELECT 0", "<SET a 1", "REPLCONF ACK 14", "<PING"}},
	{"replica without a disk", []step{c(cmd("PSYNC", "?", "-1")), s("+FULLRESYNC abc 0\r\n$EOF:" + mark + "\r\nREDIS" + mark[:20] + mark + cmd("SET", "a", "1"))},
		[]string{"PSYNC ? -1 -> FULLRESYNC abc 0", "<SET a 1"}},
	{"replica of old", []step{c("SYNC\r\n"), s("$5\r\nREDIS" + cmd("SET", "a", "1"))}, []string{"SYNC", "<SET a 1"}},
	{"replica goes on", []step{c(cmd("PSYNC", "abc", "7")), s("+CONTINUE\r\n" + cmd("SET", "a", "1"))}, []string{"PSYNC abc 7 -> CONTINUE", "<SET a 1"}},
	{"large", []step{c(cmd("SET", "k", long)), s(ok), c(cmd("GET", "k")), s("$5000\r\n" + long + "\r\n")}, []string{"SET k " + long[:194] + "… -> OK", "GET k -> 5000 bytes"}},
	{"passwords", []step{c(cmd("AUTH", "user", "secret")), s(ok), c(cmd("HELLO", "3", "AUTH", "u", "p", "SETNAME", "n")), s(ok), c(cmd("CONFIG", "SET", "requirepass", "x", "port", "1")), s(ok), c("auth secret\r\n"), s(ok), c(cmd("ACL", "SETUSER", "u", ">p")), s(ok)},
		[]string{"AUTH (redacted) -> OK", "HELLO 3 AUTH (redacted) (redacted) SETNAME n -> OK", "CONFIG SET requirepass (redacted) port 1 -> OK", "AUTH (redacted) -> OK", "ACL SETUSER u (redacted) -> OK"}},
	{"no reply", []step{c(cmd("BLPOP", "l", "0"))}, []string{"BLPOP l 0"}},
	{"reply alone", []step{s("+PONG\r\n"), c(cmd("GET", "k")), s("$1\r\n1\r\n")}, []string{"GET k -> 1 bytes"}},
}

const mark = "0f1e2d3c4b5a69788796a5b4c3d2e1f00123abcd"

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

func TestLoss(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"in a string", []step{c("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nxx"), cgap(98), c("\r\n"), s(ok)}, []string{"~SET k xx -> OK"}},
		{"in a string and its end", []step{c("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nxx"), cgap(100), s(ok), c(cmd("PING")), s("+PONG\r\n")}, []string{"~SET k xx -> OK", "PING -> PONG"}},
		{"in a reply's string", []step{c(cmd("GET", "k")), s("$100\r\nxx"), sgap(50), s(long[:48] + "\r\n"), c(cmd("PING")), s("+PONG\r\n")}, []string{"~GET k -> 100 bytes", "PING -> PONG"}},
		{"of a reply's end", []step{c(cmd("KEYS", "*")), s("*3\r\n$1\r\na\r\n"), sgap(7), s("$1\r\nb\r\n"), c(cmd("PING")), s("+PONG\r\n")}, []string{"~KEYS * -> 3 elements", "PING -> PONG"}},
		{"of replies", []step{c(cmd("GET", "a")), sgap(0), c(cmd("GET", "b")), s("$1\r\nb\r\n")}, []string{"~GET a", "GET b -> 1 bytes"}},
		{"of a command", []step{c(cmd("GET", "a")), s("$1\r\na\r\n"), cgap(22), s("$1\r\nb\r\n"), c(cmd("GET", "c")), s("$1\r\nc\r\n")}, []string{"GET a -> 1 bytes", "GET c -> 1 bytes"}},
		{"of a command's end", []step{c("*2\r\n$3\r\nGET\r\n$1"), cgap(5), s("$1\r\na\r\n"), c(cmd("GET", "c")), s("$1\r\nc\r\n")}, []string{"~GET -> 1 bytes", "GET c -> 1 bytes"}},
		{"of a command's name", []step{c("*2\r\n$3\r\nGE"), cgap(0), c(cmd("GET", "c")), s("$1\r\nc\r\n")}, []string{"GET c -> 1 bytes"}},
		{"commands are found in a piece", []step{c(cmd("PING")), s("+PONG\r\n"), cgap(0), c("rest of it\r\n" + cmd("GET", "c")), s("$1\r\nc\r\n")}, []string{"PING -> PONG", "GET c -> 1 bytes"}},
		{"of pipelined replies, nothing is guessed", []step{
			c(cmd("GET", "a") + cmd("GET", "b") + cmd("GET", "c")), s("$1\r\na\r\n"), sgap(7), s("$1\r\nc\r\n"),
			c(cmd("GET", "d") + cmd("GET", "e")), s("$1\r\nd\r\n$1\r\ne\r\n"), c(cmd("GET", "f") + cmd("GET", "g")), s("$1\r\nf\r\n$1\r\ng\r\n")},
			[]string{"GET a -> 1 bytes", "~GET b", "~GET c", "~GET d", "~GET e", "GET f -> 1 bytes", "GET g -> 1 bytes"}},
		{"garbage before", []step{s("lo\r\n"), c("rld\r\n"), c(cmd("GET", "a")), s("$1\r\na\r\n")}, []string{"GET a -> 1 bytes"}},
		{"the other way round", []step{c(cmd("PING")), s("+PONG\r\n"), s("$1\r\na\r\n"), c(cmd("GET", "b")), s("$1\r\nb\r\n")}, []string{"PING -> PONG", "GET b -> 1 bytes"}},
		{"in the data set", []step{c(cmd("PSYNC", "?", "-1")), s("+FULLRESYNC a 0\r\n$100\r\nxx"), sgap(98), s(cmd("SET", "a", "1"))}, []string{"PSYNC ? -1 -> FULLRESYNC a 0", "<SET a 1"}},
		{"of what is published", []step{s("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"), sgap(0), s("llo\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nho\r\n")}, []string{"<message a hi", "<message a ho"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &sink{TB: t}
			steps := tt.steps
			if steps[0].Dir == 0 { // by one that asks one thing at a time
				for range patient {
					steps = append([]step{c(cmd("PING")), s("+PONG\r\n")}, steps...)
				}
			}
			if err := run(k, steps, 0); err != nil {
				t.Fatal(err)
			}
			if len(steps) > len(tt.steps) {
				k.Calls = k.Calls[patient:]
			}
			if !slices.Equal(k.Calls, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(k.Calls, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestNotMine(t *testing.T) {
	k := &sink{TB: t}
	junk := s("\x00\x01\x02\x03\n")
	if err := run(k, []step{c("PING\r\n"), junk, c("PING\r\n"), junk, c("\x01\n"), junk, c("PING\r\n"), junk, c("\x01\n"), junk}, 0); !errors.Is(err, dissect.ErrNotMine) {
		t.Errorf("got %v, %q", err, k.Calls)
	}
}

// TestLate: a reply that was read before its command finds it.
func TestLate(t *testing.T) {
	k := &sink{TB: t}
	p := newParser(k)
	at := func(ms int64) dissect.Stamp { return dissect.Stamp{Time: ms * 1e6} }
	p.Data(0, []byte(cmd("PING")), at(1))
	p.Data(1, []byte("+PONG\r\n"), at(2))
	p.Data(1, []byte("$1\r\na\r\n"), at(4))
	p.Data(0, []byte(cmd("GET", "a")), at(3))
	p.Data(0, []byte(cmd("GET", "b")), at(5))
	p.Data(1, []byte("$2\r\nbb\r\n"), at(6))
	p.Close(at(7))
	if want := []string{"PING -> PONG", "GET a -> 1 bytes", "GET b -> 2 bytes"}; !slices.Equal(k.Calls, want) {
		t.Errorf("got %q", k.Calls)
	}
}

func TestTimesAndSizes(t *testing.T) {
	n := 0
	k := &sink{TB: t, Each: func(c *dissect.Call) {
		n++
		if c.Time != 1 || c.RequestEnd != 2 || c.ResponseStart != 3 || c.ResponseEnd != 5 || c.RequestSize != 21 || c.ResponseSize != 8 {
			t.Errorf("%+v", c)
		}
	}}
	p := newParser(k)
	req, resp := cmd("GET", "k"+"y"), "$2\r\nab\r\n"
	p.Data(0, []byte(req[:5]), dissect.Stamp{Time: 1})
	p.Data(0, []byte(req[5:]), dissect.Stamp{Time: 2})
	p.Data(1, []byte(resp[:3]), dissect.Stamp{Time: 3})
	p.Data(1, []byte(resp[3:7]), dissect.Stamp{Time: 4})
	p.Data(1, []byte(resp[7:]), dissect.Stamp{Time: 5})
	if n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestLimits(t *testing.T) {
	k := &sink{}
	p := newParser(k)
	at := dissect.Stamp{Time: 1}
	one := []byte(cmd("GET", "k"))
	for range maxPending + 5 {
		p.Data(0, one, at)
	}
	if len(k.Calls) != 5 || k.Calls[0] != "~GET k" {
		t.Errorf("%d calls", len(k.Calls))
	}
	k = &sink{Limit: 1 << 20}
	p = newParser(k)
	big := []byte(cmd("SET", "k", strings.Repeat("x", 1<<20)))
	for range 8 {
		p.Data(0, big, at)
	}
	if n := p.pending.Kept(); n > maxKept || len(k.Calls) == 0 {
		t.Errorf("%d bytes are held, %d calls", n, len(k.Calls))
	}
	// A line that never ends is not kept.
	p = newParser(&sink{})
	for range 100 {
		p.Data(0, []byte(long), at)
	}
	if n := cap(p.half[0].scan.line) + cap(p.half[0].kept); n > 4*maxLine {
		t.Errorf("%d bytes are held", n)
	}
}

func TestBodies(t *testing.T) {
	var got []string
	k := &sink{TB: t, Limit: 2000, Each: func(c *dissect.Call) {
		for part := range 2 {
			if b := c.Message.Body(part); b != nil {
				got = append(got, string(b.Data[:min(len(b.Data), 30)]))
				if b.Truncated != (b.Size > int64(len(b.Data))) {
					t.Errorf("size %d, %d bytes, truncated %v", b.Size, len(b.Data), b.Truncated)
				}
			}
		}
	}}
	steps := []step{c(cmd("GET", "k")), s("$5\r\nhello\r\n"), c(cmd("LPOP", "l")), s("*1\r\n$1\r\na\r\n"), c(cmd("GET", "x")), s("$5000\r\n" + long + "\r\n"),
		c(cmd("GET", "x")), s("$-1\r\n"), c(cmd("SUBSCRIBE", "a")), s("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n")}
	if err := run(k, steps, 0); err != nil {
		t.Fatal(err)
	}
	want := []string{cmd("GET", "k"), "hello", cmd("LPOP", "l"), "*1\r\n$1\r\na\r\n", cmd("GET", "x"), long[:30], cmd("GET", "x"), "$-1\r\n",
		cmd("SUBSCRIBE", "a"), "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"[:30], "hi"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
