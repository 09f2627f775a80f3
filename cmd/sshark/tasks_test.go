package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// newUser is somebody who has read a document and types what stands in it, beside a console
// that was just started.
type newUser struct {
	t        *testing.T
	dir      string // where they are, and their home
	ssh, scp string // what stands for the console in a command
	id       string // of a connection that the first task found
	server   string // its server's address and port
}

// apart keeps a launched process from the named network namespaces of the machine: it has its
// own, and sees no others.
func (c *console) apart() {
	c.t.Helper()
	needs(c.t, "unshare", "mount")
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		c.t.Fatal(err)
	}
	c.cmd.Path = lookPath(c.t, "unshare")
	c.cmd.Args = slices.Concat([]string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /run/netns && exec "$@"`, "sh"}, c.cmd.Args)
}

// section is a part of a document, without its title.
func section(t *testing.T, path, title string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", path, title)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

// typed matches a command to type: a line of a block, or code in a line of text.
var typed = regexp.MustCompile("(?m)^((?:ssh|scp) .*)$|`((?:ssh|scp) (?:…|console)[^`]*)`")

// commandsOf are the commands of a text, in their order.
func commandsOf(text string) (all []string) {
	for _, m := range typed.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1]+m[2])
	}
	return all
}

// types runs a command of a document, with what stands in it for something put in its place.
func (u *newUser) types(command string) answer {
	u.t.Helper()
	line := strings.NewReplacer(
		"ssh …", u.ssh, "ssh console", u.ssh, "scp …", u.scp, "scp console", u.scp,
		"ID", u.id, "0123456789abc", u.id, "cart-canary.shop:8080", "'"+u.server+"'",
		// The demo's pods have no labels, so there are no services.
		"--to-service cart", "--to-pod shop-cart", "--from-service cart", "--from-pod shop-cart", "--service cart", "--pod shop-cart",
	).Replace(command)
	ctx, cancel := context.WithTimeout(u.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = u.dir, append(os.Environ(), "HOME="+u.dir)
	cmd.WaitDelay = time.Second
	return run(u.t, cmd)
}

// gets is types for what must work.
func (u *newUser) gets(command string) string {
	u.t.Helper()
	a := u.types(command)
	if a.status != 0 {
		u.t.Fatalf("%s: exit status %d: %s%s", command, a.status, a.out, a.errs)
	}
	return a.out
}

// fields are the columns of a table's lines, its head apart.
func fields(t *testing.T, table string) (rows [][]string) {
	t.Helper()
	for _, line := range lines(table)[1:] {
		rows = append(rows, strings.Fields(line))
	}
	return rows
}

// finds is the first task: which calls failed. It goes on until one of them can be sent again,
// since a connection that is older than the capture cannot.
func (u *newUser) finds(command string) {
	u.t.Helper()
	server := regexp.MustCompile(`(?m)^to +(\S+) shop-cart`)
	await(u.t, "failing calls of the cart, and a connection that was seen from its beginning", func() bool {
		table := u.gets(command)
		if !strings.Contains(table, "\n") {
			return false
		}
		if head := strings.Fields(table)[:10]; head[9] != "STREAM" {
			u.t.Fatalf("%s: the last column is not the ID: %q", command, head)
		}
		rows := fields(u.t, table)
		for _, row := range rows {
			if !strings.HasPrefix(row[2], "shop-gateway:") || row[3] != "shop-cart:8080" || row[4] != "http" {
				u.t.Fatalf("%s: not a call to the cart: %q", command, row)
			}
		}
		u.id = rows[len(rows)-1][len(rows[len(rows)-1])-1]
		plan := u.types("ssh … replay ID")
		if m := server.FindStringSubmatch(plan.out); m != nil {
			u.server = m[1]
		}
		return plan.status == 0 && u.server != "" && len(rows) >= 3
	})
}

// opens holds that a file opens in Wireshark, with failing calls and the names of pods. one: it is
// of one connection, as one of its ends saw it.
func (u *newUser) opens(name string, one bool) {
	u.t.Helper()
	path := filepath.Join(u.dir, name)
	if out := lines(tshark(u.t, path, "-Y", "http.response.code >= 400", "-T", "fields", "-e", "tcp.stream")); len(out) == 0 {
		u.t.Errorf("%s: no failing call", name)
	}
	of := lines(tshark(u.t, path, "-T", "fields", "-e", "tcp.stream", "-e", "frame.interface_name"))
	streams, interfaces := map[string]bool{}, map[string]bool{}
	for _, line := range of {
		stream, iface, _ := strings.Cut(line, "\t")
		streams[stream], interfaces[iface] = true, true
	}
	ends := 0
	for name := range interfaces {
		if strings.Contains(name, "shop-gateway") || strings.Contains(name, "shop-cart") {
			ends++
		}
	}
	if ends == 0 || one && len(streams) != 1 || !one && ends != 2 {
		u.t.Errorf("%s: %d connections on the interfaces %v", name, len(streams), interfaces)
	}
	named := run(u.t, exec.Command("tshark", "-N", "n", "-r", path, "-T", "fields", "-e", "ip.dst_host", "-e", "ipv6.dst_host"))
	if named.status != 0 || !strings.Contains(named.out, "shop-cart") {
		u.t.Errorf("%s: Wireshark does not name the cart: %.200s %s", name, named.out, named.errs)
	}
}

// TestTasks does the tasks of the documents as they say it, on what `make run` starts.
func TestTasks(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh", "scp", "tshark")
	c := launch(t, t.TempDir(), "--demo")
	c.apart()
	c.start()
	c.ready()
	u := &newUser{t: t, dir: t.TempDir(), ssh: c.line}
	_, line, _ := strings.Cut(c.out.String(), "for files: ")
	u.scp, _, _ = strings.Cut(line, ":/last/")
	if !strings.HasPrefix(u.scp, "scp ") {
		t.Fatalf("no scp command in what was printed: %s", c.out)
	}
	for _, tt := range []struct {
		document string
		commands int // at least
	}{{"README.md", 7}, {"docs/ask.md", 10}} {
		t.Run(filepath.Base(tt.document), func(t *testing.T) {
			of := *u
			of.t = t
			all := commandsOf(section(t, filepath.Join("..", "..", tt.document), "Four tasks"))
			if len(all) < tt.commands {
				t.Fatalf("%d commands, want %d: %q", len(all), tt.commands, all)
			}
			for _, command := range all {
				of.does(command)
			}
		})
	}
}

// does types a command of the tasks and looks at what comes of it.
func (u *newUser) does(command string) {
	u.t.Helper()
	words := strings.Fields(command)
	switch verb := words[2]; {
	case words[0] == "scp":
		u.gets(command)
		if name := filepath.Base(strings.NewReplacer("ID", u.id, "0123456789abc", u.id).Replace(words[1+strings.Count(command, "…")])); strings.HasSuffix(name, ".pcapng") {
			u.opens(name, true)
		} else if info, err := os.Stat(filepath.Join(u.dir, name)); err != nil || info.Size() == 0 {
			u.t.Errorf("%s: %v", command, err)
		}
	case verb == "calls" && strings.Contains(command, "-o wide"):
		u.finds(command)
	case verb == "calls":
		if out := u.gets(command); strings.Count(out, "shop-cart:8080") < 3 {
			u.t.Errorf("%s: %s", command, out)
		}
		u.finds(command + " -o wide") // as the text below says
	case verb == "stats":
		u.counts(command)
	case verb == "pcap":
		u.gets(command)
		u.opens(words[len(words)-1], false)
	case verb == "map":
		u.depends(command)
	case verb == "snapshot":
		u.gets(command)
	case verb == "replay" && slices.Contains(words, "--yes"):
		u.replays(command)
	case verb == "replay":
		a := u.types(command)
		if a.status != 0 || !strings.Contains(a.out, "shop-cart") || !strings.Contains(a.out, "call 1") || !strings.Contains(a.errs, "nothing was sent; --yes sends it") {
			u.t.Errorf("%s: %+v", command, a)
		}
	default:
		u.t.Errorf("%s: it is not known what is to be seen", command)
	}
}

// counts looks at how many calls failed, by path and status.
func (u *newUser) counts(command string) {
	u.t.Helper()
	failed := false
	for _, row := range fields(u.t, u.gets(command)) {
		if !strings.HasPrefix(row[0], "/carts/") {
			u.t.Errorf("%s: %q", command, row)
		}
		failed = failed || row[1] >= "400" && row[5] == "100.00"
	}
	if !failed {
		u.t.Errorf("%s: no failing call", command)
	}
}

// depends looks at what the cart calls: names are looked up, products, and, where there is Redis,
// what is in a cart.
func (u *newUser) depends(command string) {
	u.t.Helper()
	needed := []string{"shop-dns", "shop-catalog", "shop-orders"}
	if _, err := exec.LookPath("redis-server"); err == nil {
		needed = append(needed, "shop-redis")
	}
	await(u.t, "the map to have all that the cart depends on", func() bool {
		out := u.gets(command)
		return strings.Contains(out, "shop-cart") && !slices.ContainsFunc(needed, func(pod string) bool { return !strings.Contains(out, pod) })
	})
}

// replays sends a connection's requests again. The carts have changed since, so some of the
// answers may differ, and the exit status says whether they do.
func (u *newUser) replays(command string) {
	u.t.Helper()
	a := u.types(command)
	same := strings.Contains(a.out, "the same:")
	if !strings.Contains(a.out, "call 1 ") || !strings.Contains(a.out, "came back in") || strings.Contains(a.out, "failed") ||
		a.status > 1 || a.status == 0 != same || a.status == 1 && !strings.Contains(a.errs, "it differs") {
		u.t.Errorf("%s: %+v", command, a)
	}
}
