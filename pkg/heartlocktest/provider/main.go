// Command provider is an OpenID provider for tests: the certified implementation
// of zitadel/oidc with the accounts that it is given. It is a module of its own, so
// that what it needs is no part of Heartlock, and a program of its own, so that
// nothing is shared with the server that is tested but HTTP.
//
// It reads a [settings] object from its standard input, prints the address of its
// issuer as one line, and serves on a port of the loopback interface until its
// standard input ends.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// settings say whom the provider knows.
type settings struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"` // empty: a public client, which PKCE alone protects
	RedirectURIs []string `json:"redirect_uris"`
	LogoutURIs   []string `json:"logout_uris"`
	Users        []user   `json:"users"`
}

type user struct {
	Subject       string `json:"sub"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	FirstName     string `json:"first_name"`
	LastName      string `json:"last_name"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "provider:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	reader := bufio.NewReader(in)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the settings could not be read: %w", err)
	}
	var s settings
	if err := json.Unmarshal(line, &s); err != nil {
		return fmt.Errorf("the settings could not be read: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer := "http://" + listener.Addr().String()
	server := &http.Server{
		Handler:           exampleop.SetupServer(issuer, newAccounts(s), slog.New(slog.DiscardHandler), false),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		_, _ = io.Copy(io.Discard, reader) // until who started it has gone
		_ = server.Close()
	}()
	fmt.Fprintln(out, issuer)
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// accounts is the storage of the example with a client that names where a logout
// may lead back to, and that may be public.
type accounts struct {
	*storage.Storage
	logout []string
	public bool
}

func newAccounts(s settings) accounts {
	client := storage.WebClient(s.ClientID, s.ClientSecret, s.RedirectURIs...)
	known := users{}
	for _, u := range s.Users {
		known[u.Subject] = &storage.User{
			ID: u.Subject, Username: u.Username, Password: u.Password, Email: u.Email, EmailVerified: u.EmailVerified,
			FirstName: u.FirstName, LastName: u.LastName,
		}
	}
	return accounts{
		Storage: storage.NewStorageWithClients(known, map[string]*storage.Client{s.ClientID: client}),
		logout:  s.LogoutURIs, public: s.ClientSecret == "",
	}
}

// GetClientByClientID implements op.Storage.
func (a accounts) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := a.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{c, a.logout, a.public}, nil
}

type client struct {
	op.Client
	logout []string
	public bool
}

// AuthMethod implements op.Client.
func (c client) AuthMethod() oidc.AuthMethod {
	if c.public {
		return oidc.AuthMethodNone
	}
	return c.Client.AuthMethod()
}

// PostLogoutRedirectURIs implements op.Client.
func (c client) PostLogoutRedirectURIs() []string { return c.logout }

// users implements storage.UserStore.
type users map[string]*storage.User

// GetUserByID implements storage.UserStore.
func (u users) GetUserByID(id string) *storage.User { return u[id] }

// GetUserByUsername implements storage.UserStore.
func (u users) GetUserByUsername(name string) *storage.User {
	for _, known := range u {
		if known.Username == name {
			return known
		}
	}
	return nil
}

// ExampleClientID implements storage.UserStore.
func (users) ExampleClientID() string { return "service" }
