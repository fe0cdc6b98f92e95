// Package server runs Heartlock: it opens the database, listens, and lets every
// request pass the same checks (middleware.go) before the API sees it.
//
// A server starts to listen before its database is open: until then it is alive
// (health) but not ready. It may start without having been set up; the first run
// then changes settings that a server can not change while it runs, so the
// server replaces its [Instance] by one made from the new settings and closes
// the old one when its last request has ended.
package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/rest"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
	"github.com/heartlock/heartlock/pkg/web"
)

// Bounds on connections. They keep slow and idle clients from holding what
// others need.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 16 << 10
	maxConnections    = 4096
	stopTimeout       = 30 * time.Second
	openPatience      = 60 * time.Second
	maintainEvery     = 10 * time.Minute
	watchEvery        = time.Second
)

// Options is what a Server is made of.
type Options struct {
	// Load reads the settings: at the start, and again when they have changed.
	Load func() (*config.Server, error)
	// Stamp tells states of the files that the settings come from apart; nil: they
	// are not watched. See config.Stamp.
	Stamp func() string
	// Migrate brings the schema up to date at the start.
	Migrate bool
	Log     *slog.Logger
	// Console is where mail is written that goes to the console; nil: stderr.
	Console io.Writer
	Version string
	Commit  string
	// Executed is told the name of every template of a page that is executed; for
	// tests. It may be nil.
	Executed func(template string)
}

// Server is a running Heartlock. Make one with New, then call Run.
type Server struct {
	options   Options
	log       *slog.Logger
	config    *config.Server
	current   atomic.Pointer[running]
	firstRun  sync.Mutex   // one first run at a time
	finished  *finishedRun // under firstRun
	stopping  atomic.Bool
	reporter  *reporter
	backups   *scheduler
	follower  *follower
	postman   *postman
	sso       *ssoAdmin
	soundness soundness
	damage    chan error // what observe has found; ends the server
	// watchError is what watchFirstRun, which alone uses it, has logged last.
	watchError string
}

// running is an instance with the handler that serves it.
type running struct {
	*Instance
	// Config stands before that of the instance: some settings can change while it
	// is in service.
	Config  *config.Server
	handler http.Handler
}

// New makes a server from its settings. It opens nothing.
func New(o Options) (*Server, error) {
	stamp := ""
	if o.Stamp != nil {
		stamp = o.Stamp() // before they are read: what changes meanwhile is looked at again
	}
	cfg, err := o.Load()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, log: o.Log, config: cfg, soundness: defaultSoundness(), damage: make(chan error, 1)}
	s.reporter = newReporter(s, stamp)
	s.backups = &scheduler{server: s}
	s.follower = &follower{server: s}
	s.postman = newPostman(s)
	s.sso = &ssoAdmin{follower: s.follower}
	return s, nil
}

// Config is the settings that the server started with.
func (s *Server) Config() *config.Server { return s.config }

// Run serves on the listener until ctx ends, then lets the requests in flight
// finish, for half a minute at most. The database is opened first thing; one
// that is away is waited for, for a minute. ready is called once it is open.
func (s *Server) Run(ctx context.Context, listener net.Listener, ready func(needsSetup bool, setupToken string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hs := &http.Server{
		Handler: s, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	served := make(chan error, 1)
	go func() {
		err := hs.Serve(netutil.LimitListener(listener, maxConnections))
		if !errors.Is(err, http.ErrServerClosed) {
			cancel(err)
		}
		served <- err
	}()
	examined, err := s.start(ctx, ready)
	var beside sync.WaitGroup
	if err == nil {
		beside.Go(func() { s.examineDaily(ctx, examined) })
		beside.Go(func() { s.postman.run(ctx) })
		err = s.work(ctx)
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && fault.As(cause) == nil {
			s.log.Info("stopping", "cause", cause.Error())
		}
	}
	cancel(nil)
	beside.Wait()
	return errors.Join(err, s.stop(hs, served)) //nolint:contextcheck // ctx has ended; stopping has a time of its own
}

// start opens the instance and announces it. It reports whether the database
// file was examined.
func (s *Server) start(ctx context.Context, ready func(bool, string)) (examined bool, err error) {
	i, err := s.openPatiently(ctx)
	if errors.Is(err, store.ErrCorrupt) {
		return false, damaged(err)
	}
	if err != nil {
		return false, err
	}
	if examined, err = s.examineFirst(ctx, i.Store); err != nil {
		return false, errors.Join(err, i.Close())
	}
	if err := s.follower.begin(ctx, i); err != nil {
		return examined, errors.Join(err, i.Close())
	}
	if err := s.use(i); err != nil {
		return examined, err
	}
	done, err := i.Vault.Onboarded(ctx)
	if err != nil {
		return examined, err
	}
	s.reporter.report(ctx)
	token := ""
	if open := !done && !s.config.DisableOnboarding; open && needsSetupToken(s.config) {
		if token, err = writeSetupToken(s.config); err != nil {
			return examined, fault.Wrap(fault.Internal, err, "The set-up token could not be written to heartlock_data")
		}
	}
	ready(!done, token)
	return examined, nil
}

// openPatiently waits for a database that is away, with growing pauses.
func (s *Server) openPatiently(ctx context.Context) (*Instance, error) {
	deadline := time.Now().Add(openPatience)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		i, err := openToServe(ctx, s.config, s.options.Migrate, s.log)
		if err == nil || !errors.Is(err, fault.Unavailable) || time.Now().Add(pause).After(deadline) {
			return i, err
		}
		s.log.Warn("the database can not be opened yet", "error", fault.Detail(err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "The server was stopped before its database could be opened.")
		}
	}
}

// use puts an instance into service and retires the one before.
func (s *Server) use(i *Instance) error {
	i.Vault.UseMailer(newMailer(i.Config, s.options.Console), s.postman.wake)
	next, err := s.assemble(i, i.Config)
	if err != nil {
		return err
	}
	if former := s.current.Swap(next); former != nil {
		go s.retire(former.Instance)
	}
	return nil
}

// assemble builds what serves an instance with these settings.
func (s *Server) assemble(i *Instance, cfg *config.Server) (*running, error) {
	csrfKeys, err := purposeKeys(cfg, "heartlock csrf token 1")
	if err != nil {
		return nil, err
	}
	cookies := &session.Cookies{
		SessionSecure: cfg.Security.SessionCookieSecure, CSRFSecure: cfg.Security.CSRFCookieSecure,
		CSRFKeys: csrfKeys, Trusted: cfg.Security.CSRFTrustedOrigins,
	}
	handler := rest.New(rest.Options{
		Vault: i.Vault, Log: s.log, Version: s.options.Version, Cookies: cookies, Provider: i.sso.provider,
		Onboard: s.onboard, OnboardingStatus: s.onboardingStatus, Readiness: s.readiness, Failed: s.observe, SSO: s.sso,
	})
	site, err := web.New(web.Options{
		Vault: i.Vault, Cookies: cookies, Log: s.log, Config: cfg, SSO: i.sso.current, SSOAdmin: s.sso, Version: s.options.Version, Document: handler.Document,
		Onboard: s.onboard, OnboardingStatus: s.onboardingStatus, NeedsSetupToken: needsSetupToken(cfg), WithCurrent: s.withCurrent,
		Failed: s.observe, Executed: s.options.Executed,
	})
	if err != nil {
		return nil, err
	}
	next := &running{Instance: i, Config: cfg}
	next.handler = &edge{config: cfg, log: s.log, inner: s.mount(handler, site), exposed: func(r *http.Request, token string) {
		connection := session.ConnectionOf(r.Context())
		if err := i.Vault.MarkExposed(r.Context(), token, vault.Request{ID: connection.ID, IP: connection.IP, UserAgent: r.UserAgent()}); err != nil {
			s.log.Warn("an exposed token could not be marked", "request_id", connection.ID, "error", fault.Detail(err))
		}
	}}
	return next, nil
}

func (s *Server) retire(i *Instance) {
	if err := i.Close(); err != nil {
		s.log.Warn("the former database did not close cleanly", "error", fault.Detail(err))
	}
}

// mount puts the API beside the pages. Nothing is redirected to a
// better path: a program would send its credentials twice.
func (s *Server) mount(apiHandler http.Handler, site *web.Site) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, api.Prefix+"/"):
			apiHandler.ServeHTTP(w, r)
		case isAPI(r.URL.Path):
			rest.WriteProblem(w, r, s.log, fault.New(fault.NotFound, "Not found."))
		default:
			site.ServeHTTP(w, r)
		}
	})
}

// ServeHTTP hands a request to the instance in service.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(r.Context()) // net/http looks at the body of its own request when it has to cut one off
	r.Body = http.MaxBytesReader(w, r.Body, largestBody)
	now := s.acquire()
	if now == nil {
		s.serveStarting(w, r)
		return
	}
	defer now.users.RUnlock()
	now.handler.ServeHTTP(w, r)
}

// largestBody bounds what is read of any request, also of those that no route
// takes; the routes have lower bounds of their own.
const largestBody = 8 << 20

// acquire takes the instance in service so that it stays open meanwhile.
func (s *Server) acquire() *running {
	for {
		now := s.current.Load()
		if now == nil {
			return nil
		}
		if now.users.TryRLock() {
			return now
		}
		// It is being retired, so there is another one by now.
	}
}

// serveStarting answers while the database is not open: alive, but not ready.
func (s *Server) serveStarting(w http.ResponseWriter, r *http.Request) {
	starting := &edge{config: s.config, log: s.log, inner: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isProbe(r.URL.Path) && slices.Contains([]string{api.Prefix + "/health", api.Prefix + "/health/"}, r.URL.Path) {
			w.Header().Set("Content-Type", "application/json")
			_ = api.Encode(w, api.Health{Status: "ok"})
			return
		}
		starting := fault.New(fault.Unavailable, "The server is starting.")
		starting.RetryAfter = 2 * time.Second
		refuse(w, r, s.log, starting)
	}), exposed: func(*http.Request, string) {}}
	starting.ServeHTTP(w, r)
}

// work does what has to be done from time to time, until ctx ends or the database
// is found to be damaged, which is the error.
func (s *Server) work(ctx context.Context) error {
	maintain, watch, report := time.NewTicker(maintainEvery), time.NewTicker(watchEvery), time.NewTicker(vault.ReportEvery)
	defer maintain.Stop()
	defer watch.Stop()
	defer report.Stop()
	schedule := time.NewTicker(scheduleEvery)
	defer schedule.Stop()
	follow := time.NewTicker(followEvery)
	defer follow.Stop()
	s.backups.tick(ctx)
	waiting := true // for the first run, which may be finished by another process
	for {
		select {
		case <-maintain.C:
			if err := s.current.Load().Vault.Maintain(ctx); err != nil && ctx.Err() == nil {
				s.observe(err)
				s.log.Warn("maintenance failed", "error", fault.Detail(err))
			}
		case <-watch.C:
			waiting = waiting && s.watchFirstRun(ctx)
			s.reporter.watch(ctx)
		case <-report.C:
			s.reporter.report(ctx)
		case <-follow.C:
			s.follower.follow(ctx)
		case <-schedule.C:
			s.backups.tick(ctx)
		case err := <-s.damage:
			s.log.Error("the database is damaged", "error", fault.Detail(err))
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// stop ends the server: no new connections, the requests in flight finish, the
// database is closed.
func (s *Server) stop(hs *http.Server, served <-chan error) error {
	s.stopping.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := hs.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fault.Wrap(fault.Internal, err, "Some requests did not end in time"), hs.Close())
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, fault.Wrap(fault.Internal, serveErr, "The server can not accept connections"))
	}
	s.reporter.leave(ctx)
	if now := s.current.Swap(nil); now != nil && err == nil {
		err = now.Close()
	}
	return err
}

// readiness tells whether the server can do its work at this moment.
func (s *Server) readiness(ctx context.Context) (api.Readiness, error) {
	state := api.Readiness{Status: "ok", Version: s.options.Version, Commit: s.options.Commit}
	now := s.current.Load()
	if now == nil || s.stopping.Load() {
		return state, fault.New(fault.Unavailable, "The server is stopping.")
	}
	state.EncryptionKey = now.Vault.Fingerprint()
	state.DatabaseBackend = now.Store.Engine().String()
	migrations, err := now.Store.Status(ctx)
	if err != nil {
		return state, err
	}
	for _, m := range migrations {
		if !m.Applied {
			return state, fault.New(fault.Unavailable, "The database has pending migrations.")
		}
		state.SchemaVersion = max(state.SchemaVersion, m.Version)
	}
	done, err := now.Vault.Onboarded(ctx)
	state.OnboardingOpen = !done
	if err == nil && done && state.EncryptionKey == "" {
		err = fault.New(fault.Unavailable, "No encryption key is configured.")
	}
	return state, err
}

// TuneMemory trades memory for speed unless the operator has chosen: with more
// garbage allowed to pile up, an environment of a hundred secrets is read twice
// as fast, for a dozen megabytes.
func TuneMemory(gogcSet bool) {
	if !gogcSet {
		debug.SetGCPercent(400)
	}
}
