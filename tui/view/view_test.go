package view

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sshark/sshark/dissect"
)

func TestParseWindow(t *testing.T) {
	now := time.Date(2026, 3, 14, 10, 30, 0, 0, time.UTC)
	at := func(s string) int64 {
		v, err := time.Parse("2006-01-02 15:04:05", s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixNano()
	}
	for _, c := range []struct {
		in   string
		want Window
		err  string
	}{
		{in: "5m", want: Window{Last: 5 * time.Minute}},
		{in: " 1h30m ", want: Window{Last: 90 * time.Minute}},
		{in: "last 15m", want: Window{Last: 15 * time.Minute}},
		{in: "-5m", want: Window{Last: 5 * time.Minute}},
		{in: "all", want: Window{}},
		{in: "10:00-10:15", want: Window{Since: at("2026-03-14 10:00:00"), Until: at("2026-03-14 10:15:00")}},
		{in: "10:00:05 - 10:15", want: Window{Since: at("2026-03-14 10:00:05"), Until: at("2026-03-14 10:15:00")}},
		{in: "22:00-22:15", want: Window{Since: at("2026-03-13 22:00:00"), Until: at("2026-03-13 22:15:00")}},
		{in: "23:50-00:10", want: Window{Since: at("2026-03-13 23:50:00"), Until: at("2026-03-14 00:10:00")}},
		{in: "10:00..", want: Window{Since: at("2026-03-14 10:00:00")}},
		{in: "..10:00", want: Window{Until: at("2026-03-14 10:00:00")}},
		{in: "1h..30m", want: Window{Since: at("2026-03-14 09:30:00"), Until: at("2026-03-14 10:00:00")}},
		{in: "2026-03-01 08:00 .. 2026-03-01 09:00", want: Window{Since: at("2026-03-01 08:00:00"), Until: at("2026-03-01 09:00:00")}},
		{in: "2026-03-01T08:00:00Z..2026-03-01T10:00:00+01:00", want: Window{Since: at("2026-03-01 08:00:00"), Until: at("2026-03-01 09:00:00")}},
		{in: "", err: "type 5m"},
		{in: "soon", err: `"soon" is no window`},
		{in: "10ms", err: "too short"},
		{in: "100000h", err: "too long"},
		{in: "10:15-10:00", err: "10:00 is not after 10:15"},
		{in: "10:00-noon", err: `"noon" is no time`},
		{in: "..", err: "no window"},
	} {
		got, err := ParseWindow(c.in, now, time.UTC)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %q", c.in, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%q: %+v, %v, want %+v", c.in, got, err, c.want)
		}
	}
}

func testRow(i int) *row {
	f := &flowInfo{stream: "0000000000001", node: "node-a", peers: [2]peer{
		{addr: netip.MustParseAddrPort("10.0.0.1:40000")},
		{addr: netip.MustParseAddrPort("[2001:db8::1]:80"), id: &dissect.Identity{Namespace: "shop", Service: "cart", Pod: "cart-0"}},
	}}
	return &row{told: &told{time: int64(i), id: uint64(i), flow: f, latency: 1_234_567, status: "404", summary: "GET /x",
		proto: &dissect.Protocol{Name: "http", Title: "HTTP", Fields: []dissect.Field{{Name: "status_code"}}}}}
}

func TestCellFilter(t *testing.T) {
	r := testRow(1)
	for col, want := range map[int]string{
		colTime:        `timestamp >= timestamp("1970-01-01T00:00:00.000000001Z")`,
		colSource:      `src.ip == "10.0.0.1"`,
		colDestination: `dst.name == "cart" && dst.namespace == "shop"`,
		colProtocol:    `protocol == "http"`,
		colSummary:     `summary == "GET /x"`,
		colStatus:      `status_code == 404`,
		colLatency:     `latency >= duration("1.234ms")`,
	} {
		if got, why := cellFilter(r, col); got != want {
			t.Errorf("%s: %s (%s), want %s", columnNames[col], got, why, want)
		}
	}
	r.status, r.latency, r.proto = "NXDOMAIN", -1, nil
	for _, col := range []int{colStatus, colLatency, colProtocol} {
		if got, why := cellFilter(r, col); got != "" || why == "" {
			t.Errorf("%s: %q and no reason", columnNames[col], got)
		}
	}
}

func TestBoth(t *testing.T) {
	for _, c := range [][3]string{{"", "b", "b"}, {"a", "", "a"}, {"a", "b", "a && b"}, {"a || b", "c", "(a || b) && c"}, {"a", "!(b)", "a && !(b)"}} {
		if got := both(c[0], c[1]); got != c[2] {
			t.Errorf("both(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestRowsStayInOrderAndBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	rs := rows{max: 100}
	order := rng.Perm(300)
	for len(order) > 0 {
		n := min(1+rng.IntN(40), len(order))
		var batch []*row
		for _, i := range order[:n] {
			batch = append(batch, testRow(i))
		}
		order = order[n:]
		rs.add(batch)
		for i := 1; i < len(rs.list); i++ {
			if rs.list[i-1].time >= rs.list[i].time {
				t.Fatalf("%d before %d", rs.list[i-1].time, rs.list[i].time)
			}
		}
		if len(rs.list) > rs.max {
			t.Fatalf("%d rows", len(rs.list))
		}
	}
	if n := len(rs.list); n != 100 || rs.list[n-1].time != 299 {
		t.Errorf("%d rows, the newest of %d", n, rs.list[n-1].time)
	}
	rs.add([]*row{testRow(299), testRow(299), testRow(250)})
	if n := len(rs.list); n != 100 || rs.list[n-2].time != 298 {
		t.Error("a call that was there came twice")
	}
}

func TestReadFields(t *testing.T) {
	got := readFields([]byte(`,"method":"GET","request.headers":{"b":"2","a":"1\u202e"},"status_code":200,"dns_questions":["x","y"],"grpc":true`))
	want := []string{
		`method|GET|method == "GET"`,
		`a|1` + "\u202e" + `|request.headers["a"] == "1\u202e"`,
		`b|2|request.headers["b"] == "2"`,
		`status_code|200|status_code == 200`,
		`dns_questions|x|"x" in dns_questions`,
		`|y|"y" in dns_questions`,
		`grpc|true|grpc == true`,
	}
	for i, w := range want {
		if i >= len(got) {
			t.Fatalf("%d fields, want %d", len(got), len(want))
		}
		if g := fmt.Sprintf("%s|%s|%s", got[i].label, got[i].value, got[i].filter); g != w {
			t.Errorf("field %d is %s, want %s", i, g, w)
		}
	}
	for _, broken := range []string{",", `,"a"`, `,"a":`, `,"a":{`, "\x00"} {
		for _, f := range readFields([]byte(broken)) {
			if !strings.Contains(f.value, "cannot be read") {
				t.Errorf("%q: %+v", broken, f)
			}
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable([]byte("a\r\nb\tc\x1b[31m\u202e\n")); got != "a\nb\tc"+`\x1b[31m\u202e`+"\n" {
		t.Errorf("%q", got)
	}
}

// TestWindowText: the day is said where it is not today, and once.
func TestWindowText(t *testing.T) {
	at := func(s string) int64 {
		v, err := time.Parse("2006-01-02 15:04:05.000", s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixNano()
	}
	clock := Clock{Now: func() time.Time { return time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC) }, Location: time.UTC}
	for _, tt := range []struct {
		w    Window
		want string
	}{
		{Window{}, "all"},
		{Window{Last: 90 * time.Minute}, "last 1h30m"},
		{Window{Since: at("2026-11-23 14:00:00.000"), Until: at("2026-11-23 14:15:00.000")}, "14:00:00 – 14:15:00"},
		{Window{Since: at("2026-11-23 14:00:00.000"), Until: at("2026-11-23 14:00:00.250")}, "14:00:00.000 – 14:00:00.250"},
		{Window{Since: at("2020-01-01 00:00:00.000"), Until: at("2020-01-02 00:00:00.000")}, "2020-01-01 00:00:00 – 2020-01-02 00:00:00"},
		{Window{Since: at("2020-01-01 14:00:00.000"), Until: at("2020-01-01 15:00:00.000")}, "2020-01-01 14:00:00 – 15:00:00"},
		{Window{Since: at("2026-11-22 23:00:00.000"), Until: at("2026-11-23 01:00:00.000")}, "2026-11-22 23:00:00 – 2026-11-23 01:00:00"},
		{Window{Since: at("2020-01-01 14:00:00.000")}, "since 2020-01-01 14:00:00"},
		{Window{Until: at("2026-11-23 14:00:00.000")}, "until 14:00:00"},
	} {
		if got := tt.w.Text(clock); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.w, got, tt.want)
		}
	}
}

func FuzzParseWindow(f *testing.F) {
	for _, s := range []string{"5m", "10:00-10:15", "2026-01-02 15:04 .. now", "..", "all", "-1h..-5m", "9999999h"} {
		f.Add(s)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, s string) {
		w, err := ParseWindow(s, now, time.UTC)
		if err != nil && w != (Window{}) {
			t.Errorf("%q: a window and an error", s)
		}
		if err == nil && w.Until != 0 && w.Until <= w.Since {
			t.Errorf("%q ends before it begins", s)
		}
		_ = w.Text(Clock{Now: func() time.Time { return now }, Location: time.UTC})
	})
}

func TestInverse(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " http ": "!(http)", "!(http)": "http", "!(a) && (b)": "!(!(a) && (b))", `!(path == "(" && x)`: `path == "(" && x`,
		`!(path == "\")")`: `path == "\")"`, "!(": "!(!()", "!http": "!(!http)",
	} {
		if got := inverse(in); got != want {
			t.Errorf("inverse of %q is %q, want %q", in, got, want)
		}
	}
}
