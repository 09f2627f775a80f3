package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// The screen of an operator.
const (
	screenWidth  = 120
	screenHeight = 40
)

// The pace of an operator: between two keys, and how long a frame is waited for.
const (
	leastPause = 300 * time.Millisecond
	mostPause  = 700 * time.Millisecond
	unseen     = 2 * time.Second
)

// operators measures the screen over real SSH, with the demo's traffic captured live: how long
// after a key the frame is there that shows what the key did, and what that takes on the wire
// and of the process that is worker and hub. Then again beside operators whose terminals do
// not read what is sent to them, or only a little of it.
func operators(ctx context.Context, s *settings) (err error) {
	rec, err := startSshark(ctx, s, "--demo")
	if err != nil {
		if os.Geteuid() != 0 {
			return fmt.Errorf("root: %w: %w", errMissing, err)
		}
		return err
	}
	defer func() { err = errors.Join(err, rec.stop(), os.RemoveAll(rec.dir)) }()
	d, err := newDialer(rec)
	if err != nil {
		return err
	}
	if err := wait(ctx, s.watched/2); err != nil { // the shop begins
		return err
	}
	fmt.Printf("a key each %v to %v by each operator for %v, %dx%d, the demo's traffic live\n", leastPause, mostPause, s.watched, screenWidth, screenHeight)
	t := newTable(column{"keys", "%.0f"}, column{"p50 ms", "%.1f"}, column{"p95 ms", "%.1f"}, column{"p99 ms", "%.1f"}, column{"echo p95 ms", "%.1f"},
		column{"KB/s each", "%.1f"}, column{"KB/s worst", "%.1f"}, column{"CPU %", "%.0f"}, column{"RSS MB", "%.0f"}, column{"not seen", "%.0f"})
	stage := func(row string, b *beat, n, bad int) error {
		figures, err := watch(ctx, s, rec, d, b, n, bad)
		if err != nil {
			return fmt.Errorf("%s: %w", row, err)
		}
		t.add(row, figures...)
		return nil
	}
	rows := make([]string, len(s.operators))
	for i, n := range s.operators {
		rows[i] = fmt.Sprintf("%d operators", n)
		if n == 1 {
			rows[i] = "1 operator"
		}
	}
	middle := len(s.operators) / 2
	beside := fmt.Sprintf("%s, 3 that never read, 3 at 1 KB/s", rows[middle])
	for i, n := range s.operators { // once each: there are thousands of keys in it
		if err := stage(rows[i], &beats[0], n, 0); err != nil {
			return err
		}
	}
	if err := stage(beside, &beats[0], s.operators[middle], 3); err != nil {
		return err
	}
	for i := range beats[1:] {
		b := &beats[1+i]
		for j := range min(2, len(rows)) {
			if err := stage(rows[j]+" at "+b.view, b, s.operators[j], 0); err != nil {
				return err
			}
		}
	}
	t.ratio(beside, rows[middle], "p95 ms")
	if !s.quick {
		last := rows[len(rows)-1]
		t.goal(goal{col: "p95 ms", must: 50, aim: 20, most: true}, last)
		t.goal(goal{col: "KB/s worst", must: 10, most: true}, last)
	}
	t.note("CPU, of one core, and RSS: of sshark up, which captures, dissects and draws; echo: an SSH request that the hub answers with nothing to do")
	t.note("KB/s: all that TCP carried to an operator; not seen: keys without their frame within %v", unseen)
	t.print()
	return nil
}

// watch has n operators work, beside so many that never read and as many with a thin line, and
// returns the figures of a row.
func watch(ctx context.Context, s *settings, rec *recorder, d *dialer, b *beat, n, bad int) (figures []float64, err error) {
	all := make([]*operator, 0, n+2*bad)
	defer func() {
		for _, o := range all {
			o.line.Close() // also those that do not read
		}
	}()
	for range n + 2*bad {
		o, err := d.open(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
		if err := wait(ctx, 60*time.Millisecond); err != nil { // the hub takes 20 new ones a second
			return nil, err
		}
	}
	working, others := all[:n], all[n:]
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, o := range others {
		if i < bad {
			close(o.line.stalled)
		} else {
			o.line.perSec.Store(1000)
		}
		go o.spoil(ctx)
	}
	if err := wait(ctx, s.watched/4); err != nil {
		return nil, err
	}
	pid := rec.procs[0].Process.Pid
	cpu0, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	begun := make([]int64, n)
	for i, o := range working {
		begun[i] = o.line.read.Load()
	}
	during, done := context.WithTimeout(ctx, s.watched)
	defer done()
	var mu sync.Mutex
	var took, echoes []time.Duration
	missed := 0
	var g errgroup.Group
	for i, o := range working {
		g.Go(func() error {
			t, e, m, err := o.work(during, b, rand.New(rand.NewPCG(7, uint64(i))))
			mu.Lock()
			defer mu.Unlock()
			took, echoes, missed = append(took, t...), append(echoes, e...), missed+m
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	sec := time.Since(start).Seconds()
	cpu1, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	rss, err := residentBytes(pid)
	if err != nil {
		return nil, err
	}
	sum, worst := int64(0), int64(0)
	for i, o := range working {
		got := o.line.read.Load() - begun[i]
		sum, worst = sum+got, max(worst, got)
	}
	if len(took) == 0 {
		working[0].mu.Lock()
		defer working[0].mu.Unlock()
		return nil, fmt.Errorf("no key has shown what it did:\n%s", working[0].screen)
	}
	return []float64{float64(len(took)), percentile(took, 50), percentile(took, 95), percentile(took, 99), percentile(echoes, 95),
		float64(sum) / float64(n) / sec / 1e3, float64(worst) / sec / 1e3, 100 * (cpu1 - cpu0).Seconds() / sec, float64(rss) / 1e6, float64(missed)}, nil
}

// percentile in ms, 0 without any.
func percentile(all []time.Duration, p int) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[min(len(all)-1, len(all)*p/100)].Microseconds()) / 1e3
}

// residentBytes is the memory that a process has now (proc_pid_status(5)).
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d: no memory is told", pid)
}
