package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// slowPut is a request that is on its way: the server waits for its body.
type slowPut struct {
	conn   net.Conn
	reader *bufio.Reader
	body   string
}

// startPut sends the head of a PUT and returns once the server has begun to
// handle it, which "100 Continue" tells.
func startPut(t *testing.T, s *heartlocktest.Server, token, key string) *slowPut {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	p := &slowPut{conn: conn, reader: bufio.NewReader(conn), body: `{"value":"` + key + `"}`}
	path := strings.Replace(secretPath, "KEY", key, 1)
	fmt.Fprintf(conn, "PUT %s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		api.Prefix, path, token, len(p.body))
	line, err := p.reader.ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := p.reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *slowPut) finish(t *testing.T) int {
	t.Helper()
	if _, err := io.WriteString(p.conn, p.body); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// TestStopLetsRequestsFinish: a server that is asked to stop takes no new
// connection, answers what has begun and ends.
func TestStopLetsRequestsFinish(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		shop(t, owner)
		var writer api.ServiceToken
		owner.Call("POST", "/projects/shop/tokens/", map[string]any{"name": "writer", "environments": []string{"development"}, "access": "write"}).Want(201).Decode(&writer)
		var puts []*slowPut
		for i := range 20 {
			puts = append(puts, startPut(t, s, writer.Token.Reveal(), fmt.Sprintf("SLOW_%d", i)))
		}
		s.StopBegin()
		heartlocktest.Eventually(t, "the server takes no new connections", func() bool {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err == nil {
				_ = conn.Close()
			}
			return err != nil
		})
		for i, p := range puts {
			if status := p.finish(t); status != http.StatusCreated {
				t.Errorf("request %d got %d", i, status)
			}
		}
		s.Stop()
		if n := s.Count("secrets", "key LIKE 'SLOW%'"); n != len(puts) {
			t.Errorf("%d of %d acknowledged secrets are there", n, len(puts))
		}
	})
}

// TestStopBeforeTheDatabaseIsThere: waiting for a database must not keep a
// server from being stopped, and health answers meanwhile.
func TestStopBeforeTheDatabaseIsThere(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{
		DatabaseURL: "postgres://postgres@127.0.0.1:1/none?sslmode=disable", Waiting: true,
	})
	s.Anonymous().Call("GET", "/health/", nil).Want(200)
	s.Anonymous().Call("GET", "/ready/", nil).WantProblem(503)
	s.Anonymous().Call("GET", "/projects/", nil).WantProblem(503)
	s.Anonymous().Call("GET", "/projects/", nil, "Host: evil.org").WantProblem(400)
	s.StopBegin()
	if err := s.Wait(); err == nil {
		t.Error("a server that never had a database ended as if it had")
	}
}

// TestServerWaitsForItsDatabase that comes later.
func TestServerWaitsForItsDatabase(t *testing.T) {
	postgres := heartlocktest.StartPostgres(t, heartlocktest.PostgresOptions{})
	postgres.Stop(t)
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: postgres.URL("postgres"), Waiting: true})
	s.Anonymous().Call("GET", "/ready/", nil).WantProblem(503)
	postgres.Start(t)
	heartlocktest.Eventually(t, "the server is ready", func() bool {
		return s.Anonymous().Call("GET", "/ready/", nil).Status == http.StatusOK
	})
	shop(t, s.Onboard())
}
