package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui/style"
)

// command is the line of a shell that asks what a call asked: curl, grpcurl, redis-cli, dig; of
// a database the text of its query. Whatever came off the wire is quoted. why says why there is
// none: a command that would ask something else is not made.
func command(d *Detail) (text, why string) {
	f := map[string]any{}
	raw := append([]byte{'{'}, bytes.TrimPrefix(d.Fields, []byte(","))...)
	if err := json.Unmarshal(append(raw, '}'), &f); err != nil {
		return "", "its fields cannot be read"
	}
	str := func(name string) string { s, _ := f[name].(string); return s }
	switch {
	case d.RequestSize == 0 && d.RequestEnd == 0 && d.Protocol != "dns":
		return "", "its request was not seen"
	case d.Protocol == "grpc" && str("grpc_method") != "":
		return grpcurl(d, f)
	case str("method") != "" && str("url") != "":
		return curl(d, f)
	case d.Protocol == "redis":
		return redisCLI(d)
	case d.Protocol == "dns":
		return dig(d, f)
	case str("postgresql_query") != "":
		return sql(str("postgresql_query"))
	case str("mysql_query") != "":
		return sql(str("mysql_query"))
	case str("cassandra_query") != "":
		return sql(str("cassandra_query"))
	}
	return "", "there is no command for " + d.Title + ": copy it as JSON"
}

func sql(query string) (string, string) { return printable([]byte(query)), "" }

// shell quotes a word for sh; what does not print is written by number, for which the shell has
// to know $'…' (bash, zsh, ksh, busybox).
func shell(s string) string {
	plain := s != ""
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./:,@%+", rune(c)) {
			plain = false
		}
	}
	switch {
	case plain:
		return s
	case string(style.Clean(s)) == s:
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c >= 0x7f || c == '!':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// shellBytes is body as a word; ok is false if a shell cannot hold it.
func shellBytes(b []byte) (word string, ok bool) {
	if bytes.IndexByte(b, 0) >= 0 {
		return "", false
	}
	return shell(string(b)), true
}

// isToken says whether a name can be that of a header (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// ofConnection are headers that curl makes itself, or that are of one connection only.
var ofConnection = []string{"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "http2-settings", "te", "trailer", "proxy-connection", "expect"}

// headers are those of a request as options -H, in the order of their names.
func headers(f map[string]any, leave ...string) (out []string) {
	all, _ := f["request.headers"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value, ok := all[name].(string)
		if !ok || !isToken(name) || slices.Contains(ofConnection, name) || slices.Contains(leave, name) {
			continue
		}
		line := name + ": " + value
		if value == "" {
			line = name + ";" // curl leaves a header out that has nothing behind its colon
		}
		out = append(out, "-H "+shell(line))
	}
	return out
}

func curl(d *Detail, f map[string]any) (string, string) {
	method, url := f["method"].(string), f["url"].(string)
	host, _ := f["host"].(string)
	if host == "" {
		host = d.Dst.Addr.String()
	}
	scheme := "http://"
	if d.Decrypted {
		scheme = "https://"
	}
	version, _ := f["http_version"].(string)
	switch {
	case method == "CONNECT":
		return "", "CONNECT opens a tunnel: there is nothing to send again"
	case d.Protocol == "ws":
		return "", "a WebSocket's message is of a connection: copy it as JSON"
	case strings.HasPrefix(url, "http://"), strings.HasPrefix(url, "https://"):
	case strings.HasPrefix(url, "/"):
		url = scheme + host + url
	case url == "*":
		url = scheme + host
	default:
		return "", "its target is no path: copy it as JSON"
	}
	words := []string{"curl", "-g", "--path-as-is"}
	switch {
	case !strings.HasPrefix(version, "HTTP/2"):
	case d.Decrypted:
		words = append(words, "--http2")
	default:
		words = append(words, "--http2-prior-knowledge")
	}
	body := d.Bodies[0]
	if body != nil && body.Size == 0 && len(body.Data) == 0 {
		body = nil
	}
	switch {
	case method == "HEAD":
		words = append(words, "-I")
	case method != "GET" || body != nil:
		words = append(words, "-X "+shell(method))
	}
	if url == scheme+host && method == "OPTIONS" {
		words = append(words, "--request-target '*'")
	}
	var leave []string
	if body != nil && body.Encoding != "" {
		leave = append(leave, "content-encoding") // it is sent as it was opened
	}
	words = append(words, headers(f, leave...)...)
	if body != nil {
		word, why := wholeBody(d, body)
		if why != "" {
			return "", why
		}
		words = append(words, "--data-raw "+word)
		if all, _ := f["request.headers"].(map[string]any); all["content-type"] == nil {
			words = append(words, "-H 'content-type:'") // or curl says that it is a form
		}
	}
	return strings.Join(append(words, "--url "+shell(url)), " "), ""
}

// wholeBody is the body of a request as a word; why says why it cannot be.
func wholeBody(d *Detail, body *dissect.Body) (word, why string) {
	switch {
	case body.Truncated || d.Incomplete:
		return "", "not all of its body is here: the stream command has the bytes"
	case body.Err != nil:
		return "", "its body could not be opened: " + firstLine(body.Err.Error())
	}
	word, ok := shellBytes(body.Data)
	if !ok {
		return "", "its body is binary, which no shell can hold: the stream command has the bytes"
	}
	return word, ""
}

func grpcurl(d *Detail, f map[string]any) (string, string) {
	service, _ := f["grpc_service"].(string)
	method, _ := f["grpc_method"].(string)
	host, _ := f["host"].(string)
	words := []string{"grpcurl"}
	if !d.Decrypted {
		words = append(words, "-plaintext")
	}
	if host != "" && host != d.Dst.Addr.String() {
		words = append(words, "-authority "+shell(host))
	}
	words = append(words, headers(f, "content-type", "user-agent", "grpc-accept-encoding", "grpc-encoding", "accept-encoding")...)
	if d.Bodies[0] != nil && len(d.Bodies[0].Data) > 5 { // more than the frame's head: it says something
		words = append(words, "-d @") // what it says is known to who has the .proto: it is asked for
	}
	return strings.Join(append(words, shell(d.Dst.Addr.String()), shell(service+"/"+method)), " "), ""
}

func redisCLI(d *Detail) (string, string) {
	body := d.Bodies[0]
	if body == nil || body.Truncated || d.Incomplete {
		return "", "not all of its command is here: copy it as JSON"
	}
	words, ok := respWords(body.Data)
	if !ok {
		return "", "its command cannot be read: copy it as JSON"
	}
	line := []string{"redis-cli", "-h", shell(d.Dst.Addr.Addr().Unmap().String()), "-p", strconv.Itoa(int(d.Dst.Addr.Port()))}
	for _, w := range words {
		word, ok := shellBytes(w)
		if !ok {
			return "", "its command is binary, which no shell can hold: copy it as JSON"
		}
		line = append(line, word)
	}
	return strings.Join(line, " "), ""
}

// maxWords bounds a command of Redis.
const maxWords = 1000

// respWords are the words of a command: an array of bulk strings, or one line
// (https://redis.io/docs/latest/develop/reference/protocol-spec).
func respWords(b []byte) (words [][]byte, ok bool) {
	line := func() (string, bool) {
		l, rest, ok := bytes.Cut(b, []byte("\r\n"))
		b = rest
		return string(l), ok
	}
	if len(b) == 0 || b[0] != '*' {
		l, _ := line()
		for w := range strings.FieldsSeq(l) {
			words = append(words, []byte(w))
		}
		return words, len(words) > 0 && len(b) == 0
	}
	l, _ := line()
	n, err := strconv.Atoi(l[1:])
	if err != nil || n < 1 || n > maxWords {
		return nil, false
	}
	for range n {
		l, ok := line()
		if !ok || len(l) < 2 || l[0] != '$' {
			return nil, false
		}
		size, err := strconv.Atoi(l[1:])
		if err != nil || size < 0 || size+2 > len(b) {
			return nil, false
		}
		words, b = append(words, b[:size]), b[size+2:]
	}
	return words, true
}

func dig(d *Detail, f map[string]any) (string, string) {
	names, _ := f["dns_questions"].([]any)
	types, _ := f["dns_question_types"].([]any)
	if len(names) == 0 || len(types) == 0 {
		return "", "nothing was asked in it"
	}
	name, _ := names[0].(string)
	kind, _ := types[0].(string)
	server := d.Dst.Addr
	if q, _ := f["dns_request"].(bool); !q { // only the answer was seen
		server = d.Src.Addr
	}
	words := []string{"dig", shell("@" + server.Addr().Unmap().String()), "-p", strconv.Itoa(int(server.Port()))}
	if d.Transport == "tcp" {
		words = append(words, "+tcp")
	}
	return strings.Join(append(words, "-t "+shell(kind), "-q "+shell(name)), " "), ""
}
