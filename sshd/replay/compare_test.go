package replay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// said is when the answers of the tests were said, then and now.
var said = moment{time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC).UnixNano(), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC).UnixNano()}

// answered is a call that was answered with a body.
func answered(at int64, fields, kind, text string) *Call {
	c := &Call{Protocol: "HTTP", Answered: true, Status: "200", fields: []byte(fields), last: at}
	if kind != "" {
		c.body = &body{kind: kind, data: []byte(text), size: int64(len(text))}
	}
	return c
}

func TestCompare(t *testing.T) {
	const js = "application/json"
	for _, tt := range []struct {
		name    string
		was, is *Call
		ignore  []string
		want    []string // differences
		ignored []string
	}{
		{"nothing", answered(said.was, `,"status_code":200`, js, `{"price":10}`), answered(said.is, `,"status_code":200`, js, `{"price":10}`), nil, nil, nil},
		{"a member", answered(said.was, "", js, `{"price":10}`), answered(said.is, "", js, `{"price":12}`), nil, []string{"response.body.price: 10 became 12"}, nil},
		{"order and blanks", answered(said.was, "", js, `{"a":1,"b":[1,2]}`), answered(said.is, "", js, "{\"b\": [1, 2.0],\n\"a\": 1}"), nil, nil, nil},
		{"deep", answered(said.was, "", js, `{"items":[{"n":"tea"},{"n":"milk"}]}`), answered(said.is, "", js, `{"items":[{"n":"tea"},{"n":"salt"},{}]}`), nil,
			[]string{`response.body.items[1].n: "milk" became "salt"`, "response.body.items[2]: {} is new"}, nil},
		{"another kind of value", answered(said.was, "", js, `{"a":1,"b":null}`), answered(said.is, "", js, `{"a":"1","c":null}`), nil,
			[]string{`response.body.a: 1 became "1"`, "response.body.b: null is gone", "response.body.c: null is new"}, nil},
		{"odd names", answered(said.was, "", js, `{"a b":{"":1}}`), answered(said.is, "", js, `{"a b":{"":2}}`), nil, []string{`response.body["a b"][""]: 1 became 2`}, nil},
		{"long numbers", answered(said.was, "", js, `[12345678901234567890]`), answered(said.is, "", js, `[12345678901234567891]`), nil,
			[]string{"response.body[0]: 12345678901234567890 became 12345678901234567891"}, nil},
		{"its own time", answered(said.was, "", js, `{"served":"2026-01-02T15:04:06Z","ms":1767366245123,"by":"2026-01-02 15:04:05"}`),
			answered(said.is, "", js, `{"served":"2026-05-06T07:08:10Z","ms":1778051289000,"by":"2026-05-06 07:08:09"}`), nil, nil,
			[]string{"response.body.by", "response.body.ms", "response.body.served"}},
		{"a time that is a fact", answered(said.was, "", js, `{"born":"2001-02-03T00:00:00Z"}`), answered(said.is, "", js, `{"born":"2002-02-03T00:00:00Z"}`), nil,
			[]string{`response.body.born: "2001-02-03T00:00:00Z" became "2002-02-03T00:00:00Z"`}, nil},
		{"a request's name", answered(said.was, "", js, `{"request_id":"a","traceId":"b"}`), answered(said.is, "", js, `{"request_id":"c","traceId":"d"}`), nil, nil,
			[]string{"response.body.request_id", "response.body.traceId"}},
		{"headers", answered(said.was, `,"response.headers":{"date":"x","x-shard":"1","content-length":"3"}`, js, `[1]`), answered(said.is, `,"response.headers":{"date":"y","x-shard":"2","content-length":"3","age":"1"}`, js, `[1]`), nil,
			[]string{`response.headers.x-shard: "1" became "2"`}, []string{"response.headers.age", "response.headers.date"}},
		{"cookies", answered(said.was, `,"response.cookies":{"sid":"x"}`, "", ""), answered(said.is, `,"response.cookies":{"sid":"y"}`, "", ""), nil, nil, []string{"response.cookies.sid"}},
		{"asked for", answered(said.was, "", js, `{"items":[{"stock":1,"n":1}]}`), answered(said.is, "", js, `{"items":[{"stock":2,"n":2}]}`), []string{"response.body.items[*].stock"},
			[]string{"response.body.items[0].n: 1 became 2"}, []string{"response.body.items[0].stock"}},
		{"asked for, with all below it", answered(said.was, "", js, `{"a":{"b":{"c":1}}}`), answered(said.is, "", js, `{"a":{"b":{"c":2}}}`), []string{"Response.Body.a"}, nil, []string{"response.body.a.b.c"}},
		{"status first", answered(said.was, `,"response.headers":{"a":"1"},"status_code":200`, "", ""), answered(said.is, `,"response.headers":{"a":"2"},"status_code":503`, "", ""), nil,
			[]string{"status_code: 200 became 503", `response.headers.a: "1" became "2"`}, nil},
		{"no answer", answered(said.was, "", "", ""), &Call{Protocol: "HTTP"}, nil, []string{"response: 200 is gone"}, nil},
		{"text", answered(said.was, "", "text/plain", "tea costs 10"), answered(said.is, "", "text/plain", "tea costs 12!"), nil,
			[]string{`response.body: 12 bytes, at 11 " costs 10" became 13 bytes, at 11 " costs 12!"`}, nil},
		{"bytes", answered(said.was, "", "", ""), answered(said.is, "", "x", "\xff\x00"), nil, []string{`response.body: "\ufffd\u0000" is new`}, nil},
		{"broken JSON", answered(said.was, "", js, `{"a":`), answered(said.is, "", js, `{"b":`), nil, []string{`response.body: 5 bytes, at 2 "{\"a\":" became 5 bytes, at 2 "{\"b\":"`}, nil},
		{"a size, where a body says it", answered(said.was, `,"response_body_size":3`, "x", "abc"), answered(said.is, `,"response_body_size":4`, "x", "abc"), nil, nil, nil},
		{"a size alone", answered(said.was, `,"response_size":3`, "", ""), answered(said.is, `,"response_size":4`, "", ""), nil, []string{"response_size: 3 became 4"}, nil},
		{"answers that turned round", answered(said.was, `,"dns_answers":["a","b"]`, "", ""), answered(said.is, `,"dns_answers":["b","a"]`, "", ""), nil, nil, nil},
		{"a status that no field has", answered(said.was, "", "", ""), &Call{Protocol: "HTTP", Answered: true, Status: "500"}, nil, []string{"status: 200 became 500"}, nil},
		{"a long text", answered(said.was, "", js, `"`+strings.Repeat("x", 200)+`a"`), answered(said.is, "", js, `"`+strings.Repeat("x", 200)+`b"`), nil,
			[]string{`response.body: at 200 "xxxxxxxxa" became at 200 "xxxxxxxxb"`}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, err := NewRules(tt.ignore)
			if err != nil {
				t.Fatal(err)
			}
			found, more, ignored := rules.compare(tt.was, tt.is)
			var got []string
			for _, d := range found {
				got = append(got, d.String())
			}
			if !slices.Equal(got, tt.want) || more != 0 || !slices.Equal(ignored, tt.ignored) {
				t.Errorf("got %q, ignored %q;\nwant %q, ignored %q", got, ignored, tt.want, tt.ignored)
			}
		})
	}
}

// What is told of one call is bounded.
func TestCompareBounds(t *testing.T) {
	list := func(n int) string {
		var b strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&b, ",%d", i+n)
		}
		return "[" + b.String()[1:] + "]"
	}
	found, more, _ := (&Rules{}).compare(answered(0, "", "json", list(0)), answered(0, "", "json", list(1)))
	if len(found) != maxDifferences || more != 1000-maxDifferences {
		t.Errorf("%d differences and %d more", len(found), more)
	}
}

// Calls are paired by what was asked, whatever the order of the answers.
func TestPair(t *testing.T) {
	c := func(summary, status string) *Call {
		return &Call{Protocol: "HTTP", Summary: summary, Status: status, Answered: true}
	}
	was := []*Call{c("GET /a", "1"), c("GET /b", "2"), c("GET /a", "3"), c("GET /gone", "4"), c("GET /x", "5")}
	is := []*Call{c("GET /b", "2"), c("GET /a", "1"), c("GET /a", "3"), c("GET /y", "5"), c("GET /z", "9"), c("GET /new", "9")}
	var got []string
	for _, o := range (&Rules{}).pair(was, is) {
		side := func(c *Call) string {
			if c == nil {
				return "-"
			}
			return c.Summary + c.Status
		}
		got = append(got, side(o.Was)+"="+side(o.Is))
	}
	if want := []string{"GET /a1=GET /a1", "GET /b2=GET /b2", "GET /a3=GET /a3", "GET /gone4=GET /y5", "GET /x5=GET /z9", "-=GET /new9"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzCompare: whatever two answers are, comparing ends, one is the same as itself, and if one
// differs from the other then so does the other from the one.
func FuzzCompare(f *testing.F) {
	f.Add(`,"a":1`, `{"price":10,"items":[{"n":"tea"}]}`, `,"a":2`, `{"price":12,"items":[]}`, "response.body.items[*]")
	f.Add(``, `plain`, `,"response.headers":{"date":"x"}`, "\xff\x00", "")
	f.Add(`,"b":1e999`, `[1e999,1.0]`, `,"b":`, `[[[[`, "*")
	f.Fuzz(func(t *testing.T, fields, text, fields2, text2, ignore string) {
		rules := &Rules{}
		if own, err := NewRules([]string{ignore}); err == nil {
			rules = own
		}
		a, b := answered(said.was, fields, "json", text), answered(said.is, fields2, "json", text2)
		if found, _, _ := rules.compare(a, a); len(found) > 0 {
			t.Errorf("it differs from itself: %v", found)
		}
		one, more, _ := rules.compare(a, b)
		two, more2, _ := rules.compare(b, a)
		if (len(one) > 0) != (len(two) > 0) || len(one)+more != len(two)+more2 {
			t.Errorf("%v and %d there, %v and %d back", one, more, two, more2)
		}
		if len(one) > maxDifferences {
			t.Errorf("%d differences are told", len(one))
		}
	})
}
