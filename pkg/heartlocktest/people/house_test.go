//go:build unix

package people

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
)

var soak = flag.Bool("soak", false, "race for 200 rounds")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

// rounds is how often a race is run.
func rounds() int {
	if *soak {
		return 200
	}
	return 12
}

// house is an installation: one server on SQLite, or two over one PostgreSQL
// database. What is asked of it goes to its servers in turn.
type house struct {
	t       *testing.T
	servers []*heartlocktest.Server
	owner   *heartlocktest.Caller // superuser
	relay   *heartlocktest.SMTP
}

// newHouse is a house with a real relay for its mail. Two servers have nothing in
// common but the database, the keys and the relay.
func newHouse(t *testing.T, databaseURL string, servers int, environ ...string) *house {
	t.Helper()
	h := &house{t: t, relay: heartlocktest.StartSMTP(t, heartlocktest.SMTPPlain, "", "")}
	environ = append(environ, "HEARTLOCK_ENCRYPTION_KEY="+keyring.Generate().Encode(),
		"EMAIL_HOST="+h.relay.Host, fmt.Sprint("EMAIL_PORT=", h.relay.Port), "EMAIL_USE_TLS=False")
	for range servers {
		h.servers = append(h.servers, heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: environ}))
	}
	h.owner = h.servers[0].Onboard()
	return h
}

// eachHouse runs the test on one server with SQLite, and on two with PostgreSQL.
func eachHouse(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		servers := 1
		if databaseURL != "" {
			servers = 2
		}
		test(t, newHouse(t, databaseURL, servers))
	})
}

// at is the caller at the i-th server, round and round.
func (h *house) at(i int, c *heartlocktest.Caller) *heartlocktest.Caller {
	return c.On(h.servers[i%len(h.servers)])
}

// anonymous is nobody at the i-th server.
func (h *house) anonymous(i int) *heartlocktest.Caller {
	return h.servers[i%len(h.servers)].Anonymous()
}

// person makes an account, signed in at the first server.
func (h *house) person(name string) *heartlocktest.Caller {
	h.t.Helper()
	h.servers[0].AddUser(name + "@example.com")
	c := h.servers[0].Login(name + "@example.com")
	c.Name = name
	return c
}

// project makes a project of the caller.
func (h *house) project(c *heartlocktest.Caller, slug string) api.Project {
	h.t.Helper()
	var made api.Project
	c.Call("POST", "/projects/", map[string]any{"name": "Project " + slug, "slug": slug}).Want(http.StatusCreated).Decode(&made)
	return made
}

// invite has the caller invite an address, and returns the invitation with the
// token of the link in the mail.
func (h *house) invite(c *heartlocktest.Caller, slug, email string, role api.Role) (made api.Invitation, token string) {
	h.t.Helper()
	c.Call("POST", "/projects/"+slug+"/invitations/", map[string]any{"email": email, "role": role}).Want(http.StatusCreated).Decode(&made)
	return made, h.invited(made.Email)
}

// invited waits for the mail of an invitation, and returns the token of its link.
func (h *house) invited(email string) (token string) {
	h.t.Helper()
	letter := h.letter(email, "/invitations/")
	token = linkIn(h.t, letter.Text, "/invitations/")
	if !strings.Contains(letter.HTML, token) {
		h.t.Errorf("the HTML part does not bring the link:\n%s", letter.HTML)
	}
	return token
}

// tokenOf is the token at the end of a link.
func tokenOf(t *testing.T, link *api.Value) string {
	t.Helper()
	if link == nil {
		t.Fatal("there is no link")
	}
	parts := strings.Split(strings.TrimSuffix(link.Reveal(), "/"), "/")
	return parts[len(parts)-1]
}

// letter waits for the mail to an address that holds a text; others may come
// before it.
func (h *house) letter(to, text string) heartlocktest.Mail {
	h.t.Helper()
	for range 20 {
		m := h.relay.Next(h.t)
		if len(m.To) == 1 && m.To[0] == to && strings.Contains(m.Text, text) {
			return m
		}
	}
	h.t.Fatalf("no mail to %s with %q", to, text)
	return heartlocktest.Mail{}
}

// together makes requests at the same moment and counts their statuses.
func together(requests ...func() int) map[int]int {
	statuses, begin := make([]int, len(requests)), make(chan struct{})
	var all sync.WaitGroup
	for i, request := range requests {
		all.Go(func() {
			<-begin
			statuses[i] = request()
		})
	}
	close(begin)
	all.Wait()
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	return count
}

// secretsOf is a list that whoever is a member may read.
func secretsOf(slug string) string { return "/projects/" + slug + "/environments/development/secrets/" }
