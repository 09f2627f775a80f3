package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/sshark/sshark/cmd/netlab"
)

// load is a server and a program that loads it, both from others than us, whose traffic is
// recorded. The server runs in host b of the lab, the load in host a.
type load struct {
	// tools are the programs it needs, besides tcpdump.
	tools []string
	// serve starts the server; stopping it is the caller's.
	serve func(ctx context.Context, l *netlab.Lab, dir string) (*exec.Cmd, error)
	// run makes the traffic, after prepare, whose traffic is not recorded (nil: none).
	prepare, run func(dir string) (*exec.Cmd, error)
	// counted finds in what run printed how many calls it made; each match counts.
	counted *regexp.Regexp
	times   int // calls for each that is counted
}

// recorded writes the traffic of a load to a file, and returns how many calls the load says
// it made. Packets that tcpdump lost are an error: the file would not be what was said.
func (l *load) recorded(ctx context.Context, path string) (calls int, err error) {
	tcpdump, err := tool("tcpdump")
	if err != nil {
		return 0, err
	}
	for _, name := range l.tools {
		if _, err := tool(name); err != nil {
			return 0, err
		}
	}
	lab, err := openLab()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	// Not below the folder to measure: a server that gives its rights up must get there.
	dir, err := os.MkdirTemp("", "sshark-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return 0, err
	}
	server, err := l.serve(ctx, lab, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop(server)) }()
	if l.prepare != nil {
		if _, err := output(ctx, lab, dir, l.prepare); err != nil {
			return 0, err
		}
	}
	// A ring of 256 MB, for the machine is busy with the load.
	dump := exec.CommandContext(ctx, tcpdump, "-i", "eth0", "-n", "-B", "262144", "-Z", "root", "-w", path, "tcp or udp")
	var said tail
	if err := started(ctx, lab, "b", dump, &said, "listening on"); err != nil {
		return 0, err
	}
	printed, err := output(ctx, lab, dir, l.run)
	err = errors.Join(err, wait(ctx, settle), stop(dump))
	if err != nil {
		return 0, err
	}
	if lost := droppedByKernel.FindStringSubmatch(said.String()); lost == nil || lost[1] != "0" {
		return 0, fmt.Errorf("record %s: tcpdump lost packets: %s", path, said)
	}
	for _, found := range l.counted.FindAllStringSubmatch(printed, -1) {
		n, err := strconv.Atoi(found[1])
		if err != nil {
			return 0, fmt.Errorf("%q: %w", found[0], err)
		}
		calls += n * l.times
	}
	if calls == 0 {
		return 0, fmt.Errorf("%s made no calls: %s", l.tools[0], printed)
	}
	return calls, nil
}

var droppedByKernel = regexp.MustCompile(`(\d+) packets? dropped by kernel`)

// output runs a command in host a and returns what it printed.
func output(ctx context.Context, lab *netlab.Lab, dir string, make func(dir string) (*exec.Cmd, error)) (string, error) {
	cmd, err := make(dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var problem tail
	cmd.Stderr = &problem
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := lab.Start("a", cmd); err != nil {
		return "", fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
	printed, readErr := io.ReadAll(out)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", filepath.Base(cmd.Path), err, printed, problem)
	}
	return string(printed), nil
}

// started starts a command in a host and waits for a line that says it is ready. The rest of
// what it prints is in said once it has ended.
func started(ctx context.Context, lab *netlab.Lab, host string, cmd *exec.Cmd, said *tail, ready string) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	lines, w := io.Pipe()
	both := io.MultiWriter(said, w)
	cmd.Stdout, cmd.Stderr = both, both
	if err := lab.Start(host, cmd); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	if _, err := until(ctx, lines, func(line string) bool { return strings.Contains(line, ready) }); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err), stop(cmd))
	}
	return nil
}

// pages are what nginx serves: each a list of so many products.
var pages = []int{0, 1, 3, 5, 8, 13, 20, 34, 55, 89}

// nginx serves files, as HTTP/1 or (option "http2") as HTTP/2 without TLS.
func nginx(option string) func(context.Context, *netlab.Lab, string) (*exec.Cmd, error) {
	return func(ctx context.Context, l *netlab.Lab, dir string) (*exec.Cmd, error) {
		path, err := tool("nginx")
		if err != nil {
			return nil, err
		}
		item := `{"id":4711,"name":"red lamp","price":19.99,"stock":12,"tags":["lamp","red"]},`
		for i, n := range pages {
			text := "[" + strings.Repeat(item, n) + "null]"
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), []byte(text), 0o644); err != nil {
				return nil, err
			}
		}
		conf := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log stderr notice;
events { worker_connections 1024; }
http {
	access_log off; sendfile on; tcp_nopush on; default_type application/json; keepalive_requests 100000000; open_file_cache max=100;
	client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server { listen %[2]s:80 %[3]s; root %[1]s; add_header Cache-Control max-age=5; }
}
`, dir, addrB, option)
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, path, "-p", dir, "-c", conf, "-e", "stderr")
		return cmd, started(ctx, l, "b", cmd, new(tail), "start worker process ")
	}
}

// wrk loads nginx for so many seconds, as a browser's API calls.
func wrk(seconds int) *load {
	return &load{tools: []string{"wrk", "nginx"}, serve: nginx(""), run: func(dir string) (*exec.Cmd, error) {
		script := filepath.Join(dir, "wrk.lua")
		text := fmt.Sprintf("local n = 0\nrequest = function()\n\tn = n + 1\n\treturn wrk.format('GET', '/' .. n %% %d .. '?page=' .. n)\nend\n", len(pages))
		if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
			return nil, err
		}
		return exec.Command("wrk", "-t", "1", "-c", "64", "-d", strconv.Itoa(seconds)+"s", "-s", script,
			"-H", "Accept: application/json, text/plain, */*", "-H", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			"-H", "Cookie: session=0123456789abcdef; theme=dark", "http://"+addrB), nil
	}, counted: regexp.MustCompile(`(\d+) requests in`), times: 1}
}

// h2load makes so many calls over 16 connections, 10 at once on each.
func h2load(calls int) *load {
	return &load{tools: []string{"h2load", "nginx"}, serve: nginx("http2"), run: func(string) (*exec.Cmd, error) {
		args := []string{"-n", strconv.Itoa(calls), "-c", "16", "-m", "10",
			"-H", "accept: application/json, text/plain, */*", "-H", "cookie: session=0123456789abcdef; theme=dark"}
		for i := range pages {
			args = append(args, fmt.Sprintf("http://%s/%d?page=%d", addrB, i, i))
		}
		return exec.Command("h2load", args...), nil
	}, counted: regexp.MustCompile(`(\d+) succeeded`), times: 1}
}

// redisCommands are the tests of redis-benchmark that make one call each.
var redisCommands = []string{"set", "get", "incr", "lpush", "rpop", "sadd", "hset", "zadd"}

// redisBenchmark makes so many calls, of each command as many, a pipeline of 16 at a time.
func redisBenchmark(calls int) *load {
	return &load{tools: []string{"redis-benchmark", "redis-server"},
		serve: func(ctx context.Context, l *netlab.Lab, dir string) (*exec.Cmd, error) {
			path, err := tool("redis-server")
			if err != nil {
				return nil, err
			}
			cmd := exec.CommandContext(ctx, path, "--bind", addrB, "--port", "6379", "--protected-mode", "no", "--save", "", "--dir", dir)
			return cmd, started(ctx, l, "b", cmd, new(tail), "eady to accept connections")
		},
		run: func(string) (*exec.Cmd, error) {
			return exec.Command("redis-benchmark", "-h", addrB, "-n", strconv.Itoa(calls/len(redisCommands)), "-P", "16", "-c", "32",
				"-r", "100000", "-d", "100", "-t", strings.Join(redisCommands, ",")), nil
		}, counted: regexp.MustCompile(`(\d+) requests completed in`), times: 1}
}

// dnsperf asks so many questions of a server in Go, which answers most of them.
func dnsperf(calls int) *load {
	const names = 2000
	return &load{tools: []string{"dnsperf"},
		serve: func(ctx context.Context, l *netlab.Lab, _ string) (*exec.Cmd, error) {
			self, err := os.Executable()
			if err != nil {
				return nil, err
			}
			cmd := exec.CommandContext(ctx, self, "dns-serve", addrB+":53")
			return cmd, started(ctx, l, "b", cmd, new(tail), "ready")
		},
		run: func(dir string) (*exec.Cmd, error) {
			var list strings.Builder
			for i := range names {
				fmt.Fprintf(&list, "service-%d.shop.svc.cluster.local %s\n", i, []string{"A", "AAAA"}[i%2])
			}
			path := filepath.Join(dir, "names")
			if err := os.WriteFile(path, []byte(list.String()), 0o644); err != nil {
				return nil, err
			}
			return exec.Command("dnsperf", "-s", addrB, "-d", path, "-n", strconv.Itoa(max(1, calls/names)), "-c", "20", "-q", "60"), nil
		}, counted: regexp.MustCompile(`Queries completed:\s+(\d+)`), times: 1}
}

// pgbenchStatements is how many statements one transaction of pgbench's own script has.
const pgbenchStatements = 7

// pgbench makes about so many calls: its transactions like TPC-B's, of seven statements each,
// by the simple protocol, or as prepared statements.
func pgbench(mode string, calls int) *load {
	const clients = 8
	scale := max(1, min(clients, calls/20_000)) // of 100,000 rows
	bench := func(args ...string) func(string) (*exec.Cmd, error) {
		return func(string) (*exec.Cmd, error) {
			cmd := exec.Command("pgbench", append(args, "-h", addrB, "-U", "postgres", "postgres")...)
			cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "PGGSSENCMODE=disable")
			return cmd, nil
		}
	}
	return &load{tools: []string{"pgbench", "postgres"}, serve: postgres, prepare: bench("-i", "-q", "-s", strconv.Itoa(scale)),
		run:     bench("-n", "-M", mode, "-c", strconv.Itoa(clients), "-t", strconv.Itoa(max(1, calls/pgbenchStatements/clients))),
		counted: regexp.MustCompile(`actually processed: (\d+)`), times: pgbenchStatements}
}

// postgres starts a new database cluster as the user that Debian's package made: it refuses
// to run as root.
func postgres(ctx context.Context, l *netlab.Lab, dir string) (*exec.Cmd, error) {
	initdb, err := tool("initdb")
	if err != nil {
		return nil, err
	}
	path, err := tool("postgres")
	if err != nil {
		return nil, err
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMissing, err)
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	data := filepath.Join(dir, "data")
	if err := errors.Join(err1, err2, os.Mkdir(data, 0o700), os.Chown(data, int(uid), int(gid))); err != nil {
		return nil, err
	}
	as := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = data
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd
	}
	if said, err := as(initdb, "-D", data, "--auth=trust", "-N").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, said)
	}
	rules := "host all all " + netip.MustParsePrefix(addrB+"/24").Masked().String() + " trust\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(rules), 0o644); err != nil {
		return nil, err
	}
	cmd := as(path, "-D", data, "-F", "-c", "listen_addresses="+addrB, "-c", "unix_socket_directories=", "-c", "ssl=off", "-c", "shared_buffers=256MB")
	return cmd, started(ctx, l, "b", cmd, new(tail), "ready to accept connections")
}
