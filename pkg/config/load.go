package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// DefaultEnvFile is the .env file that is read when no other is named.
const DefaultEnvFile = ".env"

// Options say where the server's settings are looked for.
type Options struct {
	Dir        string            // the data root; "" = the working directory
	EnvFile    string            // "" = DefaultEnvFile; relative to Dir
	EnvFileSet bool              // EnvFile was asked for: then it must be there
	Environ    []string          // KEY=value, as os.Environ gives it, which nil stands for
	Flags      map[string]string // the name of a variable and the value that a flag gave it
}

// loader is the state of one LoadServer.
type loader struct {
	server *Server
	layers *layers
	errs   Errors

	definitions  []Definition
	clashes      []Definition    // the canonical name and an alias differ
	empty        map[string]bool // variables that are set, but empty
	appConfig    AppConfig
	managed      *Managed // in the place of what appConfig says of it
	connMaxAge   time.Duration
	oidcEnable   *bool
	mailTLS      *bool
	mailSSL      bool
	valueSources map[string]string // what the report says instead of the layer
}

// LoadServer reads and checks all settings of the server. It opens no port and no
// database, creates no file and generates no key.
//
// The error is an [*Errors] with everything that is wrong, of kind
// [fault.Usage]; the Server is nil then.
func LoadServer(o Options) (*Server, error) { return load(o, nil) }

// load is LoadServer; managed takes the place of what appconfig.json says of it.
func load(o Options, managed *Managed) (*Server, error) {
	root, err := filepath.Abs(o.Dir)
	if err != nil {
		errs := &Errors{}
		errs.add("working directory", "", "can not be found: %s", fileReason(err))
		return nil, errs
	}
	l := &loader{
		server:       &Server{Root: root, DataDir: filepath.Join(root, DataDirName), Debug: true},
		managed:      managed,
		definitions:  Definitions(),
		valueSources: map[string]string{},
	}
	if err := l.stack(o); err != nil {
		return nil, err
	}
	l.read()
	l.applyRules()
	if err := l.errs.asError(); err != nil {
		return nil, err
	}
	l.server.settings = l.report()
	l.server.again = func(m Managed) (*Server, error) { return load(o, &m) }
	return l.server, nil
}

// stack finds the values of all layers.
func (l *loader) stack(o Options) error {
	environment := readEnviron(o.Environ)
	name := o.EnvFile
	if name == "" {
		name = DefaultEnvFile
	}
	path := absolute(l.server.Root, name)
	file, exists := readDotenv(path, o.EnvFileSet, &l.errs)
	if exists {
		l.server.envFile = path
	}
	visible := mask(file, environment)
	l.noteEmpty(environment, visible)
	l.noteUnknown(environment, visible)

	var found [layerCount]values
	var clashes []Definition
	found[layerDotenv], clashes = pick(visible, l.definitions, layerDotenv)
	l.clashes = append(l.clashes, clashes...)
	found[layerEnvironment], clashes = pick(environment, l.definitions, layerEnvironment)
	l.clashes = append(l.clashes, clashes...)
	found[layerAppConfig] = l.readAppConfig()
	found[layerFlag] = l.flags(o.Flags)

	var err error
	if l.layers, err = newLayers(found); err != nil {
		return err
	}
	l.layers.masked, _ = pick(file, l.definitions, layerDotenv)
	return nil
}

// flags are the values from the command line. A name that is no setting is a
// mistake of the program.
func (l *loader) flags(flags map[string]string) values {
	found := values{}
	for name, text := range flags {
		if !slices.ContainsFunc(l.definitions, func(d Definition) bool { return d.Name == name }) {
			l.errs.add(name, "flag", "is not a setting")
			continue
		}
		if text != "" {
			found[name] = candidate{value: NewSecret(text), layer: layerFlag, name: name}
		}
	}
	return found
}

// noteEmpty remembers which variables were set to nothing.
func (l *loader) noteEmpty(sources ...map[string]variable) {
	l.empty = map[string]bool{}
	for _, source := range sources {
		for name, v := range source {
			if v.text == "" {
				l.empty[name] = true
			}
		}
	}
}

// noteUnknown warns of variables that look like ours and are not: a setting with
// a typing error would otherwise be without effect and without a word.
func (l *loader) noteUnknown(sources ...map[string]variable) {
	known := map[string]bool{varServer: true, varToken: true, varProject: true, varEnvironment: true}
	for _, d := range l.definitions {
		known[d.Name] = true
	}
	var unknown []string
	for _, source := range sources {
		for name := range source {
			if strings.HasPrefix(name, "HEARTLOCK_") && !strings.HasPrefix(name, "HEARTLOCK_TEST_") && !known[name] {
				unknown = append(unknown, name)
			}
		}
	}
	slices.Sort(unknown)
	for _, name := range slices.Compact(unknown) {
		l.warn("%s is not a setting of Heartlock and has no effect.", shown(name))
	}
}

// read hands every value to its reader. Some defaults depend on DEBUG, which is
// the first of the settings, so each default is added when it is needed.
func (l *loader) read() {
	for _, d := range l.definitions {
		l.layers.setDefault(d.Name, d.defaultText(l.server.Debug))
		c, ok := l.layers.get(d.Name)
		if !ok {
			continue
		}
		if err := d.read(l, c.text()); err != nil {
			l.errs.add(d.Name, c.where(), "%s", err)
		}
	}
}

// explicit reports whether somebody has set the variable.
func (l *loader) explicit(name string) bool {
	c, ok := l.layers.get(name)
	return ok && c.layer != layerDefault
}

// bad reports whether the variable has been refused already.
func (l *loader) bad(name string) bool {
	return slices.ContainsFunc(l.errs.Problems, func(p Problem) bool { return p.Variable == name })
}

// fail reports a variable that is wrong together with others.
func (l *loader) fail(name, format string, args ...any) {
	source := ""
	if c, ok := l.layers.get(name); ok && c.layer != layerDefault {
		source = c.where()
	}
	l.errs.add(name, source, format, args...)
}

func (l *loader) warn(format string, args ...any) {
	l.server.Warnings = append(l.server.Warnings, fmt.Sprintf(format, args...))
}

// looserThan0600 reports whether a file exists and others than its owner may do
// anything with it.
func looserThan0600(path string) bool {
	info, err := os.Stat(path)
	return err == nil && modesMatter && info.Mode().Perm()&0o077 != 0
}
