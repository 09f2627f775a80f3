package replay

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Rules say which fields may differ. What they let pass is told too, as ignored.
type Rules struct {
	ignore [][]string // paths, in lower case; "*" is any one member
}

// NewRules adds fields to those that are expected to differ: paths as differences show them,
// such as response.headers.x-shard or response.body.items[*].stock. What is below them is
// ignored too.
func NewRules(ignore []string) (*Rules, error) {
	r := &Rules{}
	for _, f := range ignore {
		path := split(f)
		if len(path) == 0 {
			return nil, fmt.Errorf("%q: want a field as differences show it, such as response.body.items[*].stock", f)
		}
		r.ignore = append(r.ignore, path)
	}
	return r, nil
}

// split takes a path apart, in lower case.
func split(path string) []string {
	return strings.FieldsFunc(strings.ToLower(path), func(c rune) bool { return c == '.' || c == '[' || c == ']' || c == '"' })
}

// volatileHeaders are headers that say when, by whom or how often something was answered.
var volatileHeaders = map[string]bool{
	"date": true, "set-cookie": true, "age": true, "expires": true, "keep-alive": true,
	"x-request-id": true, "request-id": true, "x-correlation-id": true, "correlation-id": true, "x-trace-id": true, "traceparent": true, "tracestate": true,
	"x-amzn-requestid": true, "x-amzn-trace-id": true, "x-amz-request-id": true, "x-amz-id-2": true, "x-cloud-trace-context": true, "cf-ray": true,
	"x-runtime": true, "x-response-time": true, "server-timing": true, "x-envoy-upstream-service-time": true, "x-timer": true, "x-served-by": true,
	"x-b3-traceid": true, "x-b3-spanid": true, "x-b3-parentspanid": true,
}

// volatileMembers are members of JSON bodies of that kind, in lower case without _ and -.
var volatileMembers = map[string]bool{
	"requestid": true, "traceid": true, "spanid": true, "correlationid": true,
	"timestamp": true, "servertime": true, "generatedat": true, "uptime": true, "took": true, "elapsed": true, "elapsedms": true, "durationms": true, "responsetime": true,
}

// derived are fields that tell the size of what is compared anyway.
func derived(path []string) bool {
	name := path[len(path)-1]
	return strings.HasSuffix(name, "_size") || strings.HasSuffix(name, "_length") || name == "content-length" && isHeader(path)
}

func isHeader(path []string) bool {
	return len(path) == 3 && (path[1] == "headers" || path[1] == "trailers")
}

// moment is when the two sides of a comparison were said, in ns.
type moment struct{ was, is int64 }

// ignores says whether a field may differ.
func (r *Rules) ignores(field string, was, is any, at moment) bool {
	path := split(field)
	if len(path) == 0 {
		return false
	}
	if r.asked(path) {
		return true
	}
	name := path[len(path)-1]
	switch {
	case isHeader(path) && volatileHeaders[name], len(path) > 1 && path[0] == "response" && path[1] == "cookies":
		return true
	case len(path) > 2 && path[1] == "body" && volatileMembers[strings.NewReplacer("_", "", "-", "").Replace(name)]:
		return true
	}
	return near(was, at.was) && near(is, at.is)
}

// asked says whether it was asked for that a field is ignored.
func (r *Rules) asked(path []string) bool {
	for _, p := range r.ignore {
		if covers(p, path) {
			return true
		}
	}
	return false
}

// covers says whether a pattern is a path or above it.
func covers(pattern, path []string) bool {
	if len(pattern) > len(path) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && p != path[i] {
			return false
		}
	}
	return true
}

// nearTime is how far the time in an answer may be from that of the answer to be its own.
const nearTime = 10 * time.Minute

// layouts are the times that are looked for, besides those of HTTP.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999-07"}

// near says whether a value is the time at which it was said: a clock, not a fact.
func near(v any, at int64) bool {
	if p, ok := v.(present); ok {
		v = p.v
	}
	var t time.Time
	switch v := v.(type) {
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err != nil {
			return false
		}
		switch digits := len(v.String()); digits { // of the years 2001 to 2286
		case 10, 13, 16, 19:
			for range (19 - digits) / 3 {
				n *= 1000
			}
		default:
			return false
		}
		t = time.Unix(0, n)
	case string:
		if len(v) < len("2006-01-02T15:04:05") || len(v) > 40 {
			return false
		}
		var err error
		if t, err = http.ParseTime(v); err != nil {
			for _, l := range layouts {
				if t, err = time.Parse(l, v); err == nil {
					break
				}
			}
		}
		if err != nil {
			return false
		}
	default:
		return false
	}
	return t.Sub(time.Unix(0, at)).Abs() <= nearTime
}
