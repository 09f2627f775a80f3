package text

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap"
)

var update = flag.Bool("update", false, "write the golden files")

// sketch makes a map of lines like "shop/web > shop/cart http/80 120 3": who calls whom,
// protocol and port, calls, errors. Without calls there are bytes only.
func sketch(lines ...string) *servicemap.Map {
	m := &servicemap.Map{}
	at := map[string]int{}
	node := func(s string) int {
		if i, ok := at[s]; ok {
			return i
		}
		n := servicemap.Node{Name: s, Kind: "DNS"}
		if ns, name, ok := strings.Cut(s, "/"); ok {
			n = servicemap.Node{Namespace: ns, Name: name, Kind: "Deployment"}
		}
		at[s] = len(m.Nodes)
		m.Nodes = append(m.Nodes, n)
		return at[s]
	}
	for i, line := range lines {
		var from, to, protocol string
		var calls, errors uint64
		_, _ = fmt.Sscan(strings.Replace(line, ">", " ", 1), &from, &to, &protocol, &calls, &errors)
		e := servicemap.Edge{From: node(from), To: node(to), Transport: flow.TCP, Flows: 1, Bytes: uint64(1000 * (i + 1)), Calls: calls, Errors: errors}
		name, port, _ := strings.Cut(protocol, "/")
		if name != "tcp" {
			e.Protocol = name
		}
		_, _ = fmt.Sscan(port, &e.Port)
		for j := range calls {
			e.Latency.Add(int64(j+1) * 1e5)
		}
		m.Edges = append(m.Edges, e)
	}
	return m
}

var shop = []string{
	"shop/gateway > shop/frontend http/80 1200",
	"shop/frontend > shop/catalog grpc/50051 830",
	"shop/frontend > shop/cart grpc/50051 412 9",
	"shop/frontend > shop/checkout http/8080 64",
	"shop/frontend > shop/ads http/8080 1200",
	"shop/checkout > shop/payment http/8080 64 2",
	"shop/checkout > shop/shipping grpc/50051 60",
	"shop/checkout > shop/email http/8080 60",
	"shop/checkout > shop/cart grpc/50051 64",
	"shop/checkout > shop/kafka kafka/9092 60",
	"shop/cart > shop/redis redis/6379 950",
	"shop/catalog > shop/postgres postgresql/5432 831",
}

// many makes a map of n services in namespaces of ten, as such systems are: most have one
// caller, some two, a few call back.
func many(n int, seed uint64) *servicemap.Map {
	r := rand.New(rand.NewPCG(seed, 1))
	protocols := []string{"http/80", "grpc/50051", "redis/6379", "postgresql/5432", "dns/53", "tcp/9000"}
	name := func(i int) string { return fmt.Sprintf("ns%d/svc%d", i/10, i) }
	var lines []string
	for i := 1; i < n; i++ {
		add := func(from, to int) {
			lines = append(lines, fmt.Sprintf("%s > %s %s %d %d", name(from), name(to), protocols[r.IntN(len(protocols))], r.IntN(500), r.IntN(3)))
		}
		add(r.IntN(i), i)
		if i%3 == 0 {
			add(r.IntN(i), i)
		}
		if i%17 == 0 {
			add(i, r.IntN(i))
		}
		if i%23 == 0 {
			add(i, i)
		}
	}
	return sketch(lines...)
}

// tiers makes a map of n services in six namespaces, each of which calls the next ones.
func tiers(n int) *servicemap.Map {
	names := []string{"edge", "web", "shop", "pay", "data", "mail"}
	next := map[string]string{"edge": "web", "web": "shop", "shop": "pay", "pay": "data"}
	var lines []string
	for i := range n {
		ns := names[i%6]
		if to := next[ns]; to != "" {
			j := (i*7)/6%(n/6)*6 + (i%6 + 1)
			lines = append(lines, fmt.Sprintf("%s/svc%d > %s/svc%d http/80 %d %d", ns, i, to, j, 10+i, i%7/6))
		}
		if ns == "shop" {
			lines = append(lines, fmt.Sprintf("%s/svc%d > mail/svc%d grpc/90 %d", ns, i, i+3, 5+i))
		}
	}
	return sketch(lines...)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestGolden(t *testing.T) {
	spread := append([]string{"api.example.com > shop/gateway tcp/443", "data/backup > data/postgres tcp/5432", "shop/payment > bank.example.com tlsx/443", "shop/cart > shop/checkout http/8080 3 3", "shop/cart > shop/cart grpc/50051 40"}, shop...)
	for _, tt := range []struct {
		name string
		m    *servicemap.Map
		o    Options
	}{
		{"shop-80", sketch(shop...), Options{Width: 80, Height: 24}},
		{"shop-80-color", sketch(shop...), Options{Width: 80, Height: 24, Color: true}},
		{"shop-120", sketch(shop...), Options{Width: 120, Height: 40}},
		{"shop-120-color", sketch(shop...), Options{Width: 120, Height: 40, Color: true}},
		{"shop-pipe", sketch(shop...), Options{}},
		{"spread-120", sketch(spread...), Options{Width: 120}},
		{"spread-40", sketch(spread...), Options{Width: 40}},
		{"sixty-120", many(60, 1), Options{Width: 120, Height: 40, What: "workload"}},
		{"sixty-layers-120", tiers(60), Options{Width: 120, Height: 40, What: "workload"}},
		{"sixty-layers-120-color", tiers(60), Options{Width: 120, Height: 40, Color: true}},
		{"sixty-80", many(60, 1), Options{Width: 80, Height: 24}},
		{"two-thousand-80", many(2000, 1), Options{Width: 80, Height: 24}},
		{"empty-80", &servicemap.Map{}, Options{Width: 80}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Draw(tt.m, tt.o)
			golden(t, tt.name+".txt", strings.Join(d.Lines, "\n")+"\n")
			fits(t, d, tt.o)
		})
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Number(0), "0"}, {Number(999), "999"}, {Number(1000), "1.0k"}, {Number(9949), "9.9k"}, {Number(9951), "10k"},
		{Number(999_499), "999k"}, {Number(999_500), "1.0M"}, {Number(1 << 63), "9.2E"},
		{Percent(1, 1), "100%"}, {Percent(1, 1e6), "<1%"}, {Percent(999, 1000), "99%"}, {Percent(1, 8), "12%"},
		{elapsed(0), "0us"}, {elapsed(999_000), "999us"}, {elapsed(1_500_000), "1.5ms"}, {elapsed(50e6), "50ms"}, {elapsed(2_500e6), "2.5s"},
		{cut("checkout", 8), "checkout"}, {cut("checkout-7d9f", 8), "chec…d9f"}, {cut("ab", 1), "…"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
}

func TestAppendEdge(t *testing.T) {
	m := sketch("shop/web > api.example.com http/80 4 1", "shop/web > shop/web tcp/9000")
	m.Edges[0].Protocols = []string{"http", "ws"}
	m.Nodes[1].Members = 3
	for i, want := range []string{
		`{"src":{"name":"web","kind":"Deployment","namespace":"shop","workload":"web"},"dst":{"name":"api.example.com","kind":"DNS","dns":"api.example.com","members":3},` +
			`"protocol":"http","protocols":["http","ws"],"transport":"tcp","port":80,"flows":1,"packets":0,"bytes":1000,"calls":4,"errors":1,"elapsed_time":{"p50":`,
		`{"src":{"name":"web","kind":"Deployment","namespace":"shop","workload":"web"},"dst":{"name":"web","kind":"Deployment","namespace":"shop","workload":"web"},` +
			`"transport":"tcp","port":9000,"flows":1,"packets":0,"bytes":2000}`,
	} {
		if got := string(AppendEdge(nil, m, i)); !strings.HasPrefix(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func fits(t *testing.T, d *Drawing, o Options) {
	t.Helper()
	if o.Height > 0 && len(d.Lines) > o.Height {
		t.Errorf("%d lines", len(d.Lines))
	}
	for _, line := range d.Lines {
		if w := utf8.RuneCountInString(line); o.Width > 0 && !o.Color && w > o.Width {
			t.Errorf("%d characters: %s", w, line)
		}
		if strings.HasSuffix(line, " ") {
			t.Errorf("blanks at the end: %q", line)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, tt := range []struct{ n, w, h int }{{12, 80, 24}, {60, 120, 40}, {60, 0, 0}, {200, 120, 40}, {2000, 120, 40}, {2000, 0, 0}} {
		m := many(tt.n, 1)
		b.Run(fmt.Sprintf("%d-%dx%d", tt.n, tt.w, tt.h), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				Draw(m, Options{Width: tt.w, Height: tt.h})
			}
		})
	}
}

// TestMapStays: edges that are drawn as one stay two in the map.
func TestMapStays(t *testing.T) {
	m := sketch("a/x > a/y http/80 3", "a/x > a/y http/81 5", "a/x > b/z http/81 7")
	for range 2 {
		Draw(m, Options{})
		if ls := Links(m); ls[0].Edge.Latency.Count() != 8 || ls[0].Edge.Calls != 8 {
			t.Errorf("%d of %d calls", ls[0].Edge.Latency.Count(), ls[0].Edge.Calls)
		}
		for i, want := range []uint64{3, 5, 7} {
			if got := m.Edges[i].Latency.Count(); got != want {
				t.Errorf("edge %d: %d, want %d", i, got, want)
			}
		}
	}
}
