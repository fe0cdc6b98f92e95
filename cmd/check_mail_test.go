package cmd

import "testing"

// Mail that does not leave is a finding, with what was said of the last attempt;
// one that has only just been queued is not.
func TestCheckFindsMailThatWaits(t *testing.T) {
	t.Parallel()
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t, url)
			const insert = "INSERT INTO mail_queue (id, kind, recipient, sealed, key_fingerprint, created_at, next_attempt_at, attempts, last_error) VALUES "
			sealed := i.seal("x")
			i.exec(insert + "('1', 'test', 'a@example.com', " + sealed + ", 9000000000000000, 0, 0, '')")
			i.finds(nil)
			i.exec(insert + "('2', 'test', 'a@example.com', " + sealed + ", 1, 0, 0, '')")
			i.finds([]string{"warning  mail: 2 mails wait, the oldest for "})
			i.exec("UPDATE mail_queue SET last_error = 'The mail server is away.' WHERE id = '2'")
			i.finds([]string{"warning  mail: 2 mails wait, the oldest for "})
			i.exec("UPDATE mail_queue SET sealed = NULL, sent_at = 2 WHERE id = '2'")
			i.finds(nil)
		})
	}
}
