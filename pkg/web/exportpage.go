package web

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

func (s *Site) exportRoutes() []route {
	const path = tablePath + "export/"
	return []route{
		{method: get, pattern: path, action: vault.ActionListSecrets, serve: showExport},
		{method: post, pattern: path, action: vault.ActionReadSecret, serve: downloadExport},
		{method: post, pattern: path + "show/", action: vault.ActionReadSecret, serve: revealExport},
	}
}

// exportPage offers the formats, and shows the text if that was asked for.
type exportPage struct {
	Base    string // address of the environment's pages
	Count   int    // of secrets
	Formats []exportFormat
	Format  string // the one that is chosen
	Shown   *api.Export
}

// Text is the exported text.
func (p exportPage) Text() string { return p.Shown.Text.Reveal() }

type exportFormat struct{ Name, Title, About string }

func exportFormats() []exportFormat {
	return []exportFormat{
		{api.FormatDotenv, ".env", "NAME=value on each line, quoted where it has to be. For dotenv libraries and Docker Compose."},
		{api.FormatShell, "Shell", "export NAME='value'. For a POSIX shell to source; nothing in a value is run or replaced."},
		{api.FormatDocker, "Docker", "NAME=value without quotes. For docker run --env-file, which can not carry line breaks."},
		{api.FormatJSON, "JSON", "One flat object. For programs, and to import it elsewhere."},
		{api.FormatYAML, "YAML", "NAME: \"value\" on each line. For configuration that is written as YAML."},
		{api.FormatK8s, "Kubernetes", "The manifest of a Secret, for kubectl apply. Its values are encoded, not encrypted."},
		{api.FormatTFVars, "Terraform", "NAME = \"value\", a .tfvars file. For Terraform and OpenTofu."},
	}
}

func showExport(v *visit) error { return v.showExport(nil) }

func (v *visit) showExport(shown *api.Export) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	data := exportPage{Base: nav.Here(), Count: nav.Environment.SecretCount, Formats: exportFormats(), Format: api.FormatDotenv, Shown: shown}
	if wanted := v.exportFormat(); slices.Contains(api.ExportFormats(), wanted) {
		data.Format = wanted
	}
	return v.show(page{Template: "export", Title: "Export " + nav.Environment.Name, Project: nav, Data: data})
}

// exportFormat is the format that the form has sent, or that a link names.
func (v *visit) exportFormat() string {
	if v.input != nil {
		return v.text("format")
	}
	return v.query("format")
}

// downloadExport answers with a file that the browser saves. The vault records it as
// a reading of everything in it.
func downloadExport(v *visit) error {
	file, err := v.vault.Export(v, v.who, v.environment(), v.exportFormat())
	if err != nil {
		return v.again(err, showExport)
	}
	text := file.Text.Reveal()
	h := v.w.Header()
	h.Set("Content-Type", file.MediaType)
	h.Set("Content-Disposition", `attachment; filename="`+file.FileName+`"`)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write([]byte(text))
	return nil
}

// revealExport shows the text in the page, to be copied from there, with what is to be
// known about it. It is recorded like the download.
func revealExport(v *visit) error {
	file, err := v.vault.Export(v, v.who, v.environment(), v.exportFormat())
	if err != nil {
		return v.again(err, showExport)
	}
	return v.showExport(&file)
}
