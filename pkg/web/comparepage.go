package web

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

func (s *Site) compareRoutes() []route {
	const path = projectPath + "compare/"
	return []route{
		{method: get, pattern: path, action: vault.ActionCompareSecrets, serve: showComparison},
		{method: post, pattern: path + "reveal/", action: vault.ActionReadSecret, serve: revealComparison},
		{method: post, pattern: path + "preview/", action: vault.ActionPromote, serve: previewPromotion},
		{method: post, pattern: path + "promote/", action: vault.ActionPromote, serve: promote},
	}
}

// comparisonPage is two environments beside each other, and what is to be copied from
// one to the other.
type comparisonPage struct {
	Base     string // address of the project's pages
	Path     string // of the page, without its query
	Choices  []api.Environment
	From, To *api.Environment
	Rows     []comparedRow
	Same     []string
	Revealed bool
	// WhyNot says why the person can not copy to To, or is "".
	WhyNot string
	picked map[string]bool // what was selected when the form was refused
}

// Query names the two environments in an address.
func (p comparisonPage) Query() string { return compareQuery(p.From.Slug, p.To.Slug) }

// Swapped names them the other way round.
func (p comparisonPage) Swapped() string { return compareQuery(p.To.Slug, p.From.Slug) }

// Picked reports whether a row is selected.
func (p comparisonPage) Picked(key string) bool { return p.picked[key] }

// Count is how many rows are of a kind.
func (p comparisonPage) Count(kind string) (n int) {
	for _, r := range p.Rows {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

// Copyable is how many rows can be copied.
func (p comparisonPage) Copyable() int { return p.Count("new") + p.Count("different") }

func compareQuery(from, to string) string {
	return "?" + url.Values{"from": {from}, "to": {to}}.Encode()
}

// comparedRow is a key that is not the same in both.
type comparedRow struct {
	Key      string
	Kind     string // "new": in From alone; "different"; "extra": in To alone
	From, To *api.Secret
}

func showComparison(v *visit) error { return v.showComparison(false) }

// revealComparison shows both values of what differs, which the vault records as a
// reading in each environment.
func revealComparison(v *visit) error { return v.showComparison(true) }

func (v *visit) showComparison(values bool) error {
	nav, err := v.projectNav("matrix")
	if err != nil {
		return err
	}
	data := comparisonPage{Base: nav.Base(), Path: nav.Base() + "compare/", Choices: nav.Environments, Revealed: values}
	if err := v.choosePair(nav, &data); err != nil {
		return err
	}
	title := "Compare environments"
	if data.From != nil {
		title = data.From.Name + " and " + data.To.Name
		if err := v.compare(&data, values); err != nil {
			return err
		}
	}
	return v.show(page{Template: "comparison", Title: title, Wide: true, Compressed: !values, Project: nav, Data: data})
}

// choosePair finds the two environments: those that are asked for, or the last two.
func (v *visit) choosePair(nav *projectNav, data *comparisonPage) error {
	from, to := v.given("from"), v.given("to")
	if n := len(nav.Environments); from == "" && to == "" && n > 1 {
		from, to = nav.Environments[n-2].Slug, nav.Environments[n-1].Slug
	}
	if from == "" && to == "" {
		return nil
	}
	if data.From, data.To = nav.named(from), nav.named(to); data.From == nil || data.To == nil {
		return errNoPage
	}
	return nil
}

func (v *visit) compare(data *comparisonPage, values bool) error {
	if data.From.ID == data.To.ID {
		data.WhyNot = "Choose two different environments."
		return nil
	}
	result, err := v.vault.Compare(v, v.who, v.path("project"), data.From.ID, data.To.ID, values)
	if err != nil {
		return err
	}
	data.fill(&result)
	data.pick(v.input)
	may, err := v.mayWriteIn(data.To.ID)
	switch {
	case err != nil:
		return err
	case may:
	case data.To.Protected:
		data.WhyNot = data.To.Name + " is protected: only admins and owners of the project can copy secrets to it."
	default:
		data.WhyNot = "You can read the secrets of " + data.To.Name + " and not change them."
	}
	return nil
}

func (p *comparisonPage) fill(c *api.Comparison) {
	p.Same = c.Same
	for i := range c.OnlyA {
		p.Rows = append(p.Rows, comparedRow{Key: c.OnlyA[i].Key, Kind: "new", From: &c.OnlyA[i]})
	}
	for i := range c.OnlyB {
		p.Rows = append(p.Rows, comparedRow{Key: c.OnlyB[i].Key, Kind: "extra", To: &c.OnlyB[i]})
	}
	for i := range c.Different {
		d := &c.Different[i]
		p.Rows = append(p.Rows, comparedRow{Key: d.Key, Kind: "different", From: &d.A, To: &d.B})
	}
	slices.SortFunc(p.Rows, func(a, b comparedRow) int { return cmp.Compare(a.Key, b.Key) })
}

// pick keeps what was selected when the page is shown again.
func (p *comparisonPage) pick(input url.Values) {
	p.picked = map[string]bool{}
	for _, key := range slices.Concat(input["key"], input["remove"]) {
		p.picked[key] = true
	}
}

// promotion is what the forms of the two steps send.
type promotion struct {
	From, To     string
	Keys, Remove []string
	All          bool // everything that differs or is missing
}

func (v *visit) promotion() (p promotion, err error) {
	p = promotion{From: v.text("from"), To: v.text("to"), Keys: v.input["key"], Remove: v.input["remove"], All: v.checked("all")}
	if !p.All && len(p.Keys)+len(p.Remove) == 0 {
		return p, fault.New(fault.Invalid, "Select the secrets to copy.")
	}
	return p, nil
}

func (p promotion) request(dryRun bool) api.PromoteRequest {
	in := api.PromoteRequest{From: p.From, DryRun: dryRun}
	if !p.All {
		in.Keys = slices.Concat(p.Keys, p.Remove)
		in.Delete = len(p.Remove) > 0
	}
	return in
}

// promotionPage is what a promotion would change.
type promotionPage struct {
	promotion
	Path     string // of the comparison, without its query
	Query    string
	Source   *api.Environment
	Target   *api.Environment
	Preview  api.PromoteResult
	Selected int
}

// Empty reports that nothing would happen.
func (p promotionPage) Empty() bool {
	return len(p.Preview.Created)+len(p.Preview.Updated)+len(p.Preview.Deleted) == 0
}

// previewPromotion shows what would be copied, by keys alone.
func previewPromotion(v *visit) error {
	chosen, err := v.promotion()
	if err != nil {
		return v.again(err, showComparison)
	}
	return v.previewPromotion(chosen)
}

func (v *visit) previewPromotion(chosen promotion) error {
	nav, err := v.projectNav("matrix")
	if err != nil {
		return err
	}
	data := promotionPage{
		promotion: chosen, Path: nav.Base() + "compare/", Query: compareQuery(chosen.From, chosen.To),
		Source: nav.named(chosen.From), Target: nav.named(chosen.To), Selected: len(chosen.Keys) + len(chosen.Remove),
	}
	if data.Source == nil || data.Target == nil {
		return errNoPage
	}
	ref := vault.EnvironmentRef{Project: nav.Project.ID, Environment: data.Target.ID}
	if data.Preview, err = v.vault.Promote(v, v.who, ref, chosen.request(true), vault.Match{}); err != nil {
		return v.again(promotionRefusal(err), showComparison)
	}
	return v.show(page{Template: "promotion", Title: "Copy to " + data.Target.Name, Project: nav, Data: data})
}

// promote copies what the preview showed, if neither environment has changed since; if
// one has, there is a new preview.
func promote(v *visit) error {
	chosen, err := v.promotion()
	if err != nil {
		return v.again(err, showComparison)
	}
	seen, err := v.seen("seen")
	if err != nil {
		return v.again(err, showComparison)
	}
	in := chosen.request(false)
	if in.FromRevision, err = v.seen("from_seen"); err != nil {
		return v.again(err, showComparison)
	}
	ref := vault.EnvironmentRef{Project: v.path("project"), Environment: chosen.To}
	_, err = v.vault.Promote(v, v.who, ref, in, vault.Match{Revision: seen})
	switch {
	case errors.Is(err, fault.PreconditionFailed):
		return v.again(changedSince(err, "One of the environments"), func(v *visit) error { return v.previewPromotion(chosen) })
	case err != nil:
		return v.again(promotionRefusal(err), showComparison)
	}
	nav, err := v.projectNav("matrix")
	if err != nil {
		return err
	}
	return v.done(nav.Base()+"compare/"+compareQuery(chosen.From, chosen.To), "promoted")
}

// promotionRefusal words what is wrong with a selection for a page, on which the
// selection is no field of the API.
func promotionRefusal(err error) error {
	f := fault.As(err)
	if f == nil || len(f.Fields) != 1 {
		return err
	}
	switch field := f.Fields[0]; field.Location {
	case "body.keys":
		return fault.Wrap(f.Kind, err, sentence("the selection "+strings.TrimSuffix(field.Message, ".")))
	case "body.from":
		return fault.Wrap(f.Kind, err, sentence("the environment to copy from "+strings.TrimSuffix(field.Message, ".")))
	}
	return err
}
