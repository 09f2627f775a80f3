package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shopProcesses are those that run in a network namespace of the shop.
func shopProcesses(t *testing.T, pod string) (pids []int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", "netns", "pids", pod).Output()
	if err != nil {
		t.Fatalf("ip netns pids %s: %v", pod, err)
	}
	for _, word := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// stands reports whether all threads of a process are stopped: a signal is noticed by each of them
// only when it runs next, which under load may be after the one that sent it went on.
func stands(t *testing.T, pid int) bool {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("threads of %d: %d, %v", pid, len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // It ended meanwhile.
		}
		// proc_pid_stat(5): the state stands behind the name, which ends with the last bracket.
		if i := bytes.LastIndexByte(text, ')'); i < 0 || i+2 >= len(text) || text[i+2] != 'T' {
			return false
		}
	}
	return true
}

// redisOfShop are the commands that the shop's Redis has answered, but for those that asked so.
func redisOfShop(t *testing.T) (commands int64) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", "shop-redis", "redis-cli", "-h", "10.77.0.30", "info", "commandstats").Output()
	if err != nil {
		t.Fatalf("redis-cli: %v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if name == "info" || strings.HasPrefix(name, "command") || rest == "" {
			continue
		}
		text, _, _ := strings.Cut(rest, ",")
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		commands += n
	}
	return commands
}

// TestDemoMap: the map of the shop has the commands that its Redis counted, on the edge that leads
// there from the cart. So that nothing is under way when it is counted, who asks Redis is stopped
// meanwhile.
func TestDemoMap(t *testing.T) {
	needsRoot(t)
	needs(t, "ssh", "ip", "redis-server", "redis-cli")
	c := startDemo(t, t.TempDir())
	var pids []int
	for _, pod := range shopPods(t) {
		if pod != "shop-redis" {
			pids = append(pids, shopProcesses(t, pod)...)
		}
	}
	send := func(signal syscall.Signal) {
		t.Helper()
		for _, pid := range pids {
			if err := syscall.Kill(pid, signal); err != nil {
				t.Errorf("signal %v to %d: %v", signal, pid, err)
			}
		}
	}
	stop := func() {
		t.Helper()
		send(syscall.SIGSTOP)
		await(t, "the shop's threads to stand still", func() bool { return !slices.ContainsFunc(pids, func(pid int) bool { return !stands(t, pid) }) })
	}
	t.Cleanup(func() { send(syscall.SIGCONT) })
	asked := func() int64 { // by the shop, when all that it asked was answered
		t.Helper()
		last := int64(-1)
		await(t, "Redis to have answered", func() bool {
			was := last
			last = redisOfShop(t)
			return was == last
		})
		return last
	}
	await(t, "the cart to ask Redis", func() bool { return len(c.shopEdges("--since", "1m", "redis")) > 0 })
	stop()
	before := asked()
	from := time.Now()
	send(syscall.SIGCONT)
	await(t, "the cart to ask more", func() bool { return redisOfShop(t) > before+50 })
	stop()
	want := asked() - before
	until := time.Now()
	send(syscall.SIGCONT)

	window := []string{"--since", from.UTC().Format(time.RFC3339Nano), "--until", until.UTC().Format(time.RFC3339Nano)}
	for _, more := range [][]string{{"redis"}, {`'redis && src.pod.name == "shop-cart"'`}, {"--by", "pod", `'redis && dst.pod.name == "shop-redis"'`}} {
		var got map[string]int64
		for deadline := time.Now().Add(10 * time.Second); ; {
			if got = c.shopEdges(append(window, more...)...); got["shop-cart > shop-redis"] == want || time.Now().After(deadline) {
				break
			}
		}
		if got["shop-cart > shop-redis"] != want || len(got) != 1 {
			t.Fatalf("%q: %v, and Redis counted %d; what was told from there:\n%s", more, got, want,
				c.ask("calls", "--since", from.Add(-time.Second).UTC().Format(time.RFC3339Nano), "redis"))
		}
	}
	t.Logf("Redis counted %d commands", want)
	if other := c.shopEdges(append(window, `'src.pod.name == "shop-redis" && dst.pod.name == "shop-cart"'`)...); len(other) > 0 {
		t.Errorf("Redis asks nobody: %v", other)
	}
	if _, err := exec.LookPath("tmux"); err != nil {
		return
	}
	screen := c.screen(t, "map")
	await(t, "the screen to draw the shop", func() bool {
		text := screen()
		for _, want := range []string{"▶", "shop-cart", "shop-redis", "edges, calls/s"} {
			if !strings.Contains(text, want) {
				return false
			}
		}
		return strings.Contains(text, "▸ live")
	})
}

// shopEdges are the calls of each edge of the map between two pods.
func (c *console) shopEdges(words ...string) map[string]int64 {
	c.t.Helper()
	all := map[string]int64{}
	for _, line := range lines(c.ask(append([]string{"map", "-o", "json"}, words...)...)) {
		var e edge
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			c.t.Fatalf("%v: %s", err, line)
		}
		if e.Src.Name != e.Dst.Name {
			all[fmt.Sprintf("%s > %s", e.Src.Name, e.Dst.Name)] += e.Calls
		}
	}
	return all
}
