package store

import "context"

// The sign-ins of the command line that are under way. Their rows go with the session
// in which a person has agreed: the engine sees to it.
//
// Who takes one while sessions end has to lock in the order in which those do: the
// user (UserByID), the session (HoldSession), the row here.

// InsertCLILogin adds a code that a browser takes to the command line.
func (tx Tx) InsertCLILogin(ctx context.Context, l *CLILogin) error {
	return tx.insertRows(ctx, insertCLILogins, []any{l.Digest, l.UserID, l.SessionID, l.CodeChallenge, l.Machine, l.LifetimeDays, l.CreatedAt, l.ExpiresAt})
}

var insertCLILogins = newInsertion("cli_logins", "digest", "user_id", "session_id", "code_challenge", "machine", "lifetime_days", "created_at", "expires_at")

const cliLoginColumns = ` digest, user_id, session_id, code_challenge, machine, lifetime_days, created_at, expires_at `

// CLILoginByDigest finds a code that has not expired.
func (q Queries) CLILoginByDigest(ctx context.Context, digest []byte, now Micros) (*CLILogin, error) {
	l := new(CLILogin)
	err := q.hotRow(ctx, l.fields(), `SELECT`+cliLoginColumns+`FROM cli_logins WHERE digest = ? AND expires_at > ?`, digest, now)
	return l, err
}

// TakeCLILogin removes a code that has not expired and gives it to the one caller who
// asked first; to everyone else it is fault.NotFound.
func (tx Tx) TakeCLILogin(ctx context.Context, digest []byte, now Micros) (*CLILogin, error) {
	l := new(CLILogin)
	err := tx.hotRow(ctx, l.fields(), `DELETE FROM cli_logins WHERE digest = ? AND expires_at > ? RETURNING`+cliLoginColumns, digest, now)
	return l, err
}

func (l *CLILogin) fields() []any {
	return []any{&l.Digest, &l.UserID, &l.SessionID, &l.CodeChallenge, &l.Machine, &l.LifetimeDays, &l.CreatedAt, &l.ExpiresAt}
}

// InsertDeviceLogin adds a command line that waits for a person; one of the same codes
// is fault.Conflict.
func (tx Tx) InsertDeviceLogin(ctx context.Context, l *DeviceLogin) error {
	return tx.insertRows(ctx, insertDeviceLogins, []any{
		l.DeviceDigest, l.UserCodeDigest, l.Machine, l.IP, l.UserAgent, l.State, l.UserID, l.SessionID, l.LifetimeDays, l.CreatedAt, l.ExpiresAt, l.LastPollAt,
	})
}

var insertDeviceLogins = newInsertion("device_logins", "device_digest", "user_code_digest", "machine", "ip", "user_agent",
	"state", "user_id", "session_id", "lifetime_days", "created_at", "expires_at", "last_poll_at")

const deviceLoginColumns = ` device_digest, user_code_digest, machine, ip, user_agent, state, user_id, session_id, lifetime_days, created_at, expires_at, last_poll_at `

// DeviceLogin finds a device authorization that has not expired, in whatever state.
func (q Queries) DeviceLogin(ctx context.Context, deviceDigest []byte, now Micros) (*DeviceLogin, error) {
	l := new(DeviceLogin)
	err := q.hotRow(ctx, l.fields(), `SELECT`+deviceLoginColumns+`FROM device_logins WHERE device_digest = ? AND expires_at > ?`, deviceDigest, now)
	return l, err
}

// PendingDeviceLogin finds what waits for a person, by the code that he types.
func (q Queries) PendingDeviceLogin(ctx context.Context, userCodeDigest []byte, now Micros) (*DeviceLogin, error) {
	l := new(DeviceLogin)
	err := q.hotRow(ctx, l.fields(), `
SELECT`+deviceLoginColumns+`FROM device_logins WHERE user_code_digest = ? AND state = 'pending' AND expires_at > ?`, userCodeDigest, now)
	return l, err
}

// DecideDeviceLogin writes what a person has decided on a device authorization that
// was waiting: the state, and who approved it for how long. One that does not wait any
// more is fault.NotFound.
func (tx Tx) DecideDeviceLogin(ctx context.Context, l *DeviceLogin, now Micros) error {
	return affected(tx.hotExec(ctx, `
UPDATE device_logins SET state = ?, user_id = ?, session_id = ?, lifetime_days = ?
WHERE device_digest = ? AND state = 'pending' AND expires_at > ?`, l.State, l.UserID, l.SessionID, l.LifetimeDays, l.DeviceDigest, now))
}

// NotePoll notes that the command line has asked; if it has done so after the time
// since already, on whichever server, it is fault.NotFound.
func (tx Tx) NotePoll(ctx context.Context, deviceDigest []byte, now, since Micros) error {
	return affected(tx.hotExec(ctx, `
UPDATE device_logins SET last_poll_at = ? WHERE device_digest = ? AND (last_poll_at IS NULL OR last_poll_at <= ?)`, now, deviceDigest, since))
}

// TakeDeviceLogin removes an approved device authorization, for the one caller who
// asked first; to everyone else it is fault.NotFound.
func (tx Tx) TakeDeviceLogin(ctx context.Context, deviceDigest []byte, now Micros) error {
	return affected(tx.hotExec(ctx, `DELETE FROM device_logins WHERE device_digest = ? AND state = 'approved' AND expires_at > ?`, deviceDigest, now))
}

func (l *DeviceLogin) fields() []any {
	return []any{
		&l.DeviceDigest, &l.UserCodeDigest, &l.Machine, &l.IP, &l.UserAgent, &l.State, &l.UserID, &l.SessionID, &l.LifetimeDays, &l.CreatedAt, &l.ExpiresAt, &l.LastPollAt,
	}
}

// DeleteCLILogins removes the sign-ins of the command line that have expired.
func (tx Tx) DeleteCLILogins(ctx context.Context, now Micros) error {
	if _, err := tx.hotExec(ctx, `DELETE FROM cli_logins WHERE expires_at <= ?`, now); err != nil {
		return err
	}
	_, err := tx.hotExec(ctx, `DELETE FROM device_logins WHERE expires_at <= ?`, now)
	return err
}
