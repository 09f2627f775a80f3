package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/pcapng"
	"github.com/sshark/sshark/pcap/segment"
	packets "github.com/sshark/sshark/pcap/store"
)

// span is how long the traffic of the large store lasts, and window what is asked for of it.
const (
	span   = 2 * time.Hour
	window = 5 * time.Minute
)

// tsharkBytes is how much of the file tshark gets: it reads less than a tenth of what the others
// do in the same time, and keeps state of each packet.
const tsharkBytes = 100e6

// store measures how long it takes to find something in a large store: one flow, five minutes
// of a pod, and all of a host. The generated traffic of two hours is replayed into the store by
// the code that the worker stores with; tcpdump and tshark get the file that it was replayed
// from. sshark is asked over one SSH connection that stays open, by a client started for each
// question. Cold: the files are not in the page cache.
func store(ctx context.Context, s *settings) (err error) {
	tcpdump, err := tool("tcpdump")
	if err != nil {
		return err
	}
	ssh, err := tool("ssh")
	if err != nil {
		return err
	}
	cat, err := tool("cat")
	if err != nil {
		return err
	}
	tshark, missing := tool("tshark")
	hay, part := filepath.Join(s.dir, "haystack.pcap"), filepath.Join(s.dir, "part.pcap")
	size := int64(s.storeGB * 1e9)
	begin := time.Now().Add(-span - 10*time.Minute).Truncate(time.Second)
	wrote, err := generate(hay, span/time.Duration(size/haystackPacket+1), func(f *frames) error {
		f.now = begin
		return writeHaystack(f, size)
	})
	if err != nil {
		return err
	}
	partBytes, err := copyPart(part, hay, tsharkBytes)
	if err != nil {
		return err
	}
	state := filepath.Join(s.dir, "state")
	begun := time.Now()
	if err := fill(ctx, filepath.Join(state, "store"), hay); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	took := time.Since(begun)
	segments, index, err := storeSizes(filepath.Join(state, "store"))
	if err != nil {
		return err
	}
	fmt.Printf("a store of %.2f GB, %.0f minutes of %d packets in %.0f s; a file of %.2f GB\n",
		float64(segments+index)/1e9, wrote.now.Sub(begin).Minutes(), wrote.packets, took.Seconds(), float64(wrote.bytes)/1e9)
	fmt.Printf("the indexes have %.2f MB: %.3f %% of the segments, %.2f bytes a packet\n",
		float64(index)/1e6, 100*float64(index)/float64(segments), float64(index)/float64(wrote.packets))
	rec, err := startSshark(ctx, s, "--store-mb", fmt.Sprint(int(s.storeGB*1500)+1000))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rec.stop(), os.RemoveAll(rec.dir)) }()
	ask, closeConnection, err := openConnection(ctx, ssh, rec.up, filepath.Join(s.dir, "ssh"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeConnection()) }()

	host := endpoint(1, needleHost+2, 0).Addr()
	from := begin.Add(span / 2)
	since := "--since " + begin.UTC().Format(time.RFC3339)
	for _, q := range []struct {
		name    string
		console []string // with what sshark is asked; of one the KB are compared
		bpf     string
		display string
	}{
		{fmt.Sprintf("one flow of %d calls", needleCalls),
			[]string{"pcap", "calls", "flows"}, fmt.Sprintf("tcp port %d", needlePort), fmt.Sprintf("tcp.port == %d", needlePort)},
		{"five minutes of one pod", []string{"pcap"}, fmt.Sprintf("host %s", host),
			fmt.Sprintf("ip.addr == %s && frame.time_epoch >= %d && frame.time_epoch < %d", host, from.Unix(), from.Add(window).Unix())},
		{"all of one host", []string{"pcap"}, fmt.Sprintf("host %s", host), fmt.Sprintf("ip.addr == %s", host)},
	} {
		// One pair of quotes for the shell here, one for the console.
		words := since + fmt.Sprintf(` "'dst.port == %d'"`, needlePort)
		switch {
		case strings.Contains(q.name, "pod"):
			words = fmt.Sprintf("--since %s --until %s --pod %s", from.UTC().Format(time.RFC3339), from.Add(window).UTC().Format(time.RFC3339), podName(host))
		case strings.Contains(q.name, "host"):
			words = since + " --ip " + host.String()
		}
		fmt.Println(q.name)
		t := newTable(column{"ms cold", "%.1f"}, column{"ms warm", "%.1f"}, column{"KB", "%.0f"})
		sample := func(row string, files string, run func() (cost, error)) error {
			if err := forget(files); err != nil {
				return err
			}
			cold, err1 := run()
			warm, err2 := run()
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			if cold.lines == 0 {
				t.note("%s found nothing", row)
			}
			t.add(row, float64(cold.wall.Microseconds())/1e3, float64(warm.wall.Microseconds())/1e3, float64(cold.bytes)/1e3)
			return nil
		}
		for range max(s.rounds, min(5, 5*s.rounds-4)) {
			if err := sample("sshark version (the way there)", filepath.Join(rec.dir, "store"), func() (cost, error) { return ask("version") }); err != nil {
				return err
			}
			for _, command := range q.console {
				if err := sample("sshark "+command, filepath.Join(rec.dir, "store"), func() (cost, error) { return ask(command + " " + words) }); err != nil {
					return err
				}
			}
		}
		for range max(1, min(s.rounds, int(2/s.storeGB))) {
			if err := sample("tcpdump -r", hay, func() (cost, error) { return measure(ctx, tcpdump, "-n", "-r", hay, "-w", "-", q.bpf) }); err != nil {
				return err
			}
		}
		if missing == nil {
			row := fmt.Sprintf("tshark -Y, the first %.0f MB", float64(partBytes)/1e6)
			if err := sample(row, part, func() (cost, error) {
				c, err := measure(ctx, tshark, "-n", "-r", part, "-Y", q.display, "-w", "-")
				c.lines = 1 // the part may have nothing
				return c, err
			}); err != nil {
				return err
			}
			if ms, ok := t.median(row, 1); ok && partBytes < wrote.bytes {
				t.note("at that pace tshark takes %.0f s for the whole file", ms/1e3*float64(wrote.bytes)/float64(partBytes))
			}
		} else {
			t.note("without tshark: %v", missing)
		}
		if strings.Contains(q.name, "pod") {
			row, err := reading(ctx, rec, from, sample, cat)
			if err != nil {
				return err
			}
			if ms, ok := t.median(row, 0); ok && !s.quick {
				t.goal(goal{col: "ms cold", must: ms, most: true}, "sshark pcap")
			}
		}
		if goal := (goal{col: "ms cold", must: 100, aim: 20, most: true}); !s.quick && strings.Contains(q.name, "flow") {
			t.goal(goal, "sshark pcap", "sshark calls", "sshark flows")
		}
		t.ratio("sshark pcap", "tcpdump -r", "ms cold")
		t.ratio("sshark pcap", "tcpdump -r", "ms warm")
		if strings.Contains(q.name, "minutes") {
			t.note("tcpdump cannot choose by time: it finds all of the host")
		}
		t.print()
	}
	return nil
}

// reading samples how long it takes to only read the segments that have packets of the window,
// which is what an answer out of them may take.
func reading(ctx context.Context, rec *recorder, from time.Time, sample func(row, files string, run func() (cost, error)) error, cat string) (row string, err error) {
	dir := filepath.Join(rec.dir, "store")
	paths, size, err := segmentsOf(dir, from, from.Add(window))
	if err != nil {
		return "", err
	}
	row = fmt.Sprintf("cat of the %.0f MB of segments that have the window", float64(size)/1e6)
	return row, sample(row, dir, func() (cost, error) {
		c, err := measure(ctx, cat, paths...)
		c.lines = 1 // it has no lines to be counted
		return c, err
	})
}

// segmentsOf are the files of a store with packets between two times, and their size. All
// segments are closed but the newest.
func segmentsOf(dir string, from, until time.Time) (paths []string, size int64, err error) {
	all, err := filepath.Glob(filepath.Join(dir, "*"+segment.ExtSegment)) // sorted by number, so by time
	if err != nil {
		return nil, 0, err
	}
	for i, path := range all {
		if begin := begun(path); !begin.Before(until) || i+1 < len(all) && begun(all[i+1]).Before(from) {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, 0, err
		}
		paths, size = append(paths, path), size+info.Size()
	}
	if len(paths) == 0 {
		return nil, 0, fmt.Errorf("no segment in %s has packets from %v on", dir, from)
	}
	return paths, size, nil
}

// begun is the time of a segment's first packet, by its name.
func begun(path string) time.Time {
	_, stamp, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), segment.ExtSegment), "-")
	t, err := time.Parse(segmentTime, stamp)
	if err != nil {
		return time.Time{} // then it is taken for one that may have them
	}
	return t
}

// segmentTime is how a segment's name has a time (package segment).
const segmentTime = "20060102T150405.000000000Z"

// podName is what a client's pod is called.
func podName(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("client-%05d", int(b[2])<<8|int(b[3]))
}

// fill appends the packets of a file to a store, as seen in the clients' pods.
func fill(ctx context.Context, dir, path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := pcapng.NewReader(file, pcapng.ReaderOptions{Buffer: 1 << 20})
	if err != nil {
		return err
	}
	into, err := packets.Open(packets.Options{Dir: dir, Node: "bench", Wait: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	pods := map[netip.Addr]*pcap.Interface{}
	list := make([]pcap.Packet, 256)
	for {
		n := 0
		var end error
		for ; n < len(list); n++ {
			p := &list[n]
			data := p.Data[:0]
			var read pcap.Packet
			if end = r.Next(&read); end != nil {
				break
			}
			*p = read
			p.Data, p.Flags = append(data, read.Data...), 1
			client := netip.AddrFrom4([4]byte(p.Data[26:30]))
			if other := netip.AddrFrom4([4]byte(p.Data[30:34])); other.Less(client) {
				client = other
			}
			if p.Iface = pods[client]; p.Iface == nil {
				name := podName(client)
				p.Iface = &pcap.Interface{Name: "eth0", Link: pcap.LinkEthernet, Node: "bench", Addrs: []netip.Prefix{netip.PrefixFrom(client, 32)},
					Pod: pcap.Pod{Namespace: "bench", Name: name, UID: name}}
				pods[client] = p.Iface
			}
		}
		if err := errors.Join(into.Append(list[:n]), ctx.Err()); err != nil {
			return err
		}
		if errors.Is(end, io.EOF) {
			return nil
		}
		if end != nil {
			return end
		}
	}
}

// copyPart copies the first whole packets of a classic pcap file, about so many bytes.
func copyPart(to, from string, size int64) (n int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	r := bufio.NewReaderSize(in, 1<<20)
	out, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := bufio.NewWriterSize(out, 1<<20)
	n, err = io.CopyN(w, r, 24)
	for err == nil && n < size {
		var head []byte
		if head, err = r.Peek(16); err != nil {
			break
		}
		var k int64
		k, err = io.CopyN(w, r, 16+int64(binary.LittleEndian.Uint32(head[8:])))
		n += k
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, errors.Join(err, w.Flush())
}

// storeSizes are the bytes of a store's segments and indexes.
func storeSizes(dir string) (segments, indexes int64, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		info, infoErr := e.Info()
		err = errors.Join(err, infoErr)
		switch {
		case infoErr != nil:
		case strings.HasSuffix(e.Name(), segment.ExtIndex):
			indexes += info.Size()
		case strings.HasSuffix(e.Name(), segment.ExtSegment):
			segments += info.Size()
		}
	}
	return segments, indexes, err
}

// forget drops a file, or the files of a folder, from the page cache (posix_fadvise(2)).
func forget(path string) error {
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a segment that was renamed meanwhile
		}
		if err != nil {
			return err
		}
		// What is not written yet stays in the cache.
		return errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	})
}

// openConnection opens an SSH connection with the command that sshark printed, and returns
// how to run a console command over it.
func openConnection(ctx context.Context, ssh, printed, control string) (ask func(command string) (cost, error), end func() error, err error) {
	// The printed command is for a shell, and may quote.
	with := func(options, command string) []string {
		return []string{"-c", strings.Replace(printed, "ssh ", fmt.Sprintf("exec '%s' -T -o ControlPath='%s' %s ", ssh, control, options), 1) + " " + command}
	}
	var problem tail
	master := exec.CommandContext(ctx, "sh", with("-o ControlMaster=yes -N", "")...)
	master.Stderr = &problem
	if err := master.Start(); err != nil {
		return nil, nil, err
	}
	end = func() error { return stop(master) }
	for range 100 {
		if _, err = measure(ctx, "sh", with("-O check", "")...); err == nil {
			return func(command string) (cost, error) { return measure(ctx, "sh", with("", command)...) }, end, nil
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return nil, nil, errors.Join(err, end())
		}
	}
	endErr := end() // and with it, standard error is complete
	return nil, nil, errors.Join(fmt.Errorf("no SSH connection: %w: %s", err, problem), endErr)
}
