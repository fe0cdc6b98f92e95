package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// describe writes a DatabaseURL so that every field can be compared.
func describe(d DatabaseURL) string {
	if d.Engine == SQLite {
		if d.InMemory {
			return "memory"
		}
		text := d.Path
		if d.Timeout != 0 {
			text += " timeout=" + d.Timeout.String()
		}
		if d.Synchronous != "" {
			text += " synchronous=" + d.Synchronous
		}
		return text
	}
	var hosts []string
	for _, h := range d.Hosts {
		hosts = append(hosts, fmt.Sprintf("%s|%d", h.Host, h.Port))
	}
	o := d.Options
	text := fmt.Sprintf("user=%s password=%s hosts=%s name=%s", d.User, d.Password.Reveal(), strings.Join(hosts, ","), d.Database)
	for _, pair := range [][2]string{
		{"sslmode", o.SSLMode},
		{"sslrootcert", o.SSLRootCert},
		{"sslcert", o.SSLCert},
		{"sslkey", o.SSLKey},
		{"application_name", o.ApplicationName},
		{"target_session_attrs", o.TargetSessionAttrs},
		{"search_path", o.SearchPath},
	} {
		if pair[1] != "" {
			text += " " + pair[0] + "=" + pair[1]
		}
	}
	if o.ConnectTimeout != 0 {
		text += " connect_timeout=" + o.ConnectTimeout.String()
	}
	if o.ConnMaxAgeSet {
		text += " max_age=" + o.ConnMaxAge.String()
	}
	if o.ConnHealthChecks {
		text += " health"
	}
	return text
}

// TestParseDatabaseURL is the table of the forms that django-environ 0.12 reads,
// with our reading. "error: x" is an error that contains x.
func TestParseDatabaseURL(t *testing.T) {
	t.Parallel()
	const std = "user=u password=p hosts=h|5432 name=db"
	for _, c := range []struct{ url, want string }{
		{"sqlite:///heartlock_data/db.sqlite3", "/root/heartlock_data/db.sqlite3"},
		{"sqlite:////var/lib/heartlock/db.sqlite3", "/var/lib/heartlock/db.sqlite3"},
		{"sqlite:///./x.db", "/root/x.db"},
		{"sqlite:///../x.db", "/x.db"},
		{"sqlite://", "error: names no file"},
		{"sqlite:///", "error: names no file"},
		{"sqlite:///.", "error: directory"},
		{"sqlite:///x/", "error: directory"},
		{"sqlite://:memory:", "memory"},
		{"sqlite:///:memory:", "memory"},
		{"sqlite://x.db", "error: did you mean sqlite:///"},
		{"sqlite:x.db", "error: three slashes"},
		{"sqlite:/abs/x.db", "error: three slashes"},
		{"sqlite:///my%20db.sqlite3", "/root/my db.sqlite3"},
		{"sqlite:///my+db.sqlite3", "/root/my+db.sqlite3"},
		{"sqlite:///a%3Fb.db", "/root/a?b.db"},
		{"sqlite:///a%00b.db", "error: %"},
		{"sqlite:///a.db?timeout=20", "/root/a.db timeout=20s"},
		{"sqlite:///a.db?timeout=20&synchronous=NORMAL", "/root/a.db timeout=20s synchronous=normal"},
		{"sqlite:///a.db?synchronous=off", "error: full or normal"},
		{"sqlite:///a.db?timeout=0", "error: timeout"},
		{"sqlite:///a.db?timeout=20&mode=ro", "error: option 2"},
		{"sqlite:///a.db?timeout", "error: name=value"},
		{"SQLITE:///x.db", "/root/x.db"},
		{"sqlite3:///x.db", "/root/x.db"},
		{"file:x.db", "error: not a URL"},
		{"postgres://u:p@h:5432/db", std},
		{"postgresql://u:p@h/db", std},
		{"psql://u:p@h/db", std},
		{"pgsql://u:p@h/db", std},
		{"POSTGRES://u:p@h/db", std},
		{"postgres://u:p%40ss@h:5432/db", "user=u password=p@ss hosts=h|5432 name=db"},
		{"postgres://u:p@ss@h:5432/db", "user=u password=p@ss hosts=h|5432 name=db"},
		{"postgres://u:p%2Fss%3Aw%25@h:5432/db", "user=u password=p/ss:w% hosts=h|5432 name=db"},
		{"postgres://u:p/ss@h:5432/db", "error: password contains / or ?"},
		{"postgres://u:p?ss@h:5432/db", "error: password contains / or ?"},
		{"postgres://u:p@a/ss@h:5432/db", "error: password contains / or ?"},
		{"postgres://u:p#ss@h:5432/db", "user=u password=p#ss hosts=h|5432 name=db"},
		{"postgres://u:p:ss@h:5432/db", "user=u password=p:ss hosts=h|5432 name=db"},
		{"postgres://u:p+w@h/db", "user=u password=p+w hosts=h|5432 name=db"},
		{"postgres://u:w%@h/db", "error: %25"},
		{"postgres://u%2Bx:p@h/d%2Bb+c", "user=u+x password=p hosts=h|5432 name=d+b+c"},
		{"postgres://u:p[x@h/db", "user=u password=p[x hosts=h|5432 name=db"},
		{"postgres://u:p@[::1]:5432/db", "user=u password=p hosts=::1|5432 name=db"},
		{"postgres://u:p@[::1]/db", "user=u password=p hosts=::1|5432 name=db"},
		{"postgres://u:p@[nope]/db", "error: IPv6"},
		{"postgres://u:p@h:port/db", "error: port"},
		{"postgres://u:p@h:/db", "error: port"},
		{"postgres://u:p@h:0/db", "error: port"},
		{"postgres://u:p@h:99999/db", "error: port"},
		{"postgres://h/db", "user= password= hosts=h|5432 name=db"},
		{"postgres:///db", "user= password= hosts= name=db"},
		{"postgres://%2Fvar%2Frun%2Fpostgresql/db", "user= password= hosts=/var/run/postgresql|5432 name=db"},
		{"postgres://u@%2Ftmp:5433/db", "user=u password= hosts=/tmp|5433 name=db"},
		{"postgres:////var/run/postgresql/db", "user= password= hosts=/var/run/postgresql|5432 name=db"},
		{"postgres:///db?host=/run/postgresql", "user= password= hosts=/run/postgresql|5432 name=db"},
		{"postgres://h/db?host=/run/postgresql", "error: host"},
		{"postgres:///db?host=other", "error: socket"},
		{"postgres://u:p@/db", "user=u password=p hosts= name=db"},
		{"postgres://u:p@h1:5432,h2:5433/db", "user=u password=p hosts=h1|5432,h2|5433 name=db"},
		{"postgres://u:p@h1,h2/db", "user=u password=p hosts=h1|5432,h2|5432 name=db"},
		{"postgres://u:p@h1,h2:5433/db", "error: each host its port"},
		{"postgres://u:p@h1,/db", "error: host"},
		{"postgres://u:p@h/db?sslmode=require", std + " sslmode=require"},
		{"postgres://u:p@h/db?sslmode=verify-full&sslrootcert=/x/ca.pem&connect_timeout=5&CONN_MAX_AGE=30&conn_health_checks=True", std + " sslmode=verify-full sslrootcert=/x/ca.pem connect_timeout=5s max_age=30s health"},
		{"postgres://u:p@h/db?conn_max_age=0", std + " max_age=0s"},
		{"postgres://u:p@h/db?CONN_MAX_AGE=-1", "error: CONN_MAX_AGE"},
		{"postgres://u:p@h/db?CONN_MAX_AGE=1&conn_max_age=2", "error: twice"},
		{"postgres://u:p@h/db?options=-c%20search_path%3Dfoo", std + " search_path=foo"},
		{"postgres://u:p@h/db?options=-c%20search_path%3Dfoo,public", std + " search_path=foo,public"},
		{"postgres://u:p@h/db?options=-c%20fsync%3Doff", "error: search_path"},
		{"postgres://u:p@h/db?options=-c%20search_path%3Dfoo%20-c%20synchronous_commit%3Doff", "error: search_path"},
		{"postgres://u:p@h/db?sslmode=require&sslmode=disable", "error: twice"},
		{"postgres://u:p@h/db?sslmode=on", "error: verify-full"},
		{"postgres://u:p@h/db?target_session_attrs=read-only", "error: target_session_attrs"},
		{"postgres://u:p@h/db?sslcert=/x", "error: belong together"},
		{"postgres://u:p@h/db?application_name=", "error: empty"},
		{"postgres://u:p@h/db?passfile=/x", "error: option 1"},
		{"postgres://u:p@h/db?service=x", "error: option 1"},
		{"postgres://u:p@h/db?", std},
		{"postgres://u@h", "error: no database"},
		{"postgres://u@h/", "error: no database"},
		{"postgres://u@h/a/b", "error: %2F"},
		{"postgres://u:p@H.Example.COM/DB", "user=u password=p hosts=h.example.com|5432 name=DB"},
		{"postgres://u:p@heartlock_db/db", "user=u password=p hosts=heartlock_db|5432 name=db"},
		{"postgresql+psycopg://u:p@h/db", "error: postgresql+psycopg"},
		{"mysql://u:p@h/db", "error: mysql"},
		{"redis+x://u:p@h/db", "error: scheme is not known"},
		{" postgres://u:p@h/db", "error: space"},
		{"postgres://u:p@h/db ", "error: space"},
		{`"postgres://u:p@h/db"`, "error: quotes"},
		{"postgres://u:p\x00@h/db", "error: control"},
		{"postgres://u:p\xff@h/db", "error: UTF-8"},
		{"unix://x", "error: unix"},
		{"heartlock:hunter2", "error: not a URL"},
		{"", "error: not a URL"},
	} {
		d, err := ParseDatabaseURL(c.url, "/root")
		got := describe(d)
		if part, failing := strings.CutPrefix(c.want, "error: "); failing {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %s, %v; want %q", c.url, got, err, c.want)
			}
			if got != describe(DatabaseURL{}) {
				t.Errorf("%q: half a URL came with the error", c.url)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%q:\n got %s, %v\nwant %s", c.url, got, err, c.want)
		}
	}
}

func TestDatabaseURLPrintsNoPassword(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://user:hunter2@host/db":                      "postgres://user:***@host/db",
		"postgres://user:hunter2@[::1]:6000,b:6001/db":         "postgres://user:***@[::1]:6000,b:6001/db",
		"postgres://user@host/db":                              "postgres://user@host/db",
		"postgres:///db":                                       "postgres:///db",
		"postgres://user:hunter2@host/db?application_name=app": "postgres://user:***@host/db",
		"sqlite:///x.db":                                       "sqlite:////root/x.db",
		"sqlite://:memory:":                                    "sqlite://:memory:",
	} {
		d, err := ParseDatabaseURL(url, "/root")
		if err != nil {
			t.Fatal(err)
		}
		if d.String() != want {
			t.Errorf("%s, want %s", d, want)
		}
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			type outer struct{ inner DatabaseURL }
			for _, value := range []any{d, &d, outer{d}, []DatabaseURL{d}} {
				if text := fmt.Sprintf(format, value); strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
					t.Errorf("%s of %T shows the password", format, value)
				}
			}
		}
	}
}

// TestPostgresDSN asks pgx what it understands.
func TestPostgresDSN(t *testing.T) {
	t.Parallel()
	parse := func(url string) *pgx.ConnConfig {
		t.Helper()
		d, err := ParseDatabaseURL(url, "/root")
		if err != nil {
			t.Fatal(err)
		}
		config, err := pgx.ParseConfig(d.PostgresDSN())
		if err != nil {
			t.Fatalf("pgx refuses the DSN of %s", d)
		}
		return config
	}
	c := parse(`postgres://o%27u\ser:p%27a\s%20s%40@db.example.com:6000/d%27b?sslmode=disable&application_name=my%20app&connect_timeout=7&options=-c%20search_path%3Dfoo`)
	got := []any{c.User, c.Password, c.Host, c.Port, c.Database, c.ConnectTimeout, c.RuntimeParams["application_name"], c.RuntimeParams["options"], c.TLSConfig == nil, len(c.Fallbacks)}
	want := []any{`o'u\ser`, `p'a\s s@`, "db.example.com", uint16(6000), "d'b", 7 * time.Second, "my app", "-c search_path=foo", true, 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c = parse("postgres://u:p@h1:6000,[::1]:6001/db?sslmode=verify-full")
	if len(c.Fallbacks) != 1 || c.Fallbacks[0].Host != "::1" || c.Fallbacks[0].Port != 6001 || c.ValidateConnect == nil || c.TLSConfig == nil || c.TLSConfig.ServerName != "h1" {
		t.Errorf("two hosts: %d fallbacks, validation %v", len(c.Fallbacks), c.ValidateConnect != nil)
	}
	c = parse("postgres://u@h/db")
	if c.TLSConfig == nil || len(c.Fallbacks) != 1 || c.Fallbacks[0].TLSConfig != nil {
		t.Error("without sslmode it is not prefer")
	}
	if c = parse("postgres:////run/postgresql/db"); c.Host != "/run/postgresql" || c.Database != "db" {
		t.Errorf("socket: %q", c.Host)
	}
	if (DatabaseURL{Engine: SQLite}).PostgresDSN() != "" {
		t.Error("SQLite has a DSN for PostgreSQL")
	}
}

func FuzzParseDatabaseURL(f *testing.F) {
	for _, seed := range []string{"sqlite:///a%20b?timeout=3", "postgres://u:p@h1:1,h2:2/db?sslmode=require", "postgres:////run/x/db", "postgres://%2Fa:1/db", "sqlite://:memory:", "postgres://u:p%27@[::1]/d?options=-c%20search_path%3Da"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDatabaseURL(text, "/root")
		if err != nil {
			if d.Engine != "" {
				t.Fatal("a half-read URL came with an error")
			}
			return
		}
		if password := d.Password.Reveal(); len(password) > 12 && strings.Contains(d.String(), password) &&
			!strings.Contains(d.User+d.Database, password) {
			t.Fatal("String shows the password")
		}
		if d.Engine != Postgres || d.Options.SSLRootCert != "" || d.Options.SSLCert != "" {
			return
		}
		config, err := pgx.ParseConfig(d.PostgresDSN())
		if err != nil {
			t.Fatal("pgx refuses the DSN")
		}
		if d.User != "" && config.User != d.User || d.Password.IsSet() && config.Password != d.Password.Reveal() || config.Database != d.Database {
			t.Fatal("pgx reads something else")
		}
	})
}
