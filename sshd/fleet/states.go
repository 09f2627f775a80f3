package fleet

import "google.golang.org/grpc/connectivity"

// States counts the workers that are listed: those that a connection stands to, those that
// cannot be reached at the moment, and those that have no address.
func (m *Members) States() (connected, missing, absent int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.members {
		switch {
		case x.conn == nil:
			absent++
		case x.conn.conn.GetState() == connectivity.Ready:
			connected++
		default:
			missing++
		}
	}
	return connected, missing, absent
}
