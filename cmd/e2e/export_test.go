package main_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// read is a file's content, nothing if there is none.
func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return b
}

// fields lets tshark print fields of the packets that match, one packet a line.
func fields(t *testing.T, file, filter string, names ...string) (rows [][]string) {
	t.Helper()
	words := []string{"tshark", "-r", file, "-T", "fields"}
	if filter != "" {
		words = append(words, "-Y", filter)
	}
	for _, n := range names {
		words = append(words, "-e", n)
	}
	for line := range strings.Lines(must(t, time.Minute, words...)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

// testExport: what is exported has every packet, and each names the pod that it was seen at.
func (s *suite) testExport(t *testing.T) {
	src, dst := s.who("far", ""), s.who("plain", "")
	at := func(e endpoint) string { return e.Namespace + "/" + e.Pod.Name + ":eth0" }
	file := filepath.Join(t.TempDir(), "across.pcapng")
	filter := of("across-nodes")
	pcap := func(vantage string) {
		t.Helper()
		must(t, time.Minute, "sh", "-c", words(s.console.with("ssh", "operator@"+release, "pcap", "--all", "--vantage", vantage, quote(filter)))+" >"+quote(file))
	}
	// Packets are told as they were seen: once at each end, unless one of the ends is asked for.
	for vantage, interfaces := range map[string][]string{
		"auto": {at(src), at(dst)}, "server": {at(dst)}, "client": {at(src)}, "both": {at(src), at(dst)},
	} {
		t.Run(vantage, func(t *testing.T) {
			flows := vantage
			if vantage == "auto" {
				flows = "both" // flows are joined, packets are not
			}
			var want uint64
			for _, f := range objects[flow](t, s.console.ask(t, "flows", "--all", "-o", "json", "--vantage", flows, quote(filter))) {
				want += f.Packets
			}
			pcap(vantage)
			count := map[string]int{}
			for _, row := range fields(t, file, "", "frame.interface_name", "ip.src", "ip.dst") {
				count[row[0]]++
			}
			var all int
			for _, name := range interfaces {
				// Opening, request, response, end: 8 packets at least.
				if count[name] < 8*each {
					t.Errorf("%d packets of %s, want at least %d", count[name], name, 8*each)
				}
				all += count[name]
				delete(count, name)
			}
			if len(count) > 0 {
				t.Errorf("packets of others: %v", count)
			}
			if uint64(all) != want {
				t.Errorf("%d packets are exported, the flows have %d", all, want)
			}
			// tshark takes the second sighting of a segment for a retransmission.
			if n := len(fields(t, file, "http.request", "frame.number")); n != each {
				t.Errorf("tshark finds %d requests, want %d", n, each)
			}
		})
	}
	// Of a pod, or of a node itself.
	named := regexp.MustCompile(`^([a-z0-9-]+/)?[a-z0-9.-]+:\w+$`)
	t.Run("scp", func(t *testing.T) {
		for _, path := range []string{
			"/namespaces/" + shopSpace + "/last/1h.pcapng",
			"/namespaces/" + shopSpace + "/pods/" + src.Pod.Name + "/last/1h.pcapng",
			"/nodes/" + dst.Node + "/last/1h.pcapng",
			"/last/1h.pcapng",
		} {
			file := filepath.Join(t.TempDir(), "taken.pcapng")
			must(t, 2*time.Minute, s.console.with("scp", "-q", "operator@"+release+":"+path, file)...)
			found := map[string]bool{}
			for _, row := range fields(t, file, `http.request.uri contains "/call/across-nodes/"`, "http.request.uri") {
				found[row[0]] = true
			}
			if len(found) != each {
				t.Errorf("%s has %d of %d requests", path, len(found), each)
			}
			strange := map[string]int{}
			for _, row := range fields(t, file, "", "frame.interface_name") {
				if !named.MatchString(row[0]) {
					strange[row[0]]++
				}
			}
			if len(strange) > 0 {
				t.Errorf("%s: packets whose interface names no pod and no node's device: %v", path, strange)
			}
		}
	})
}
