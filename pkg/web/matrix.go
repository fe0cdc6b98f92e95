package web

import (
	"strconv"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

func (s *Site) matrixRoutes() []route {
	const (
		matrix = projectPath + "matrix/"
		missed = matrix + "copy/"
	)
	return []route{
		{method: get, pattern: matrix, action: vault.ActionCompareSecrets, serve: showMatrix},
		{method: get, pattern: missed, action: vault.ActionListSecrets, serve: showCopy},
		{method: post, pattern: missed, action: vault.ActionPromote, serve: copySecret},
	}
}

// maxMatrixRows is how many keys a page shows; the filter finds the others.
const maxMatrixRows = 1000

// matrixPage is which key has the same value in which environments.
type matrixPage struct {
	Base     string // address of the project's pages
	Columns  []matrixColumn
	Rows     []matrixRow
	Total    int // keys of the project
	Differ   int // keys that are not the same everywhere
	More     int // rows that are not shown
	Filter   string
	OnlyOdd  bool // only what is not the same everywhere
	Filtered bool
}

type matrixColumn struct {
	api.MatrixEnvironment
	MayWrite bool
}

// matrixRow is a key in all environments.
type matrixRow struct {
	Key       string
	Cells     []api.MatrixCell
	Different bool // there are several values, or one can not be read
	Missing   int  // environments without it
}

// Odd reports whether the key is not the same everywhere.
func (r matrixRow) Odd() bool { return r.Different || r.Missing > 0 }

// Letter is the name of a cell's value within its row.
func (matrixRow) Letter(c api.MatrixCell) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if c.Group < 1 || c.Group > len(letters) {
		return strconv.Itoa(c.Group)
	}
	return letters[c.Group-1 : c.Group]
}

// Tone is the look of a cell's value: values take turns with four looks, and the first
// is that of the first environment.
func (matrixRow) Tone(c api.MatrixCell) int { return (c.Group-1)%4 + 1 }

func showMatrix(v *visit) error {
	nav, err := v.projectNav("matrix")
	if err != nil {
		return err
	}
	matrix, err := v.vault.Matrix(v, v.who, v.path("project"))
	if err != nil {
		return err
	}
	data := matrixPage{Base: nav.Base(), Total: len(matrix.Rows), Filter: strings.TrimSpace(v.query("q")), OnlyOdd: v.query("only") == "differences"}
	data.Filtered = data.Filter != "" || data.OnlyOdd
	for _, e := range matrix.Environments {
		may, err := v.mayWriteIn(e.Slug)
		if err != nil {
			return err
		}
		data.Columns = append(data.Columns, matrixColumn{e, may})
	}
	data.take(matrix.Rows)
	// What is filtered is in the page, and so would be beside the session's token.
	return v.show(page{Template: "matrix", Title: "Compare environments", Wide: true, Compressed: data.Filter == "", Project: nav, Data: data})
}

// mayWriteIn reports whether the visitor may change the secrets of an environment of
// the project of the address.
func (v *visit) mayWriteIn(environment string) (bool, error) {
	err := v.vault.Permits(v, v.who, vault.ActionPromote, vault.EnvironmentRef{Project: v.path("project"), Environment: environment})
	if err != nil && fault.KindOf(err) == fault.Forbidden {
		return false, nil
	}
	return err == nil, err
}

// take keeps the rows that are asked for.
func (p *matrixPage) take(rows []api.MatrixRow) {
	wanted := strings.ToLower(p.Filter)
	for _, r := range rows {
		row := matrixRow{Key: r.Key, Cells: r.Cells}
		for _, c := range r.Cells {
			if c.IsMissing() {
				row.Missing++
			}
			row.Different = row.Different || c.Group > 1 || c.Damaged
		}
		if row.Odd() {
			p.Differ++
		}
		if p.OnlyOdd && !row.Odd() || !strings.Contains(strings.ToLower(r.Key), wanted) {
			continue
		}
		if len(p.Rows) == maxMatrixRows {
			p.More++
			continue
		}
		p.Rows = append(p.Rows, row)
	}
}

// copyPage asks from where a secret that is missing in an environment is copied.
type copyPage struct {
	Base    string
	Key     string
	To      api.Environment
	Sources []copySource
	There   bool // it is not missing any more
}

type copySource struct {
	api.Environment
	Secret api.Secret
}

// Choice is the source as the form sends it: with the revision that was looked at.
func (s copySource) Choice() string { return s.Slug + ":" + strconv.FormatInt(s.Revision, 10) }

// given is a parameter of the page: in its address, or in what its form has sent.
func (v *visit) given(name string) string {
	if v.input != nil {
		return v.input.Get(name)
	}
	return v.query(name)
}

func showCopy(v *visit) error {
	nav, err := v.projectNav("matrix")
	if err != nil {
		return err
	}
	to := nav.named(v.given("to"))
	if to == nil || api.CheckKey(v.given("key")) != "" {
		return errNoPage
	}
	data := copyPage{Base: nav.Base(), Key: v.given("key"), To: *to}
	for _, e := range nav.Environments {
		list, err := v.vault.Secrets(v, v.who, vault.EnvironmentRef{Project: nav.Project.ID, Environment: e.ID})
		if err != nil {
			return err
		}
		for _, secret := range list.Results {
			if secret.Key != data.Key {
				continue
			}
			if e.ID == to.ID {
				data.There = true
			} else {
				e.Revision = list.Revision
				data.Sources = append(data.Sources, copySource{e, secret})
			}
		}
	}
	return v.show(page{Template: "copy", Title: "Copy " + data.Key, Project: nav, Data: data})
}

// copySecret copies one secret if it is still missing, from the state of the source
// that the page showed.
func copySecret(v *visit) error {
	nav, err := v.projectNav("matrix")
	if err != nil {
		return err
	}
	seen, err := v.seen("seen")
	if err != nil {
		return v.again(err, showCopy)
	}
	from, revision, _ := strings.Cut(v.text("from"), ":")
	fromRevision, err := strconv.ParseInt(revision, 10, 64)
	if err != nil {
		return v.again(fault.New(fault.Invalid, "Choose the environment to copy from."), showCopy)
	}
	ref := vault.EnvironmentRef{Project: v.path("project"), Environment: v.text("to")}
	in := api.PromoteRequest{From: from, Keys: []string{v.text("key")}, FromRevision: &fromRevision}
	if _, err := v.vault.Promote(v, v.who, ref, in, vault.Match{Revision: seen}); err != nil {
		return v.again(promotionRefusal(err), showCopy)
	}
	return v.done(nav.Base()+"matrix/", "secret-copied")
}
