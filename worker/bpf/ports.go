package bpf

import (
	"fmt"
	"slices"
)

// portSets shares equal lists of ports between targets: each distinct one is a bitmap of 8 KiB
// in the kernel, so that a list of any length costs one look. Set 0 means no list.
type portSets struct {
	write func(id uint16, bits *packetPortSet) error
	sets  [maxPortSets]struct {
		ports []uint16 // sorted, without repetitions
		users int
	}
}

// hold gives the number of the set of these ports, to be released once.
func (s *portSets) hold(ports []uint16) (uint16, error) {
	ports = slices.Clone(ports)
	slices.Sort(ports)
	ports = slices.Compact(ports)
	free := 0
	for i := 1; i < maxPortSets; i++ {
		if s.sets[i].users == 0 {
			if free == 0 {
				free = i
			}
		} else if slices.Equal(s.sets[i].ports, ports) {
			s.sets[i].users++
			return uint16(i), nil
		}
	}
	if free == 0 {
		return 0, fmt.Errorf("more than %d different lists of ports at one time", maxPortSets-1)
	}
	var bits packetPortSet
	for _, p := range ports {
		bits.Bits[p>>6] |= 1 << (p & 63)
	}
	if err := s.write(uint16(free), &bits); err != nil {
		return 0, fmt.Errorf("write a list of %d ports: %w", len(ports), err)
	}
	s.sets[free].ports, s.sets[free].users = ports, 1
	return uint16(free), nil
}

func (s *portSets) release(ids []uint16) {
	for _, id := range ids {
		s.sets[id].users--
	}
}
