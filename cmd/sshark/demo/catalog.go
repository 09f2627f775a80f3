package demo

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const products = 120

// product is what the shop sells.
type product struct {
	ID    int      `json:"id"`
	Name  string   `json:"name"`
	Price float64  `json:"price"`
	Stock int      `json:"stock"`
	Tags  []string `json:"tags"`
}

func productByID(id int) product {
	colors := []string{"red", "green", "blue", "grey", "white"}
	things := []string{"lamp", "chair", "kettle", "bicycle", "umbrella", "notebook", "teapot"}
	color, thing := colors[id%len(colors)], things[id%len(things)]
	return product{id, color + " " + thing, float64(id%37) + 0.99, id * 7 % 50, []string{color, thing, "new"}}
}

// newCatalog is the catalog: lists, single products, a search that answers bit by bit, a report
// that takes its time, and prices over a WebSocket.
func newCatalog() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products", func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("page")) // none is the first
		list := make([]product, 0, 20)
		for id := page * 20; id < min((page+1)*20, products); id++ {
			list = append(list, productByID(id))
		}
		w.Header().Set("Cache-Control", "max-age=5")
		reply(w, r, http.StatusOK, map[string]any{"page": page, "products": list})
	})
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil {
			problem(w, r, http.StatusBadRequest, "a product's number is a number")
			return
		}
		if id < 0 || id >= products {
			problem(w, r, http.StatusNotFound, "no such product")
			return
		}
		tag := fmt.Sprintf(`"p%d"`, id)
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		reply(w, r, http.StatusOK, productByID(id))
	})
	mux.HandleFunc("PUT /products/{id}/picture", func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 64<<10 {
			problem(w, r, http.StatusRequestEntityTooLarge, "a picture has at most 64 KiB")
			return
		}
		if n, err := io.Copy(io.Discard, r.Body); err == nil {
			reply(w, r, http.StatusCreated, map[string]int64{"bytes": n})
		}
	})
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		word := r.URL.Query().Get("q")
		w.Header().Set("Content-Type", "application/x-ndjson")
		out := json.NewEncoder(w)
		for id := range products {
			if p := productByID(id); strings.Contains(p.Name, word) {
				out.Encode(p)
			}
			if id%40 == 39 { // what was found so far goes out as a chunk
				http.NewResponseController(w).Flush()
				pause(r.Context(), 5*time.Millisecond)
			}
		}
	})
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		if pause(r.Context(), 500*time.Millisecond) {
			reply(w, r, http.StatusOK, map[string]int{"sold": rand.IntN(1000)})
		}
	})
	mux.HandleFunc("GET /feed", feed)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "ok\n")
	})
	return mux
}

// reply sends v as JSON, compressed as the client likes it.
func reply(w http.ResponseWriter, r *http.Request, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Server", "shop")
	var out io.WriteCloser
	switch r.Header.Get("Accept-Encoding") {
	case "gzip":
		out = gzip.NewWriter(w)
	case "br":
		out = brotli.NewWriterLevel(w, brotli.BestSpeed)
	case "zstd":
		// One goroutine and a small window: bodies are small, and there are many.
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstd.MinWindowSize<<4))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		out = z
	}
	if out == nil {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v)
		return
	}
	h.Set("Content-Encoding", r.Header.Get("Accept-Encoding"))
	w.WriteHeader(status)
	json.NewEncoder(out).Encode(v)
	out.Close()
}

// problem sends an error as RFC 9457 has it.
func problem(w http.ResponseWriter, _ *http.Request, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}
