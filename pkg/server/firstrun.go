package server

import (
	"context"
	"errors"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// errClosed is the answer when there is no first run to be had: the same as for
// a path that does not exist.
var errClosed = fault.New(fault.NotFound, "Not found.")

// onboardingStatus tells strangers only whether the first run is open; while it
// is, also what the configuration has decided.
func (s *Server) onboardingStatus(ctx context.Context) (api.OnboardingStatus, error) {
	now := s.current.Load()
	open, err := firstRunOpen(ctx, now)
	if err != nil || !open {
		return api.OnboardingStatus{}, err
	}
	return api.OnboardingStatus{Required: true, Fixed: fixed(now.Config)}, nil
}

func firstRunOpen(ctx context.Context, now *running) (bool, error) {
	if now == nil || now.Config.DisableOnboarding {
		return false, nil
	}
	done, err := now.Vault.Onboarded(ctx)
	return !done, err
}

// firstRunTime is how long a first run may take: it may have to connect to a database
// far away, and to make all tables there. Together with what waits for it, that is less
// than an answer may take (writeTimeout).
const firstRunTime = 40 * time.Second

// onboard finishes the first run over HTTP. One attempt at a time is looked at;
// when one has succeeded, the server goes on with the new settings. The request that
// succeeded is answered alike if it is sent once more: see finishedRun.
func (s *Server) onboard(ctx context.Context, who vault.Principal, in api.OnboardRequest) (api.OnboardResponse, error) {
	s.firstRun.Lock()
	defer s.firstRun.Unlock()
	// This comes first: it needs no database, and no time, of which the one who has
	// waited for the other request may have none left.
	if answer, same := s.finished.again(who, in, time.Now()); same {
		return answer, nil
	}
	// A browser that sends the form twice ends its first request. What has begun is
	// carried out all the same: half way through, the database is finished and the server
	// still has the former settings.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), firstRunTime)
	defer cancel()
	now := s.current.Load()
	open, err := firstRunOpen(ctx, now)
	if err != nil {
		return api.OnboardResponse{}, err
	}
	if !open {
		return api.OnboardResponse{}, errClosed
	}
	if needsSetupToken(now.Config) {
		check := func() error { return checkSetupToken(now.Config, in.SetupToken) }
		if err := now.Vault.Guard(ctx, who, vault.ActionOnboard, check); err != nil {
			return api.OnboardResponse{}, err
		}
	}
	answer, err := s.carryOut(ctx, now, who, in)
	if err != nil {
		return api.OnboardResponse{}, err
	}
	s.log.Info("the first run is finished")
	if s.finished, err = finishedBy(who, in, answer, time.Now()); err != nil {
		s.log.Warn("the first run can not be answered again", "error", fault.Detail(err))
	}
	if err := s.afterFirstRun(ctx); err != nil {
		// It can not be undone, and the answer may hold the new key, which is
		// nowhere else to be seen. watchFirstRun tries again.
		s.log.Error("the new settings can not be used", "error", fault.Detail(err))
	}
	return answer, nil
}

// carryOut tries the answers of a first run: it opens the database that they name,
// which is how that is tested, and makes the first administrator there.
func (s *Server) carryOut(ctx context.Context, now *running, who vault.Principal, in api.OnboardRequest) (answer api.OnboardResponse, err error) {
	plan, err := planFirstRun(now.Config, in, config.ParseDatabaseURLFromWizard)
	if err != nil {
		return answer, err
	}
	i := now.Instance
	if plan.changesInstance() {
		if i, err = plan.open(ctx, s.log); err != nil {
			return answer, s.whyNotOpened(ctx, now, plan, err)
		}
		defer s.retire(i)
	}
	answer, err = plan.finish(ctx, i, who, in.Admin)
	if errors.Is(err, fault.NotFound) && plan.database != "" {
		if open, openErr := firstRunOpen(ctx, now); openErr == nil && open {
			err = fault.InvalidField("body.database_url", "names the database of a Heartlock that is set up already. Choose an empty one; or, to run one more server of that Heartlock, start this one with the same DATABASE_URL, SECRET_KEY and HEARTLOCK_ENCRYPTION_KEY")
		}
	}
	return answer, err
}

// whyNotOpened words why the database that a first run asks for can not be
// used. If another server has finished the first run meanwhile, that is why.
func (s *Server) whyNotOpened(ctx context.Context, now *running, plan firstRun, err error) error {
	if open, openErr := firstRunOpen(ctx, now); openErr == nil && !open {
		return errClosed
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fault.Wrap(fault.Unavailable, err, "It did not answer in time.")
	}
	f := fault.As(err)
	if f == nil {
		return err // of a kind that nobody has looked at: its text is not for people
	}
	s.log.WarnContext(ctx, "the database of the first run can not be used", "error", fault.Detail(err))
	why := f.Error()
	if f.Kind == fault.Unavailable && plan.database != "" {
		why += " Check the host, the port, and whether a firewall is between; the log of this server has the cause."
	}
	refusal := fault.Wrap(fault.Invalid, err, "The database can not be used: "+why)
	if plan.database != "" {
		refusal.Fields = []fault.Field{{Location: "body.database_url", Message: "can not be used: " + why}}
	}
	return refusal
}

// afterFirstRun reads the settings anew and goes on with them.
func (s *Server) afterFirstRun(ctx context.Context) error {
	if err := removeSetupToken(s.config); err != nil {
		s.log.Warn("the set-up token's file could not be removed", "error", err)
	}
	if s.config.Database.InMemory {
		return nil // another instance would be another, empty database
	}
	cfg, err := s.options.Load()
	if err != nil {
		return err
	}
	i, err := openToServe(ctx, cfg, s.options.Migrate, s.log)
	if err != nil {
		return err
	}
	return s.use(i)
}

// watchFirstRun looks whether another process, such as `heartlock onboard`, has
// finished the first run, and takes the new settings over. It reports whether
// there is still something to wait for. The settings file may name another
// database than the present one, so it is looked at too.
func (s *Server) watchFirstRun(ctx context.Context) (waiting bool) {
	now := s.current.Load()
	done, err := now.Vault.Onboarded(ctx)
	if err != nil {
		return true
	}
	if done {
		if err := removeSetupToken(now.Config); err != nil {
			s.log.Warn("the set-up token's file could not be removed", "error", err)
		}
	}
	if done && now.Vault.Fingerprint() != "" {
		return false
	}
	if !s.firstRun.TryLock() {
		return true
	}
	defer s.firstRun.Unlock()
	cfg, err := s.options.Load()
	if err != nil {
		return true // being written, or wrong: said at the next start
	}
	same := cfg.Database.String() == now.Config.Database.String()
	if same && !done {
		return true
	}
	i, err := openToServe(ctx, cfg, s.options.Migrate, s.log)
	if err == nil {
		err = s.use(i)
	}
	if err != nil {
		if text := fault.Detail(err); text != s.watchError { // not every second
			s.log.Error("the new settings can not be used", "error", text)
			s.watchError = text
		}
		return true
	}
	s.log.Info("went on with the settings of the first run")
	return true
}
