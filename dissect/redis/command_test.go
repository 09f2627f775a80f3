package redis

import (
	"strings"
	"testing"
)

func TestKey(t *testing.T) {
	for _, tt := range []struct{ command, want string }{
		{"GET k", "k"},
		{"get k", "k"},
		{"PING", ""},
		{"PING k", ""},
		{"CONFIG GET save", ""},
		{"AUTH secret", ""},
		{"MSET a 1 b 2", "a"},
		{"EVAL return 2 k1 k2", "k1"},
		{"EVAL return 0 x", ""},
		{"FCALL f 1 k", "k"},
		{"LMPOP 2 a b LEFT", "a"},
		{"BLMPOP 0 1 a LEFT", "a"},
		{"XREAD COUNT 1 STREAMS s 0", "s"},
		{"XREADGROUP GROUP g c streams s >", "s"},
		{"BITOP AND dest a b", "dest"},
		{"OBJECT ENCODING k", "k"},
		{"XINFO STREAM s", "s"},
		{"MIGRATE host 6379 k 0 5000", "k"},
		{"PUBLISH news x", "news"},
		{"SUBSCRIBE news sport", "news"},
		{"JSON.GET doc $", "doc"},
		{"GET", ""},
		{"XREAD COUNT 1", ""},
	} {
		if got := string(key([]byte(cmd(strings.Fields(tt.command)...)), false)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.command, got, tt.want)
		}
		if got := string(key([]byte(tt.command+"\r\n"), true)); got != tt.want {
			t.Errorf("%s, inline: got %q, want %q", tt.command, got, tt.want)
		}
	}
}

func TestFields(t *testing.T) {
	k := &sink{TB: t}
	steps := []step{c(cmd("get", "k\n")), s("-WRONGTYPE no\r\n"), c(cmd("PING")), s("+PONG\r\n"), s(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n")}
	if err := run(k, steps, 0); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"redis_command":"GET","redis_type":"GET","redis_key":"k\n","redis_error":"WRONGTYPE no","redis_request_size":21,"redis_response_size":15,"redis_total_size":36}`,
		`{"redis_command":"PING","redis_type":"PING","redis_request_size":14,"redis_response_size":7,"redis_total_size":21}`,
		`{"redis_push":"invalidate","redis_key":"k","redis_response_size":32,"redis_total_size":32}`,
	}
	for i := range max(len(want), len(k.Lines)) {
		if i >= len(want) || i >= len(k.Lines) || k.Lines[i] != want[i] {
			t.Errorf("got %s", k.Lines)
			break
		}
	}
}
