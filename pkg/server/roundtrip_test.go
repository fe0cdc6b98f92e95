package server_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// odd are texts that encodings, databases and terminals are tempted to change.
var odd = []string{
	"", " ", " x ", "\t", "line\r\nline\n", `"quoted" 'too' \n`, "é e\u0301 ß İ ı", "\u2028\u2029\u0085", "\U0001F512 \U0010FFFF \uFFFD \uFFFE",
	"\u202Eright to left", "NULL", "null", "[1,null]", "0", "1e400", "-- ; DROP", "\\x00", "\x01\x02\x7f",
}

// everything puts something of every kind into a server's database: through the
// vault, and past it what the vault makes only in the course of time.
func everything(t *testing.T, i *server.Instance) {
	t.Helper()
	ctx, v := t.Context(), i.Vault
	request := vault.Request{
		ID: "R", IP: netip.MustParseAddr("2001:db8::1"), UserAgent: "\u202Eagent \xff\x00", Origin: "https://secrets.example.com",
	}
	_, token, err := v.Login(ctx, vault.Anonymous(request), api.LoginRequest{Email: heartlocktest.OwnerEmail, Password: api.NewValue(heartlocktest.Password)})
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	owner := must(v.IdentifySession(ctx, token.Reveal(), request))
	must(v.CreateProject(ctx, owner, api.CreateProject{Name: "Shop é"}))
	must(v.CreateProject(ctx, owner, api.CreateProject{Name: "Empty"}))
	dev := vault.EnvironmentRef{Project: "shop", Environment: "development"}
	put := func(key, value, comment string) {
		t.Helper()
		v1 := api.NewValue(value)
		if _, _, err := v.PutSecret(ctx, owner, vault.SecretRef{EnvironmentRef: dev, Key: key}, api.PutSecret{Value: &v1, Comment: &comment}, vault.Match{}); err != nil {
			t.Fatalf("%s: %s", key, fault.Detail(err))
		}
	}
	for n, text := range odd {
		comment := text
		if strings.ContainsAny(text, "\u2028\u2029\u0085\u202E\x01\x7f\r") {
			comment = "" // comments are of one visible direction
		}
		put(fmt.Sprint("ODD_", n), text, comment)
	}
	for _, size := range []int{1, 1000, 64 << 10} {
		put("SIZED", strings.Repeat("é", size/2), "")
	}
	put("COMMENTED", "x", strings.Repeat("€", 1000))
	for _, key := range []string{"ODD_3", "GONE"} {
		put(key, "gone", "")
		if err := v.DeleteSecret(ctx, owner, vault.SecretRef{EnvironmentRef: dev, Key: key}, vault.Match{}); err != nil {
			t.Fatal(fault.Detail(err))
		}
	}
	put("ODD_3", "came back", "")
	must(v.CreateServiceToken(ctx, owner, "shop", api.CreateServiceToken{Name: "ci é", Environments: []string{"development", "production"}, Access: api.AccessRead}))
	revoked := must(v.CreateServiceToken(ctx, owner, "shop", api.CreateServiceToken{Name: "revoked", Environments: []string{"development"}, Access: api.AccessWrite}))
	if err := v.RevokeServiceToken(ctx, owner, "shop", revoked.ID); err != nil {
		t.Fatal(fault.Detail(err))
	}
	must(v.CreateOwnToken(ctx, owner, api.CreatePersonalToken{Name: "mine"}))
	must(v.CreateInvitation(ctx, owner, "shop", api.CreateInvitation{
		Email: "guest@example.com", Role: api.RoleViewer, Environments: map[string]api.EnvironmentAccess{"production": api.EnvironmentNone},
	}))
	must(v.SaveSettings(ctx, owner, vault.SettingsChange{Action: vault.ActionUpdateSSO, Text: api.NewValue(`{"oidc": {"client_id": "é"}}`)}))
}

// pastTheVault are the statements for what the vault does not do at once.
var pastTheVault = []string{
	"UPDATE tokens SET expires_at = 1, last_used_at = 9223372036854775807, last_used_ip = '2001:db8::1', exposed_at = 2, allowed_cidrs = '192.0.2.0/24,::/0' WHERE name = 'mine'",
	"UPDATE environments SET is_protected = 1, history_from = 2 WHERE slug = 'production'",
	"INSERT INTO users VALUES ('0199-inactive', 'gone@example.com', 'G', '', '', 0, 0, -1, -9223372036854775808, NULL)",
	"INSERT INTO memberships (project_id, user_id, role, created_at) SELECT id, '0199-inactive', 'viewer', 3 FROM projects WHERE slug = 'shop'",
	"INSERT INTO identities (provider, subject, user_id, email, created_at, last_login_at) VALUES ('https://id.example.com', 'é|1', '0199-inactive', 'x@example.com', 1, NULL)",
	"INSERT INTO second_factors (user_id, sealed, key_fingerprint, created_at, confirmed_at, last_step) SELECT '0199-inactive', sealed, key_fingerprint, 1, NULL, 59 FROM settings",
	"INSERT INTO recovery_codes (user_id, digest, used_at) VALUES ('0199-inactive', x'00ff', 7), ('0199-inactive', x'01', NULL)",
}

// rowsOf are the rows of every table that a backup holds, as they are in a
// database, read past the store.
func rowsOf(t *testing.T, i *server.Instance) map[string][]string {
	t.Helper()
	driver, source := "sqlite", "file:"+i.Config.Database.Path
	if i.Config.Database.Engine == config.Postgres {
		driver, source = "pgx", i.Config.Database.PostgresDSN()
	}
	db := must(sql.Open(driver, source))
	defer func() { _ = db.Close() }()
	all := map[string][]string{}
	for _, table := range store.DumpTables() {
		var names []string
		values, targets := make([]any, len(table.Columns)), make([]any, len(table.Columns))
		for n, c := range table.Columns {
			names = append(names, c.Name)
			targets[n] = &values[n]
		}
		rows := must(db.QueryContext(t.Context(), "SELECT "+strings.Join(names, ", ")+" FROM "+table.Name+" ORDER BY 1, 2"))
		for rows.Next() {
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			for n, c := range table.Columns {
				if number, is := values[n].(int64); is && c.Kind == store.BoolColumn {
					values[n] = number != 0
				}
			}
			all[table.Name] = append(all[table.Name], fmt.Sprintf("%#v", values))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// rowsIn are the rows of a backup, in the order of the file.
func rowsIn(t *testing.T, path string, key keyring.Key) map[string][]string {
	t.Helper()
	file := must(os.Open(path))
	defer func() { _ = file.Close() }()
	r := must(backup.NewReader(file, backup.Opener{Keys: []keyring.Key{key}}))
	all := map[string][]string{}
	for {
		table, columns, err := r.NextTable()
		if errors.Is(err, io.EOF) {
			return all
		}
		all[table.Name] = nil
		row := make([]any, len(columns))
		for err == nil {
			if err = r.Row(row); err == nil {
				all[table.Name] = append(all[table.Name], fmt.Sprintf("%#v", row))
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

// sameRows compares all tables; the audit trail may have grown by events, and its
// chain with it.
func sameRows(t *testing.T, what string, got, want map[string][]string, events int) {
	t.Helper()
	for _, table := range store.DumpTables() {
		g, w := got[table.Name], want[table.Name]
		if len(w) == 0 {
			t.Errorf("%s: table %s is empty and proves nothing", what, table.Name)
		}
		if table.Name == "audit_chain" && events > 0 {
			continue // whether it holds is seen at the end: see wholeTrail
		}
		if table.Name == "audit_events" {
			if len(g) != len(w)+events {
				t.Errorf("%s: %d events, want %d more than %d", what, len(g), events, len(w))
			}
			g = g[:min(len(w), len(g))]
		}
		if diff := cmp.Diff(w, g); diff != "" {
			t.Errorf("%s: table %s (-want +got):\n%s", what, table.Name, diff)
		}
	}
}

func opened(t *testing.T, key keyring.Key, path, databaseURL string) *server.Instance {
	t.Helper()
	var environ []string
	if databaseURL != "" {
		environ = []string{"DATABASE_URL=" + databaseURL}
	}
	cfg := settings(t, key, environ...)
	if _, err := restored(t.Context(), cfg, path, nil); err != nil {
		t.Fatal(fault.Detail(err))
	}
	i := must(server.Open(t.Context(), cfg, false, slog.New(slog.DiscardHandler)))
	t.Cleanup(func() { _ = i.Close() })
	return i
}

// TestEverythingComesBack goes from SQLite to PostgreSQL and back. Every row of
// every table is the same afterwards, in the same order, so that two backups of
// equal data have equal sums of their tables.
func TestEverythingComesBack(t *testing.T) {
	t.Parallel()
	s, i, _ := scheduled(t, "sqlite")
	everything(t, i)
	for _, statement := range pastTheVault {
		s.Exec(statement)
	}
	key, dir := i.Config.EncryptionKey.Keys[0], t.TempDir()
	path := func(n int) string { return filepath.Join(dir, fmt.Sprint(n)) }
	made := func(i *server.Instance, n int) map[string][]string {
		t.Helper()
		if _, err := i.Backup(t.Context(), vault.Local(), server.BackupOptions{Path: path(n)}); err != nil {
			t.Fatal(fault.Detail(err))
		}
		return rowsIn(t, path(n), key)
	}
	before := rowsOf(t, i)
	first := made(i, 0)
	sameRows(t, "the first backup", first, before, 0)
	again := made(i, 1)
	sameRows(t, "a second backup", again, first, 1)

	postgres := opened(t, key, path(0), heartlocktest.Postgres(t))
	sameRows(t, "PostgreSQL", rowsOf(t, postgres), before, 1)
	sameRows(t, "its backup", made(postgres, 2), before, 1)
	writesOn(t, postgres)
	wholeTrail(t, postgres)

	sqlite := opened(t, key, path(2), "")
	sameRows(t, "SQLite again", rowsOf(t, sqlite), before, 2)
	sameRows(t, "its backup", made(sqlite, 3), before, 2)
	writesOn(t, sqlite)
	wholeTrail(t, sqlite)
}

// writesOn sees that the engine counts its ids on, and that nobody is signed in.
func writesOn(t *testing.T, i *server.Instance) {
	t.Helper()
	if n, err := i.Store.CountRows(t.Context(), store.Table{Name: "sessions"}); err != nil || n != 0 {
		t.Errorf("%d sessions, %v", n, err)
	}
	request := vault.Request{ID: "R"}
	_, token, err := i.Vault.Login(t.Context(), vault.Anonymous(request), api.LoginRequest{Email: heartlocktest.OwnerEmail, Password: api.NewValue(heartlocktest.Password)})
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	owner := must(i.Vault.IdentifySession(t.Context(), token.Reveal(), request))
	ref := vault.SecretRef{EnvironmentRef: vault.EnvironmentRef{Project: "shop", Environment: "development"}, Key: "GONE"}
	for want := int64(3); want < 5; want++ { // set and deleted before
		value := api.NewValue(fmt.Sprint("new ", want))
		answer, _, err := i.Vault.PutSecret(t.Context(), owner, ref, api.PutSecret{Value: &value}, vault.Match{})
		if err != nil || answer.Version != want {
			t.Errorf("version %d, want %d: %v", answer.Version, want, err)
		}
		ref.Key = "GONE"
	}
	ref.Key = "NEVER_BEFORE"
	value := api.NewValue("new")
	if _, isNew, err := i.Vault.PutSecret(t.Context(), owner, ref, api.PutSecret{Value: &value}, vault.Match{}); err != nil || !isNew {
		t.Errorf("a new secret: %v", err)
	}
}

// wholeTrail sees that the audit trail is one chain, from its beginning in the
// first database.
func wholeTrail(t *testing.T, i *server.Instance) {
	t.Helper()
	found, err := i.Vault.VerifyAudit(t.Context(), vault.Local(), nil, nil)
	if err != nil || !found.OK() || found.Checked == 0 {
		t.Errorf("the audit trail: %+v, %v", found, err)
	}
}

// TestTwoServersClaimAtOnce has two servers wait for the same lock and then go on
// together: one makes the backup.
func TestTwoServersClaimAtOnce(t *testing.T) {
	t.Parallel()
	s, one, dir := scheduled(t, "postgres")
	two := must(server.Open(t.Context(), one.Config, false, slog.New(slog.DiscardHandler)))
	t.Cleanup(func() { _ = two.Close() })
	started := make(chan struct{})
	release := make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- one.Store.Write(context.WithoutCancel(t.Context()), func(ctx context.Context, tx store.Tx) error {
			if err := tx.LockBackups(ctx); err != nil {
				return err
			}
			select {
			case <-started:
			default:
				close(started)
			}
			<-release
			return nil
		})
	}()
	<-started
	plan := vault.BackupSchedule{Host: "h", Dir: dir, Interval: time.Hour}
	runs := make(chan *vault.BackupRun, 2)
	for _, i := range []*server.Instance{one, two} {
		go func() {
			run, err := i.Vault.ClaimBackup(t.Context(), vault.Local(), plan)
			if err != nil {
				t.Error(fault.Detail(err))
			}
			runs <- run
		}()
	}
	heartlocktest.Eventually(t, "both wait", func() bool {
		return s.Count("pg_locks", "NOT granted AND relation = 'backups'::regclass") == 2
	})
	close(release)
	if err := <-held; err != nil {
		t.Fatal(err)
	}
	claimed := 0
	for range 2 {
		if run := <-runs; run != nil {
			claimed++
		}
	}
	if claimed != 1 || s.Count("backups", "is_scheduled") != 1 {
		t.Errorf("%d have claimed it", claimed)
	}
}
