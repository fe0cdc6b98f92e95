//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/go-json-experiment/json"
)

// floorSetup is what the floor server is told: where its data goes, what it
// holds, and the digest of the one token that it takes.
type floorSetup struct {
	Engine  string
	Address string // file or URL of the database
	Digest  []byte
	Secrets map[string]map[string]string // environment -> key -> value
}

// floor is the least that a server of secrets can do: it knows the token by its
// SHA-256, reads the row by its index, opens or seals it, and speaks JSON. It
// has no roles, no audit trail, no limits.
type floor struct {
	digest []byte
	key    *fernet.Key
	store  *floorStore
}

// floorSecret is one secret in the floor's answers.
type floorSecret struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

// floorList is an environment in the floor's answers.
type floorList struct {
	Results []floorSecret `json:"results"`
}

// serveFloor is the floor process: it reads its setup, says its address in one
// line, and serves until its standard input or ctx ends.
func serveFloor(ctx context.Context, in io.Reader, out io.Writer) error {
	var setup floorSetup
	if err := gob.NewDecoder(in).Decode(&setup); err != nil {
		return err
	}
	f, err := newFloor(ctx, setup)
	if err != nil {
		return err
	}
	defer f.store.close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f.handler(), ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in) // until the conductor closes it, or ends
		cancel()
	}()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newFloor fills the database and prepares the statements.
func newFloor(ctx context.Context, setup floorSetup) (*floor, error) {
	f := &floor{digest: setup.Digest, key: new(fernet.Key)}
	if err := f.key.Generate(); err != nil {
		return nil, err
	}
	sealed := map[string]map[string]string{}
	for environment, secrets := range setup.Secrets {
		sealed[environment] = map[string]string{}
		for key, value := range secrets {
			token, err := fernet.EncryptAndSign([]byte(value), f.key)
			if err != nil {
				return nil, err
			}
			sealed[environment][key] = string(token)
		}
	}
	var err error
	f.store, err = openFloorStore(ctx, setup.Engine, setup.Address, sealed)
	return f, err
}

func (f *floor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{environment}/{$}", f.list)
	mux.HandleFunc("GET /{environment}/{key}/{$}", f.read)
	mux.HandleFunc("PUT /{environment}/{key}/{$}", f.write)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if digest := sha256.Sum256([]byte(token)); subtle.ConstantTimeCompare(digest[:], f.digest) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (f *floor) read(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("key")
	sealed, err := f.store.one(r.Context(), r.PathValue("environment"), key)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	f.answer(w, floorSecret{Key: key, Value: f.open(sealed)})
}

func (f *floor) list(w http.ResponseWriter, r *http.Request) {
	list := floorList{Results: make([]floorSecret, 0, readSecrets)}
	err := f.store.all(r.Context(), r.PathValue("environment"), func(key, sealed string) {
		list.Results = append(list.Results, floorSecret{Key: key, Value: f.open(sealed)})
	})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	f.answer(w, list)
}

func (f *floor) write(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Value string `json:"value"`
	}
	if err := json.UnmarshalRead(r.Body, &in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	key := r.PathValue("key")
	sealed, err := fernet.EncryptAndSign([]byte(in.Value), f.key)
	if err == nil {
		err = f.store.replace(r.Context(), r.PathValue("environment"), key, string(sealed))
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	f.answer(w, floorSecret{Key: key})
}

func (f *floor) open(sealed string) string {
	return string(fernet.VerifyAndDecrypt([]byte(sealed), 0, []*fernet.Key{f.key}))
}

func (f *floor) answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body)
}
