package sshd

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/worker/query"
)

// attempt is one thing that a user tries, to see what they may not. A new feature adds its row.
type attempt struct {
	name string
	as   string // who, default ada, of the shop
	// run tries it, and returns all that the user got.
	run func(t *testing.T, x *tenants, as string) string
	own string // what the user must get: an attempt that gets nothing proves nothing; "": nothing
	// same: with the bank's traffic in the stores the user gets what there is without it, to the
	// byte. The totals of nodes differ.
	same   bool
	audit  []string // what the audit log's line of it holds; $STREAM stands for the bank's flow
	honest bool     // only where workers obey: what is told is an error of the worker's
}

// $STREAM, $CALL and $PORT in a command are of a flow that the bank keeps to itself.
func (x *tenants) fill(text string) string {
	return strings.NewReplacer("$STREAM", x.stream, "$CALL", fmt.Sprint(x.call), "$PORT", fmt.Sprint(bankPort)).Replace(text)
}

// typed is a command line over ssh.
func typed(line string) func(*testing.T, *tenants, string) string {
	return func(t *testing.T, x *tenants, as string) string {
		r := finish(t, x.ssh(as, nil, x.fill(line)))
		return fmt.Sprintf("%s\n%s\nstatus %d", r.out, r.stderr, r.status)
	}
}

// ownStream prints the bytes of the oldest flow that ada may see.
func ownStream(flags string) func(*testing.T, *tenants, string) string {
	return func(t *testing.T, x *tenants, as string) string {
		r := finish(t, x.ssh("ada", nil, "calls --first 1 -o json --since 2020-01-01"))
		var c struct{ Stream string }
		if err := json.Unmarshal([]byte(r.out), &c); err != nil {
			t.Fatalf("%v: %+v", err, r)
		}
		return typed("stream "+c.Stream+" "+flags)(t, x, as)
	}
}

// follow runs a command line while the shop and the bank talk, until it shows own.
func follow(line, own string) func(*testing.T, *tenants, string) string {
	return func(t *testing.T, x *tenants, as string) string {
		cmd := x.ssh(as, nil, x.fill(line))
		var out, errs lockedBuffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It follows from now on, whenever that is: the traffic comes until it is seen.
		n := 0
		until(t, line+" shows "+own, func() bool {
			n++
			x.exchange(till, vault, 80, uint16(50000+n), "/"+secret+"/live", "500 "+secret, true)
			x.exchange(web, cart, 80, uint16(20000+n), "/own/live", "200 OK", true)
			return strings.Contains(out.String(), own)
		})
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return out.String() + errs.String()
	}
}

// transfer runs a batch of sftp, and returns what came, with the files that were got.
func transfer(batch string) func(*testing.T, *tenants, string) string {
	return func(t *testing.T, x *tenants, as string) string {
		dir := t.TempDir()
		cmd := exec.Command(tool(t, "sftp"), append(x.options(as), "-P", x.port, "-b", "-", "ops@127.0.0.1")...)
		cmd.Stdin, cmd.Dir = strings.NewReader(x.fill(batch)+"\n"), dir
		r := finish(t, cmd)
		return fmt.Sprintf("%s\n%s\n%s", r.out, strings.ReplaceAll(r.stderr, dir, ""), content(t, dir))
	}
}

// copied runs scp -O, the old protocol.
func copied(path string) func(*testing.T, *tenants, string) string {
	return func(t *testing.T, x *tenants, as string) string {
		dir := t.TempDir()
		r := finish(t, exec.Command(tool(t, "scp"), append(x.options(as), "-O", "-r", "-P", x.port, "ops@127.0.0.1:"+x.fill(path), dir)...))
		return fmt.Sprintf("%s\n%s\nstatus %d", content(t, dir), strings.ReplaceAll(r.stderr, dir, ""), r.status)
	}
}

// kept makes a snapshot, copies it down, and returns all that is in it.
func kept(name, line string) func(*testing.T, *tenants, string) string {
	return func(t *testing.T, x *tenants, as string) string {
		got := typed(line)(t, x, as)
		file := filepath.Join(t.TempDir(), name+".tar.gz")
		r := x.scpAs(as, x.remote("/snapshots/"+name+".tar.gz"), file)
		packed, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%s\n%+v", got, r)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s\n%s\nstatus %d\n%s", got, r.stderr, r.status, all)
	}
}

// content is all files of a folder.
func content(t *testing.T, dir string) string {
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s: %d bytes\n%s\n", d.Name(), len(b), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// shown runs the screen until it shows own.
func shown(line, own string) func(*testing.T, *tenants, string) string {
	return func(t *testing.T, x *tenants, as string) string {
		if as != "ada" {
			t.Fatal("terminals are ada's")
		}
		term := x.terminal(40, 160, nil, x.fill(line))
		term.shows(own)
		_ = term.cmd.Process.Kill()
		<-term.end
		return term.text()
	}
}

var attempts = []attempt{
	// What there is to see: own calls, and those that touch the own namespace.
	{name: "calls", run: typed("calls --all"), own: "/mixed/1", same: true, audit: []string{`"what":"calls --all"`, `"namespaces":["shop"]`, `"told":10`}},
	{name: "calls as JSON", run: typed("calls --all -o json"), own: `"path":"/own/2"`, same: true},
	{name: "the newest", run: typed("calls --last 5 -o json"), own: "/own/last", same: true},
	{name: "the oldest", run: typed("calls --first 5 -o json"), own: "/own/0", same: true},
	{name: "all sightings", run: typed("calls --all --vantage both -o json"), own: "/own/0", same: true},
	{name: "at the client", run: typed("calls --all --vantage client -o json"), own: "/own/0", same: true},
	{name: "at the server", run: typed("calls --all --vantage server -o json"), own: "/own/0", same: true},
	{name: "flows", run: typed("flows --all -o json"), own: `"cart-0"`, same: true},
	{name: "flows, all sightings", run: typed("flows --all --vantage both -o wide"), own: "cart-0", same: true},

	// Filters that are aimed at the bank.
	{name: "by flag", run: typed("calls --all -n bank"), own: "/mixed/", same: true, audit: []string{"-n bank"}},
	{name: "by namespace", run: typed(`calls --all 'src.namespace == "bank"'`), own: "none of the 10 calls", same: true, audit: []string{`"told":0`, `src.namespace == \"bank\"`}},
	{name: "by both namespaces", run: typed(`calls --all 'src.namespace == "bank" && dst.namespace == "bank"'`), same: true, own: "none of the 10 calls"},
	{name: "by not being the own", run: typed(`calls --all '!("shop" in namespaces)'`), same: true, own: "none of the 10"},
	{name: "by pod", run: typed(`flows --all 'dst.pod.name.startsWith("vault")'`), same: true, own: "none of the 10"},
	{name: "by label", run: typed(`flows --all 'dst.labels["key"] != ""'`), same: true, own: "none of the 10"},
	{name: "by address", run: typed(`flows --all --ip 10.0.2.2 --vantage both`), same: true, own: "status 0"},
	{name: "by network", run: typed(`flows --all --ip 192.0.2.0/24`), same: true, own: "status 0"},
	{name: "by nobody's name", run: typed(`flows --all 'src.namespace == "" && dst.namespace == ""'`), same: true, own: "none of the 10"},
	{name: "by stream", run: typed(`calls --all 'stream == "$STREAM"'`), same: true, own: "none of", audit: []string{`stream == \"$STREAM\"`}},
	{name: "by ID", run: typed(`calls --all 'id == $CALL'`), same: true, own: "none of the 10"},
	{name: "by either", run: typed(`calls --all -o json 'true || src.namespace == "bank"'`), same: true, own: "/own/1"},
	{name: "by breaking out", run: typed(`calls --all -o json 'false) || (true'`), same: true, own: "status 2"},
	{name: "by breaking out of a shorthand", run: typed(`calls --all -o json -n 'x") || ("" == "'`), same: true, own: "status"},

	// Filters as oracles: what they answer, fail of, or count must not tell of the bank.
	{name: "oracle: status", run: typed(`calls --all 'status_code == 503'`), same: true, own: "none of the 10"},
	{name: "oracle: path", run: typed(`calls --all 'path.contains("SEC")'`), same: true, own: "none of the 10"},
	{name: "oracle: body", run: typed(`calls --all 'body.contains("503")'`), same: true, own: "none of the 10"},
	{name: "oracle: error", run: typed(`calls --all -o json 'error'`), same: true, own: "/own/last"},
	{name: "oracle: has", run: typed(`calls --all -o json 'has(path) && !has(src.namespace)'`), same: true, own: "none of the 10"},
	{name: "oracle: now", run: typed(`calls --all -o json 'time < now() && !("shop" in namespaces)'`), same: true, own: "none of the 10"},
	{name: "oracle: division", honest: true, run: typed(`calls --all -o json '1 / (src.port - $PORT) == 7'`), same: true, own: "none of the 10"},
	{name: "oracle: division of flows", honest: true, run: typed(`flows --all -o json '1 / (src.port - $PORT) == 7'`), same: true, own: "none of the 10"},
	{name: "oracle: division of packets", honest: true, run: typed(`pcap --since 1h '1 / (src.port - $PORT) == 7'`), same: true, own: "status 0"},
	{name: "oracle: caret", run: typed(`calls --all 'src.nmespace == "bank"'`), same: true, own: "status 2"},
	{name: "the filter that flags stand for", run: typed(`calls --print-filter -n bank`), same: true, own: "bank"},

	// Sums, and names.
	{name: "stats", run: typed("stats --all -o json"), own: `"calls":10,`, same: true, audit: []string{`"what":"stats --all -o json"`, `"namespaces":["shop"]`, `"told":10`}},
	{name: "stats by name", run: typed("stats --all --by src.namespace,src,dst,src.ip,dst.ip,node -o json"), own: `"cart-0"`, same: true},
	{name: "stats by what was said", run: typed("stats --all --by path,status_code,summary"), own: "/own/0", same: true},
	{name: "stats by stream and call", run: typed("stats --all --by stream,id"), own: "STREAM", same: true},
	{name: "stats by label", run: typed("stats --all --by src.labels.key,dst.labels.key -o json"), own: `"calls":10,`, same: true},
	{name: "stats of the bank", run: typed(`stats --all 'src.namespace == "bank" && dst.namespace == "bank"'`), own: "none of the 10 calls", same: true},
	{name: "stats of a window", run: typed("stats --since 2026-01-02T15:00:00Z --until 2026-01-02T15:30:00Z --by src"), own: "web-0", same: true},
	{name: "names", run: typed("names --all -o json"), own: `"cart-0"`, same: true, audit: []string{`"what":"names --all -o json"`, `"namespaces":["shop"]`}},
	{name: "names, all sightings", run: typed("names --all --vantage both -o wide"), own: "cart-0", same: true},
	{name: "names of the bank's address", run: typed("names --all 10.0.2.2"), own: "status 0", same: true},
	{name: "names of a network", run: typed("names --all 0.0.0.0/0"), own: "cart-0", same: true},
	{name: "names of nobody", run: typed("names --all 192.0.2.0/24"), own: "status 0", same: true},

	// Packets.
	{name: "packets", run: typed("pcap --since 1h"), own: "/mixed/1", same: true, audit: []string{`"what":"pcap --since 1h"`, `"namespaces":["shop"]`}},
	{name: "packets without a flow", run: typed("pcap --since 1h"), own: "own arp", same: true},
	{name: "packets at an end", run: typed("pcap --since 1h --vantage client"), own: "/own/1", same: true},
	{name: "packets, classic", run: typed("pcap --since 1h -o pcap"), own: "/own/1", same: true},
	{name: "packets of the bank", run: typed("pcap --since 1h -n bank"), own: "/mixed/1", same: true},
	{name: "packets by payload", run: typed("pcap --since 1h 'status_code == 503'"), own: "status 0", same: true},
	{name: "packets by address", run: typed("pcap --since 1h --ip 10.0.2.2"), own: "status 0", same: true},
	{name: "packets by stream", run: typed(`pcap --since 1h 'stream == "$STREAM"'`), own: "status 0", same: true},
	{name: "packets of no namespace", run: typed(`pcap --since 1h '!("shop" in namespaces)'`), own: "status 0"},

	// Files.
	{name: "tree", run: transfer("ls -1 /namespaces"), own: "shop", same: true},
	{name: "namespace", run: transfer("-ls /namespaces/bank\n-get /namespaces/bank/last/1h.pcapng"), own: "not found", same: true,
		audit: []string{`"what":"/namespaces/bank`, `"refused":true`}},
	{name: "pod", run: transfer("-get /namespaces/bank/pods/vault-SECRET/last/1h.pcapng x"), own: "not found", audit: []string{`/namespaces/bank/pods/vault-SECRET`, `"refused":true`}},
	{name: "pod of the own namespace", run: transfer("ls -1 /namespaces/shop/pods\nget /namespaces/shop/pods/web-0/last/1h.pcapng x"), own: "/mixed/2", same: true},
	{name: "own namespace", run: transfer("get /namespaces/shop/last/1h.pcapng x"), own: "/own/2", same: true, audit: []string{`"what":"/namespaces/shop/last/1h.pcapng"`, `"bytes":`}},
	{name: "node", run: transfer("ls -1 /nodes\nget /nodes/node-a/last/1h.pcapng x"), own: "/own/2", same: true},
	{name: "all there is", run: transfer("get /last/1h.pcapng x"), own: "/own/2", same: true, audit: []string{`"what":"/last/1h.pcapng"`}},
	{name: "closed window", run: transfer("ls -l /between/20260102T150405Z_20260102T150500Z.pcapng\nget /between/20260102T150405Z_20260102T150500Z.pcapng x"), own: "/own/2", same: true},
	{name: "streams", run: transfer("ls -1 /streams"), own: ".client.bin", same: true},
	{name: "stream", run: transfer("-get /streams/$STREAM.pcapng x"), own: "not found", same: true, audit: []string{"/streams/$STREAM.pcapng", `"refused":true`, "file does not exist"}},
	{name: "stream of the client", run: transfer("-get /streams/$STREAM.client.bin x"), own: "not found", same: true, audit: []string{"/streams/$STREAM.client.bin", `"refused":true`}},
	{name: "stream of the server", run: transfer("-ls -l /streams/$STREAM.server.bin"), own: "not found", same: true, audit: []string{"/streams/$STREAM.server.bin", `"refused":true`}},
	{name: "old scp", run: copied("/last/1h.pcapng"), own: "/own/2", same: true},
	{name: "old scp, namespace", run: copied("/namespaces/bank"), own: "status 1", same: true, audit: []string{`"what":"/namespaces/bank"`}},
	{name: "old scp, glob", run: copied("/namespaces/*/last/1h.pcapng"), own: "/own/2", same: true},
	{name: "old scp, stream", run: copied("/streams/$STREAM.pcapng"), own: "status 1", same: true},

	// The map.
	{name: "map", run: typed("map --all"), own: "cart", same: true, audit: []string{`"what":"map --all"`, `"namespaces":["shop"]`}},
	{name: "map as JSON", run: typed("map --all --by pod -o json"), own: `"cart-0"`, same: true},
	{name: "map of sightings", run: typed("map --all --by node --vantage both -o dot"), own: "digraph", same: true},
	{name: "map of the bank", run: typed(`map --all -o json 'src.namespace == "bank" && dst.namespace == "bank"'`), own: "none of the", same: true},
	{name: "map, oracle", run: typed(`map --all -o json 'status_code == 503'`), own: "none of the", same: true},

	// Bytes of streams.
	{name: "bytes of a stream", run: typed("stream $STREAM"), own: "no such flow", same: true, audit: []string{`"what":"stream $STREAM"`, `"status":1`}},
	{name: "bytes of a stream as JSON", run: typed("stream $STREAM -o json"), own: "status 1", same: true},
	{name: "bytes of a stream, raw", run: typed("stream $STREAM -o raw --side server"), own: "status 1", same: true},
	{name: "bytes of an own stream", run: ownStream("-o text"), own: "/own/0", same: true, audit: []string{`"what":"stream `, `"namespaces":["shop"]`}},
	{name: "bytes of an own stream, raw", run: ownStream("-o raw --side client"), own: "GET /own/0", same: true},

	// The screen.
	{name: "screen", run: shown("tui calls", "/own/last"), own: "/own/last", audit: []string{`"msg":"question"`, `"kind":"screen"`, `"what":"calls`}},
	{name: "screen with a filter", run: shown(`tui calls '"bank" in namespaces'`, "/mixed/2"), own: "/mixed/2", audit: []string{`"kind":"screen"`, `in namespaces`}},
	{name: "screen of nodes", run: shown("tui nodes", "node-b"), own: "node-b"},

	// Snapshots: kept is the operator's, and holds everything.
	{name: "snapshots", run: typed("snapshot list"), own: "kept", same: true},
	{name: "snapshots as JSON", run: typed("snapshot list -o json"), own: `"by":"ops"`, same: true},
	{name: "snapshot shown", run: typed("snapshot show kept"), own: "status 4", same: true, audit: []string{`"refused":true`, "other namespaces"}},
	{name: "snapshot made", run: typed("snapshot create x --since 1h"), own: "status 4", same: true, audit: []string{"snapshot create x", `"refused":true`}},
	{name: "snapshot deleted", run: typed("snapshot delete kept"), own: "status 4", same: true, audit: []string{"snapshot delete kept", `"refused":true`}},
	{name: "snapshot asked", run: typed("calls --snapshot kept -o json"), own: "/own/0", same: true},
	{name: "snapshot asked for all sightings", run: typed("calls --snapshot kept --vantage both -o json"), own: "/own/0", same: true},
	{name: "snapshot asked for flows", run: typed("flows --snapshot kept -o json"), own: `"cart-0"`, same: true},
	{name: "snapshot asked for packets", run: typed("pcap --snapshot kept"), own: "/mixed/1", same: true},
	{name: "snapshot asked for packets of the bank", run: typed("pcap --snapshot kept -n bank"), own: "/mixed/1", same: true},
	{name: "snapshot asked for nodes", run: typed("nodes --snapshot kept -o json"), own: "web-0"},
	{name: "snapshot, by namespace", run: typed(`calls --snapshot kept 'src.namespace == "bank"'`), own: "none of the 10 calls", same: true},
	{name: "snapshot, by stream", run: typed(`calls --snapshot kept 'stream == "$STREAM"'`), own: "none of", same: true},
	{name: "snapshot, oracle: status", run: typed(`calls --snapshot kept 'status_code == 503'`), own: "none of the 10", same: true},
	{name: "snapshot, oracle: division", run: typed(`calls --snapshot kept -o json '1 / (src.port - $PORT) == 7'`), own: "none of the 10", same: true},
	{name: "snapshot's file", run: transfer("ls -l /snapshots\n-get /snapshots/kept.tar.gz x"), own: "kept.tar.gz", same: true,
		audit: []string{"/snapshots/kept.tar.gz", `"refused":true`, "other namespaces"}},
	{name: "snapshot's file, old scp", run: copied("/snapshots/kept.tar.gz"), own: "status 1", same: true},
	{name: "snapshots' files, old scp", run: copied("/snapshots/*"), own: "status 1", same: true},
	{name: "snapshot removed", run: transfer("-rm /snapshots/kept.tar.gz"), own: "may not manage snapshots", same: true},
	{name: "snapshot, screen", run: shown("tui --snapshot kept calls", "/own/last"), own: "/own/last", audit: []string{`"kind":"screen"`}},
	{name: "snapshot of the own", as: "kim", run: kept("own", "snapshot create own --since 1h"), own: "/mixed/2", same: true,
		audit: []string{`"what":"create own"`, `"bytes":`}},
	{name: "snapshot of the bank", as: "kim", run: kept("bank", "snapshot create bank --since 1h -n bank"), own: "/mixed/2", same: true},
	{name: "snapshot by payload", as: "kim", run: kept("payload", "snapshot create payload --since 1h 'status_code == 503'"), own: "status 0", same: true},
	{name: "snapshot of others deleted", as: "kim", run: typed("snapshot delete kept"), own: "status 4", same: true},
	{name: "snapshot's metadata", as: "meg", run: typed("calls --snapshot kept -o json"), own: `"elapsed_time"`, same: true},
	{name: "snapshot's metadata, oracle", as: "meg", run: typed("calls --snapshot kept 'status_code == 404'"), own: "status 4", same: true},
	{name: "snapshot's metadata, packets", as: "meg", run: typed("pcap --snapshot kept"), own: "status 4", same: true},
	{name: "nothing: snapshots", as: "nil", run: typed("snapshot list"), own: "status 4", same: true},
	{name: "nothing: snapshot asked", as: "nil", run: typed("calls --snapshot kept"), own: "status 4", same: true},
	{name: "nothing: snapshot brought", as: "nil", run: transfer("put authorized_keys /snapshots/x.tar.gz"), own: "may not export", same: true},

	// What else there is.
	{name: "nodes", run: typed("nodes -o json"), own: "web-0"},
	{name: "doctor", run: typed("doctor -o json"), own: "node-a"},
	{name: "whoami", run: typed("whoami"), own: "see, payload, export in shop"},

	// Who may see who speaks with whom, and not what they say.
	{name: "metadata", as: "meg", run: typed("calls --all -o wide"), own: "cart-0", same: true},
	{name: "metadata as JSON", as: "meg", run: typed("calls --all -o json"), own: `"elapsed_time"`, same: true},
	{name: "metadata by error", as: "meg", run: typed("calls --all -o json error"), own: `"error":true`, same: true},
	{name: "metadata, oracle", as: "meg", run: typed("calls --all 'status_code == 404'"), own: "status 4", same: true,
		audit: []string{`"user":"meg"`, `"refused":true`, "status_code", `"status":4`}},
	{name: "metadata, oracle of flows", as: "meg", run: typed("flows --all 'has(path)'"), own: "status 4", same: true},
	{name: "metadata, stats", as: "meg", run: typed("stats --all --by src,dst,protocol,error,node -o json"), own: `"cart-0"`, same: true},
	{name: "metadata, stats of what was said", as: "meg", run: typed("stats --all --by path"), own: "status 4", same: true, audit: []string{`"user":"meg"`, `"refused":true`, "path"}},
	{name: "metadata, stats by status", as: "meg", run: typed("stats --all --by protocol,status_code"), own: "status 4", same: true},
	{name: "metadata, map", as: "meg", run: typed("map --all -o json"), own: `"cart-0"`, same: true},
	{name: "metadata, map of what was said", as: "meg", run: typed("map --all 'status_code == 404'"), own: "status 4", same: true, audit: []string{`"user":"meg"`, `"refused":true`}},
	{name: "metadata, names", as: "meg", run: typed("names --all"), own: "cart-0", same: true},
	{name: "metadata, bytes", as: "meg", run: typed("stream $STREAM"), own: "status 4", same: true, audit: []string{`"user":"meg"`, `"refused":true`}},
	{name: "metadata, own bytes", as: "meg", run: ownStream("-o text"), own: "status 4", same: true},
	{name: "metadata, packets", as: "meg", run: typed("pcap --since 1h"), own: "status 4", same: true, audit: []string{`"user":"meg"`, `"refused":true`}},
	{name: "metadata, files", as: "meg", run: transfer("get /last/1h.pcapng"), own: "may not export", same: true},

	// Who may see everything, and what is said only in the shop.
	{name: "half metadata", as: "max", run: typed("calls --all -o json -n shop"), own: "/mixed/0", same: true},
	{name: "half metadata, oracle", as: "max", run: typed("calls --all -o json 'status_code > 0'"), own: "/mixed/0", same: true},
	{name: "half metadata, stats", as: "max", run: typed("stats --all --by path -n shop"), own: "/own/0", same: true},
	{name: "half metadata, stream", as: "max", run: typed("calls --all -o json 'path.contains(\"SEC\") || path.contains(\"own\")'"), own: "/own/1", same: true},

	// Who may do nothing.
	{name: "nothing: calls", as: "nil", run: typed("calls"), own: "status 4", same: true, audit: []string{`"user":"nil"`, `"refused":true`}},
	{name: "nothing: flows", as: "nil", run: typed("flows -f"), own: "status 4", same: true},
	{name: "nothing: stats", as: "nil", run: typed("stats"), own: "status 4", same: true},
	{name: "nothing: map", as: "nil", run: typed("map"), own: "status 4", same: true},
	{name: "nothing: names", as: "nil", run: typed("names"), own: "status 4", same: true},
	{name: "nothing: stream", as: "nil", run: typed("stream $STREAM"), own: "status 4", same: true},
	{name: "nothing: pcap", as: "nil", run: typed("pcap"), own: "status 4", same: true},
	{name: "nothing: tcpdump", as: "nil", run: typed("tcpdump -U -i any -w -"), own: "status 4", same: true},
	{name: "nothing: nodes", as: "nil", run: typed("nodes"), own: "status 4", same: true},
	{name: "nothing: doctor", as: "nil", run: typed("doctor"), own: "status 4", same: true},
	{name: "nothing: tui", as: "nil", run: typed("tui"), own: "status 4", same: true},
	{name: "nothing: files", as: "nil", run: transfer("ls /"), own: "may not export", same: true},
	{name: "nothing: scp", as: "nil", run: copied("/last/1h.pcapng"), own: "may not export", same: true},
	{name: "nothing: whoami", as: "nil", run: typed("whoami"), own: "no rule of the policy"},
	{name: "nothing: help", as: "nil", run: typed("help"), own: "Commands", same: true},
	{name: "nothing: version", as: "nil", run: typed("version"), own: "sshark test", same: true},

	// What comes in from now on: last, since each of them adds traffic.
	{name: "followed", run: follow("calls -f -o json", "/own/live"), own: "/own/live"},
	{name: "flows followed", run: follow("flows -f -o json", `"cart-0"`), own: "cart-0"},
	{name: "packets followed", run: follow("pcap -f", "/own/live"), own: "/own/live"},
	{name: "packets followed by payload", run: follow("pcap -f 'http'", "/own/live"), own: "/own/live"},
	{name: "tcpdump", run: follow("tcpdump -U -i any -w -", "/own/live"), own: "/own/live"},
}

// lineSet is the lines of a text in order.
func lineSet(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// leaks says what of the bank's own traffic is in a text.
func leaks(text string) string {
	for what, needle := range map[string]string{
		"the secret": secret, "the vault": "vault", "its address": "10.0.2.2", "its address in a packet": string(netip.MustParseAddr(vault.addr).AsSlice()),
		"nobody's address": "192.0.2.", "nobody's address in a packet": string([]byte{192, 0, 2, 1}),
	} {
		if i := strings.Index(text, needle); i >= 0 {
			return fmt.Sprintf("%s: %q", what, text[max(0, i-60):min(len(text), i+60)])
		}
	}
	return ""
}

// ownWords are what sftp types for the user, and its complaints about it.
var ownWords = regexp.MustCompile(`^sftp> |^(File|Can't ls:) ".*" not found\.?\r?\n?$`)

// heard is what a user got without what sftp says of the user's own words.
func heard(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !ownWords.MatchString(line) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// TestLeaks: a user of one namespace tries everything that the console has to see another's
// traffic. It is refused or shows nothing, as if the other's traffic were not there; each attempt
// is in the audit log.
func TestLeaks(t *testing.T) {
	with, without := newTenants(t, true, true, withSnapshots(t, t.TempDir())), newTenants(t, false, true, withSnapshots(t, t.TempDir()))
	for _, x := range []*tenants{with, without} {
		if r := x.as("ops", "snapshot create kept --since 1h"); r.status != 0 {
			t.Fatalf("%+v", r)
		}
	}
	defer func() { with.t, without.t = t, t }()
	with.find()
	without.stream, without.call = with.stream, with.call
	// What is looked for can be seen, by who may.
	if r := finish(t, with.ssh("ops", nil, "calls --all --vantage both")); leaks(r.out) == "" || !strings.Contains(r.out, "10.9.9.9") && !strings.Contains(r.out, "agent") {
		t.Fatalf("the operator does not see the bank: %+v", r)
	}
	for _, a := range slices.Concat(replayAttempts, attempts) {
		t.Run(a.name, func(t *testing.T) {
			as := a.as
			if as == "" {
				as = "ada"
			}
			with.t, without.t = t, t
			got := a.run(t, with, as)
			if !strings.Contains(got, a.own) {
				t.Errorf("it lacks %q:\n%s", a.own, got)
			}
			if why := leaks(heard(got)); why != "" && as != "max" {
				t.Errorf("it shows %s", why)
			}
			if a.same {
				// What the client says and what the console says come in any order.
				if want := a.run(t, without, as); lineSet(got) != lineSet(want) {
					t.Errorf("it differs from what there is without the bank's traffic:\n%s\nwithout:\n%s", got, want)
				}
			}
			audit := []string{fmt.Sprintf(`"user":%q`, as)}
			for _, w := range a.audit {
				audit = append(audit, with.fill(w))
			}
			with.audited(audit...)
		})
	}
	// The hub had nothing to leave out: the workers themselves tell no more.
	for _, m := range with.members {
		var told said
		if _, err := m.Source.Packets(t.Context(), &query.Request{Access: query.Access{Limited: true, Namespaces: []string{"shop"}}}, &told); err != nil || len(told) == 0 {
			t.Errorf("%s tells %d bytes: %v", m.Name, len(told), err)
		}
		if why := leaks(string(told)); why != "" {
			t.Errorf("%s tells %s", m.Name, why)
		}
	}
	for _, x := range []*tenants{with, without} {
		if strings.Contains(x.log.String(), "workers told") {
			t.Error("a worker told what it was not asked for")
		}
	}
}

// TestLeaksOfDisobedientWorkers: the same, with workers that tell everything to everybody: what
// they tell is judged again in the hub.
func TestLeaksOfDisobedientWorkers(t *testing.T) {
	x := newTenants(t, true, false, withSnapshots(t, t.TempDir()))
	x.find()
	if r := x.as("ops", "snapshot create kept --since 1h"); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	defer func() { x.t = t }()
	for _, a := range slices.Concat(replayAttempts, attempts) {
		if a.honest || a.as == "max" || a.as == "nil" {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			as := a.as
			if as == "" {
				as = "ada"
			}
			x.t = t
			got := a.run(t, x, as)
			if why := leaks(heard(got)); why != "" {
				t.Errorf("it shows %s", why)
			}
			if as == "meg" && (strings.Contains(got, "/own/") || strings.Contains(got, "/mixed/")) {
				t.Errorf("it shows what was said:\n%s", got)
			}
		})
	}
	x.t = t
	x.logged("workers told what they were not asked for")
}

// said is all that a worker says in packets, names included.
type said []byte

func (s *said) Packet(p *pcap.Packet) error { *s = append(*s, p.Data...); return nil }
func (s *said) Name(n pcap.Name) error      { *s = append(*s, fmt.Sprintln(n)...); return nil }
func (s *said) Flush() error                { return nil }
