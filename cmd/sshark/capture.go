package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/sshark/sshark/pcap/store"
)

// captureOptions are the flags of what captures: up and worker.
type captureOptions struct {
	storeMB int64
	age     time.Duration
	sync    time.Duration
	snap    uint32
	ringMB  int
}

// The store's defaults: enough to look back, and never the last of the disk.
const (
	defaultStoreMB = 4096
	minFree        = 1 << 30
	minSync        = 10 * time.Millisecond
	maxSync        = time.Minute
)

func (o *captureOptions) declare(f *pflag.FlagSet) {
	f.Int64Var(&o.storeMB, "store-mb", defaultStoreMB, "how many `MB` of packets to keep, the newest ones")
	f.DurationVar(&o.age, "store-age", 0, "how long to keep packets, an `AGE` like 36h; 0: as long as they fit")
	f.DurationVar(&o.sync, "store-sync", time.Second, "the `TIME` between two syncs to the disk: what a crash may lose, from 10ms to 1m (a virtual disk at 20 MB/s: 10 a second cost 0.2 % of a core, 100 cost 2.7 %)")
	f.Uint32Var(&o.snap, "snap", 0, "`BYTES` to keep of each packet; 0: all")
	f.IntVar(&o.ringMB, "ring-mb", 64, "`MB` of the ring between kernel and worker, a power of two")
}

// check says what is wrong with the values.
func (o *captureOptions) check() error {
	switch {
	case o.storeMB < 1:
		return fmt.Errorf("--store-mb %d: want a number of MB from 1 on", o.storeMB)
	case o.ringMB < 1 || o.ringMB&(o.ringMB-1) != 0 || o.ringMB > 1024:
		return fmt.Errorf("--ring-mb %d: want a power of two from 1 to 1024", o.ringMB)
	case o.age < 0:
		return fmt.Errorf("--store-age %v: want an age like 36h, or 0", o.age)
	case o.sync < minSync || o.sync > maxSync:
		return fmt.Errorf("--store-sync %v: want a time from %v to %v", o.sync, minSync, maxSync)
	}
	return nil
}

func (o *captureOptions) store(dir string) store.Options {
	return store.Options{Dir: dir, MaxBytes: o.storeMB << 20, MaxAge: o.age, MinFree: minFree, SyncEvery: o.sync}
}
