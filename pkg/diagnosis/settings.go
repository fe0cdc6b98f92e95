package diagnosis

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/config"
)

// settings reports what the settings alone tell: what has to be mended, and
// those warnings of loading that do not say the same once more.
func (e *examination) settings() {
	findings := e.config.StorageFindings()
	if e.options.Deploy {
		findings = e.config.DeployFindings()
	}
	before := len(e.findings)
	for _, f := range findings {
		severity := Error
		if f.Advice {
			severity = Warning
		}
		e.found(severity, f.Variable, f.Message)
	}
	for _, text := range e.config.Warnings {
		subject := subjectOf(text)
		said := slices.ContainsFunc(findings, func(f config.Finding) bool { return f.Variable == subject })
		if !said {
			e.found(Warning, subject, text)
		}
	}
	if len(e.findings) > before {
		return
	}
	if e.options.Deploy {
		e.right(subjectSettings, "all valid, and fit for production")
	} else {
		e.right(subjectSettings, "all valid")
	}
}

// subjectOf is the setting or the file that a warning begins with.
func subjectOf(warning string) string {
	first := warning
	if i := strings.IndexAny(warning, " =:"); i > 0 {
		first = warning[:i]
	}
	known := slices.ContainsFunc(config.Definitions(), func(d config.Definition) bool { return d.Name == first })
	if known || filepath.IsAbs(first) {
		return first
	}
	return subjectSettings
}
