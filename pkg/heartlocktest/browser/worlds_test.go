//go:build unix

package browser_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// size is how much a world holds.
type size struct {
	name string
	// Secrets of the one project that is looked at; 0 leaves it bare.
	secrets                                                int
	projects, members, invitations, tokens, edits, deleted int
}

var (
	empty   = size{name: "empty"}
	typical = size{name: "typical", secrets: 18, projects: 4, members: 4, invitations: 2, tokens: 2, edits: 8, deleted: 2}
	full    = size{name: "full", secrets: 500, projects: 40, members: 12, invitations: 10, tokens: 14, edits: 60, deleted: 20}
)

// Worlds that are no usual server.
const (
	unset   = "unset"  // in production, nobody has set it up
	closed  = "closed" // nobody has set it up, and the pages may not
	withSSO = "sso"    // with single sign-on and a mail server
)

// worlds make each of the worlds.
var worlds = map[string]func(*testing.T) *world{
	empty.name:   func(t *testing.T) *world { return newWorld(t, empty) },
	typical.name: func(t *testing.T) *world { return newWorld(t, typical) },
	full.name:    func(t *testing.T) *world { return newWorld(t, full) },
	unset: func(t *testing.T) *world {
		s := start(t, heartlocktest.Production()...)
		return &world{house: &house{Server: s, t: t}, base: overTLS(t, s)}
	},
	closed: func(t *testing.T) *world {
		s := start(t, "HEARTLOCK_DISABLE_ONBOARDING=True")
		return &world{house: &house{Server: s, t: t}, base: s.URL}
	},
	withSSO: func(t *testing.T) *world {
		const provider = "http://127.0.0.1:9" // nobody is asked while pages are only looked at
		h := newHouse(t, "OIDC_CLIENT_ID=heartlock", "OIDC_CLIENT_SECRET=secret", "OIDC_AUTHORIZATION_ENDPOINT="+provider+"/auth",
			"OIDC_TOKEN_ENDPOINT="+provider+"/token", "OIDC_USERINFO_ENDPOINT="+provider+"/userinfo",
			"EMAIL_HOST=127.0.0.1", "EMAIL_PORT=9", "EMAIL_USE_TLS=False")
		return &world{house: h, base: h.URL}
	},
}

// world is a house with something of everything that pages show. Nothing in it is
// changed once it is made, so that many tabs may look at it.
type world struct {
	*house
	base       string // the address that tabs use
	thorough   bool   // look at things that are the same in every world
	size       size
	newcomer   *heartlocktest.Caller // a member of nothing
	viewer     *heartlocktest.Caller // of the project; nil in an empty world
	key        string                // of a secret with a history
	deletedKey string
	invitation string // the token of a link, for an address without an account
	invited    string // the token of a link for the newcomer
	deviceCode string // of a command line that waits
	cliLogin   string // query of a command line's sign-in
	memberID   string // of a member who is no owner
	reset      string // path of a link to choose a password
}

// projectSlug is the project that is looked at.
const projectSlug = "storefront"

// newWorld makes a world.
func newWorld(t *testing.T, s size) *world {
	t.Helper()
	w := &world{house: newHouse(t), size: s, thorough: s.name == typical.name, key: "DATABASE_URL", deletedKey: "LEGACY_API_KEY"}
	w.base = w.URL
	w.newcomer = w.person("nina.newcomer")
	w.project(projectSlug, "The shop, its checkout and the jobs behind them.")
	w.addOddities()
	w.addProjects()
	w.addSecrets()
	w.addMembers()
	w.addInvitations()
	w.addTokens()
	w.addEdits()
	w.addCommandLines()
	return w
}

// addOddities makes a project without environments, one of somebody else, and a
// link to choose a password.
func (w *world) addOddities() {
	if w.size.name == empty.name {
		w.project("bare", "")
		for _, environment := range []string{"development", "staging", "production"} {
			w.owner.Call("DELETE", "/projects/bare/environments/"+environment+"/", nil).Want(http.StatusNoContent)
		}
	}
	if w.thorough {
		w.newcomer.Call("POST", "/projects/", map[string]any{"name": "Foreign"}).Want(http.StatusCreated)
		var sent api.PasswordLink
		id := w.AddUser("forgetful@example.com")
		w.owner.Call("POST", "/admin/users/"+id+"/reset-password/", nil).Want(http.StatusCreated).Decode(&sent)
		_, path, _ := strings.Cut(sent.Link.Reveal(), "/password-reset/")
		w.reset = "/password-reset/" + path
	}
}

func (w *world) addProjects() {
	names := []string{"billing", "data-warehouse", "identity", "mobile-app"}
	for i := range w.size.projects {
		slug := names[i%len(names)]
		if i >= len(names) {
			slug += fmt.Sprintf("-%02d", i/len(names))
		}
		w.project(slug, "Everything that "+strings.ReplaceAll(slug, "-", " ")+" needs to run.")
	}
}

// samples are secrets as teams have them.
var samples = map[string]string{
	"DATABASE_URL": "postgres://shop:k3yb0ard-cat@db.internal:5432/shop?sslmode=verify-full", "REDIS_URL": "rediss://:f9a1@cache.internal:6379/0",
	"STRIPE_SECRET_KEY": "sk_live_51Hx0example0000000000000", "STRIPE_WEBHOOK_SECRET": "whsec_9f3e7a11d2c4b6",
	"SENDGRID_API_KEY": "SG.example.8Zx-k2", "SENTRY_DSN": "https://abc123@o42.ingest.example.com/7", "SESSION_SECRET": "b7f1d3e94c6a",
	"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE0000000", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE", "S3_BUCKET": "storefront-assets",
	"FEATURE_NEW_CHECKOUT": "true", "LOG_LEVEL": "info", "SMTP_PASSWORD": "p@ss word\"with quotes\"", "JWT_SIGNING_KEY": "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END KEY-----\n",
	"MAPS_TOKEN": "pk.eyJ1IjoiZXhhbXBsZSJ9", "OAUTH_CLIENT_SECRET": "GOCSPX-example", "SLACK_WEBHOOK": "https://hooks.example.com/T0/B0/XX", "EMPTY_ON_PURPOSE": "",
}

// secretsNamed are n secrets: the samples first, then those of many services.
func secretsNamed(n int) map[string]string {
	all := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(samples)) {
		if len(all) < n {
			all[key] = samples[key]
		}
	}
	services := []string{"CATALOG", "CHECKOUT", "INVENTORY", "PAYMENTS", "RECOMMENDATIONS", "SEARCH", "SHIPPING", "WAREHOUSE"}
	settings := []string{"API_KEY", "BASE_URL", "DATABASE_PASSWORD", "PRIVATE_KEY", "TIMEOUT_SECONDS", "WEBHOOK_SECRET"}
	for i := 0; len(all) < n; i++ {
		key := fmt.Sprintf("%s_%s_%03d", services[i%len(services)], settings[i/len(services)%len(settings)], i/len(services)/len(settings))
		all[key] = fmt.Sprintf("value-of-%s-%04x", strings.ToLower(key), i*7919%65536)
	}
	return all
}

// addSecrets fills three environments, with differences between them.
func (w *world) addSecrets() {
	all := secretsNamed(w.size.secrets)
	w.set(projectSlug, "development", all)
	staging, production := map[string]string{}, map[string]string{}
	for i, key := range slices.Sorted(maps.Keys(all)) {
		if i%9 != 0 {
			staging[key] = all[key]
		}
		if i%6 != 1 {
			production[key] = "prod-" + all[key]
		}
		if i%4 == 0 {
			staging[key] = "staging-" + all[key]
		}
	}
	w.set(projectSlug, "staging", staging)
	w.set(projectSlug, "production", production)
	w.owner.Call("PATCH", "/projects/"+projectSlug+"/environments/production/", map[string]any{"protected": true}).Want(http.StatusOK)
}

func (w *world) addMembers() {
	names := []string{
		"ada.lovelace", "grace.hopper", "alan.turing", "edsger.dijkstra", "barbara.liskov", "donald.knuth", "margaret.hamilton",
		"ken.thompson", "frances.allen", "tony.hoare", "radia.perlman", "niklaus.wirth",
	}
	roles := []api.Role{"admin", "member", "viewer", "member"}
	var project api.Project
	w.owner.Call("GET", "/projects/"+projectSlug+"/", nil).Want(http.StatusOK).Decode(&project)
	for i := range w.size.members {
		email := names[i] + "@example.com"
		id := w.AddUser(email)
		w.AddMember(project.ID, id, roles[i%len(roles)])
		w.memberID = id
		if roles[i%len(roles)] == "viewer" && w.viewer == nil {
			w.viewer = w.Login(email)
		}
	}
}

func (w *world) addInvitations() {
	invite := func(email string, role api.Role) string {
		var made api.Invitation
		w.owner.Call("POST", "/projects/"+projectSlug+"/invitations/", map[string]any{"email": email, "role": role}).Want(http.StatusCreated).Decode(&made)
		return lastPart(made.Link.Reveal())
	}
	w.invitation = "none"
	w.invited = "none"
	for i := range w.size.invitations {
		switch i {
		case 0:
			w.invitation = invite("new.colleague@example.com", "member")
		case 1:
			w.invited = invite("nina.newcomer@example.com", "viewer")
		default:
			invite(fmt.Sprintf("contractor-%02d@agency.example.com", i), "viewer")
		}
	}
}

// lastPart is the last part of an address.
func lastPart(address string) string {
	parts := strings.Split(strings.TrimSuffix(address, "/"), "/")
	return parts[len(parts)-1]
}

func (w *world) addTokens() {
	names := []string{"github-actions", "kubernetes-production", "nightly-backup", "terraform"}
	for i := range w.size.tokens {
		body := map[string]any{"name": names[i%len(names)], "environments": []string{"production"}, "access": "read"}
		if i >= len(names) {
			body["name"] = fmt.Sprintf("%s-%d", names[i%len(names)], i)
		}
		if i%2 == 1 {
			body["environments"], body["access"] = []string{"development", "staging"}, "write"
			body["expires_at"] = time.Now().Add(time.Duration(i*300) * time.Hour).UTC().Format(time.RFC3339)
		}
		var made api.ServiceToken
		w.owner.Call("POST", "/projects/"+projectSlug+"/tokens/", body).Want(http.StatusCreated).Decode(&made)
		if i == 0 {
			w.WithToken("machine", made.Token.Reveal()).Call("GET", secretsOf(projectSlug, "production"), nil).Want(http.StatusOK)
		}
	}
	for i := range w.size.tokens / 2 {
		w.owner.Call("POST", "/auth/tokens/", map[string]any{"name": fmt.Sprintf("laptop-%d", i+1)}).Want(http.StatusCreated)
	}
}

// addEdits gives secrets histories, and deletes some.
func (w *world) addEdits() {
	keys := slices.Sorted(maps.Keys(secretsNamed(w.size.secrets)))
	for i := range w.size.edits {
		key := w.key
		if i%3 == 2 {
			key = keys[i%len(keys)]
		}
		body := map[string]any{"value": fmt.Sprintf("%s#%d", samples[w.key], i), "comment": "Rotated with the others, see the runbook."}
		w.owner.Call("PUT", secretsOf(projectSlug, "development")+key+"/", body).Want(http.StatusOK)
	}
	for i := range w.size.deleted {
		key := w.deletedKey
		if i > 0 {
			key = fmt.Sprintf("%s_%02d", w.deletedKey, i)
		}
		w.set(projectSlug, "development", map[string]string{key: "old"})
		w.owner.Call("DELETE", secretsOf(projectSlug, "development")+key+"/", nil).Want(http.StatusNoContent)
	}
}

// addCommandLines lets command lines wait for a sign-in.
func (w *world) addCommandLines() {
	var device api.DeviceAuthorization
	w.Anonymous().Call("POST", "/auth/device/", map[string]any{"machine": "build-server-7"}).Want(http.StatusOK).Decode(&device)
	w.deviceCode = device.UserCode
	w.cliLogin = "callback=http%3A%2F%2F127.0.0.1%3A41234%2Fcallback&state=Zk3w9Q0f81bd7a2c&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&machine=adas-laptop"
}
