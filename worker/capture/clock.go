package capture

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// clock moves times of the kernel's monotonic clock to real time. The offset is sampled again
// each second, so that it follows a clock that is slewed or set.
type clock struct {
	offset int64
	next   time.Time
}

// tick samples the offset if it is older than a second.
func (c *clock) tick(now time.Time) {
	if now.Before(c.next) {
		return
	}
	c.next = now.Add(time.Second)
	best := int64(math.MaxInt64)
	for range 5 { // the sample least disturbed counts
		var before, wall, after unix.Timespec
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &before)
		unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &after)
		if d := after.Nano() - before.Nano(); d < best {
			best = d
			c.offset = wall.Nano() - before.Nano() - d/2
		}
	}
}
