package demo

import (
	"context"
	"database/sql/driver"

	"github.com/lib/pq"
)

// connector opens connections to PostgreSQL with a dialer of ours.
type connector struct {
	address string
	dialer  pq.Dialer
}

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) {
	return pq.DialOpen(c.dialer, c.address)
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }
