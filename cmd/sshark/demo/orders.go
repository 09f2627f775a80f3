package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"golang.org/x/sync/errgroup"
)

// orders takes what was paid: over HTTP/2 without TLS from the gateway, over HTTPS from the
// users, who fetch their receipts, and over gRPC from the cart, which reserves stock. It keeps
// orders in PostgreSQL where there is one.
type orders struct {
	ledger ledger
	stock  stock
}

// ledger keeps orders.
type ledger interface {
	add(ctx context.Context, user string, sum float64) (number int, err error)
	list(ctx context.Context, user string) ([]order, error)
}

type order struct {
	Number int     `json:"number"`
	Sum    float64 `json:"sum"`
}

func newOrders(withPostgres bool) *orders {
	o := &orders{ledger: &book{}}
	if withPostgres {
		o.ledger = newTable()
	}
	return o
}

func (o *orders) run(ctx context.Context, ready func()) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{user}", o.list)
	mux.HandleFunc("POST /orders/{user}", o.add)
	mux.HandleFunc("GET /receipts/{user}", o.list)
	certificate, err := selfSigned(strings.TrimSuffix(ordersMember.fqdn(), "."))
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	var open atomic.Int32
	opened := func() {
		if open.Add(1) == 3 {
			ready()
		}
	}
	g.Go(func() error { return serve(ctx, ordersPort, mux, opened) })
	g.Go(func() error {
		return serveTLS(ctx, receiptsPort, mux, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}, opened)
	})
	g.Go(func() error { return o.stock.run(ctx, opened) })
	return g.Wait()
}

func (o *orders) add(w http.ResponseWriter, r *http.Request) {
	sum, err := strconv.ParseFloat(r.URL.Query().Get("sum"), 64)
	if err != nil {
		problem(w, r, http.StatusBadRequest, "sum is a number")
		return
	}
	n, err := o.ledger.add(r.Context(), r.PathValue("user"), sum)
	if refused := (*pq.Error)(nil); errors.As(err, &refused) {
		problem(w, r, http.StatusUnprocessableEntity, refused.Message)
		return
	}
	if err != nil {
		problem(w, r, http.StatusServiceUnavailable, "the ledger is out of reach")
		return
	}
	reply(w, r, http.StatusCreated, order{n, sum})
}

func (o *orders) list(w http.ResponseWriter, r *http.Request) {
	all, err := o.ledger.list(r.Context(), r.PathValue("user"))
	if err != nil {
		problem(w, r, http.StatusServiceUnavailable, "the ledger is out of reach")
		return
	}
	reply(w, r, http.StatusOK, map[string]any{"user": r.PathValue("user"), "orders": all})
}

// book is the ledger without PostgreSQL.
type book struct {
	sync.Mutex
	next  int
	lines map[string][]order
}

// shown is how many orders of a user are told, the newest.
const shown = 10

func (b *book) add(_ context.Context, user string, sum float64) (int, error) {
	b.Lock()
	defer b.Unlock()
	if b.lines == nil {
		b.lines = map[string][]order{}
	}
	b.next++
	all := append(b.lines[user], order{b.next, sum})
	b.lines[user] = all[max(0, len(all)-shown):]
	return b.next, nil
}

func (b *book) list(_ context.Context, user string) ([]order, error) {
	b.Lock()
	defer b.Unlock()
	return append([]order{}, b.lines[user]...), nil
}

// table is the ledger in PostgreSQL. A sum must be positive: the database says so.
type table struct {
	db   *sql.DB
	once sync.Mutex
	made bool
}

// dialer lets the library look names up as the shop does.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, time.Second)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d(ctx, network, address)
}

func newTable() *table {
	c := &connector{fmt.Sprintf("host=%s port=%d user=shop dbname=postgres sslmode=disable connect_timeout=1 application_name=orders",
		strings.TrimSuffix(postgresMember.fqdn(), "."), postgresPort), dialer(newDialer())}
	t := &table{db: sql.OpenDB(c)}
	t.db.SetMaxIdleConns(2)
	t.db.SetConnMaxLifetime(20 * time.Second)
	return t
}

// prepare makes the table once there is a server.
func (t *table) prepare(ctx context.Context) error {
	t.once.Lock()
	defer t.once.Unlock()
	if t.made {
		return nil
	}
	_, err := t.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS orders (number serial PRIMARY KEY, customer text NOT NULL, sum numeric CHECK (sum > 0))`)
	t.made = err == nil
	return err
}

func (t *table) add(ctx context.Context, user string, sum float64) (number int, err error) {
	if err := t.prepare(ctx); err != nil {
		return 0, err
	}
	err = t.db.QueryRowContext(ctx, `INSERT INTO orders (customer, sum) VALUES ($1, $2) RETURNING number`, user, sum).Scan(&number)
	return number, err
}

func (t *table) list(ctx context.Context, user string) ([]order, error) {
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	rows, err := t.db.QueryContext(ctx, `SELECT number, sum FROM orders WHERE customer = $1 ORDER BY number DESC LIMIT $2`, user, shown)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []order{}
	for rows.Next() {
		var o order
		if err := rows.Scan(&o.Number, &o.Sum); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

// selfSigned makes a certificate for a name that lasts as long as the shop may.
func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
