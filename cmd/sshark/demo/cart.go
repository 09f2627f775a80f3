package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// maxItems bounds a cart: who puts in more gets a 409.
const maxItems = 6

// cart keeps what users put into it, in Redis where there is one.
type cart struct {
	items  shelf
	client *http.Client
	names  *net.Resolver
	stock  *grpc.ClientConn
	work   func(context.Context) error // besides serving
}

// shelf keeps items by user.
type shelf interface {
	put(ctx context.Context, user, item string, count int) (kinds int, err error)
	get(ctx context.Context, user string) (map[string]int, error)
	clear(ctx context.Context, user string) (had bool, err error)
}

func newCart(withRedis bool) (*cart, error) {
	stock, err := newStockClient()
	if err != nil {
		return nil, err
	}
	c := &cart{client: newHTTPClient(2 * time.Second), names: newResolver(), stock: stock, items: &memory{carts: map[string]map[string]int{}}}
	if withRedis {
		s := newRedisShelf()
		c.items, c.work = s, s.gossip
	}
	return c, nil
}

func (c *cart) run(ctx context.Context, ready func()) error {
	if c.work != nil {
		go c.work(ctx)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /carts/{user}/items", c.add)
	mux.HandleFunc("GET /carts/{user}", c.show)
	mux.HandleFunc("DELETE /carts/{user}", c.empty)
	mux.HandleFunc("POST /carts/{user}/checkout", c.checkout)
	return serve(ctx, cartPort, mux, ready)
}

func (c *cart) add(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Product int `json:"product"`
		Count   int `json:"count"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&order); err != nil {
		problem(w, r, http.StatusBadRequest, "not JSON: "+err.Error())
		return
	}
	if order.Count < 1 {
		problem(w, r, http.StatusUnprocessableEntity, "how many?")
		return
	}
	kinds, err := c.items.put(r.Context(), r.PathValue("user"), strconv.Itoa(order.Product), order.Count)
	switch {
	case err != nil:
		problem(w, r, http.StatusServiceUnavailable, "the shelf is out of reach")
	case kinds > maxItems:
		problem(w, r, http.StatusConflict, "the cart is full")
	default:
		w.Header().Set("Location", "/api/cart/"+r.PathValue("user"))
		reply(w, r, http.StatusCreated, map[string]int{"kinds": kinds})
	}
}

func (c *cart) show(w http.ResponseWriter, r *http.Request) {
	items, err := c.items.get(r.Context(), r.PathValue("user"))
	if err != nil {
		problem(w, r, http.StatusServiceUnavailable, "the shelf is out of reach")
		return
	}
	reply(w, r, http.StatusOK, map[string]any{"user": r.PathValue("user"), "items": items})
}

func (c *cart) empty(w http.ResponseWriter, r *http.Request) {
	switch had, err := c.items.clear(r.Context(), r.PathValue("user")); {
	case err != nil:
		problem(w, r, http.StatusServiceUnavailable, "the shelf is out of reach")
	case !had:
		problem(w, r, http.StatusNotFound, "the cart is empty")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// checkout asks the catalog for the prices. Now and then it wants the payment service, whose
// name does not exist, or trips over itself.
func (c *cart) checkout(w http.ResponseWriter, r *http.Request) {
	items, err := c.items.get(r.Context(), r.PathValue("user"))
	if err != nil || len(items) == 0 {
		problem(w, r, http.StatusConflict, "nothing to pay")
		return
	}
	sum := 0.0
	for item, count := range items {
		p, err := c.price(r.Context(), item)
		if err != nil {
			problem(w, r, http.StatusBadGateway, "no price: "+err.Error())
			return
		}
		if err := c.reserve(r.Context(), item); err != nil {
			problem(w, r, http.StatusConflict, err.Error())
			return
		}
		sum += p * float64(count)
	}
	if chance(0.3) {
		if _, err := c.names.LookupNetIP(r.Context(), "ip4", paysName); err != nil {
			w.Header().Set("Retry-After", "30")
			problem(w, r, http.StatusServiceUnavailable, named(err).Error())
			return
		}
	}
	if chance(0.1) {
		problem(w, r, http.StatusInternalServerError, "index out of range [3] with length 3")
		return
	}
	if _, err := c.items.clear(r.Context(), r.PathValue("user")); err != nil {
		problem(w, r, http.StatusServiceUnavailable, "the shelf is out of reach")
		return
	}
	reply(w, r, http.StatusOK, map[string]any{"paid": sum, "items": len(items)})
}

func (c *cart) price(ctx context.Context, item string) (float64, error) {
	url := "http://" + hostPort(catalogMember, catalogPort) + "/products/" + item
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer finish(resp)
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("product %s: %s", item, resp.Status)
	}
	var p product
	err = json.NewDecoder(resp.Body).Decode(&p)
	return p.Price, err
}

// reserve takes a product from the stock, and now and then looks how it sells.
func (c *cart) reserve(ctx context.Context, item string) error {
	id, err := strconv.Atoi(item)
	if err != nil {
		return err
	}
	if chance(0.2) {
		if err := watchStock(ctx, c.stock, id); !errors.Is(err, io.EOF) {
			return err
		}
	}
	return c.stock.Invoke(ctx, reserveMethod, wrapperspb.Int64(int64(id)), new(wrapperspb.Int64Value))
}

// memory is the shelf without Redis.
type memory struct {
	sync.Mutex
	carts map[string]map[string]int
}

func (m *memory) put(_ context.Context, user, item string, count int) (int, error) {
	m.Lock()
	defer m.Unlock()
	if m.carts[user] == nil {
		m.carts[user] = map[string]int{}
	}
	m.carts[user][item] += count
	return len(m.carts[user]), nil
}

func (m *memory) get(_ context.Context, user string) (map[string]int, error) {
	m.Lock()
	defer m.Unlock()
	items := map[string]int{}
	for item, count := range m.carts[user] {
		items[item] = count
	}
	return items, nil
}

func (m *memory) clear(_ context.Context, user string) (bool, error) {
	m.Lock()
	defer m.Unlock()
	_, had := m.carts[user]
	delete(m.carts, user)
	return had, nil
}

// redisShelf keeps a cart as a hash of Redis that ends after some minutes.
type redisShelf struct{ pool *redis.Pool }

func newRedisShelf() *redisShelf {
	dial := newDialer()
	return &redisShelf{&redis.Pool{
		MaxIdle: 4, IdleTimeout: 20 * time.Second,
		DialContext: func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", hostPort(redisMember, redisPort),
				redis.DialContextFunc(dial), redis.DialReadTimeout(time.Second), redis.DialWriteTimeout(time.Second))
		},
	}}
}

func key(user string) string { return "cart:" + user }

// put sends its three commands at once and reads the answers after.
func (s *redisShelf) put(ctx context.Context, user, item string, count int) (int, error) {
	c, err := s.pool.GetContext(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	err = errors.Join(c.Send("HINCRBY", key(user), item, count), c.Send("EXPIRE", key(user), 300),
		c.Send("HLEN", key(user)), c.Flush())
	if err != nil {
		return 0, err
	}
	for range 2 {
		if _, err := c.Receive(); err != nil {
			return 0, err
		}
	}
	return redis.Int(c.Receive())
}

func (s *redisShelf) get(ctx context.Context, user string) (map[string]int, error) {
	return redis.IntMap(s.do(ctx, "HGETALL", key(user)))
}

func (s *redisShelf) clear(ctx context.Context, user string) (bool, error) {
	n, err := redis.Int(s.do(ctx, "DEL", key(user)))
	return n > 0, err
}

func (s *redisShelf) do(ctx context.Context, command string, args ...any) (any, error) {
	c, err := s.pool.GetContext(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Do(command, args...)
}

// gossip counts and looks up things in Redis besides, some of it wrong, until ctx ends.
func (s *redisShelf) gossip(ctx context.Context) error {
	for pause(ctx, 300*time.Millisecond) {
		// The answers do not matter, nor does a Redis that is not there yet.
		switch {
		case chance(0.5):
			_, _ = s.do(ctx, "INCR", "visits")
		case chance(0.6):
			_, _ = s.do(ctx, "GET", "session:unknown") // nil
		case chance(0.5):
			_, _ = s.do(ctx, "SET", "banner", "autumn sale", "EX", 60)
		default:
			_, _ = s.do(ctx, "LPUSH", "visits", "x") // -WRONGTYPE, once visits is a number
		}
	}
	return nil
}
