package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/interchange"
)

// importTarget is one environment that is imported into, with what is to happen
// to it.
type importTarget struct {
	environment client.Environment
	from        []string // the names in the file
	title       string
	protected   bool
	described   bool // title and protected are from the file
	secrets     []interchange.Secret

	project  *api.CreateProject // created before all of its environments, or nil
	missing  bool               // it is created first
	revision int64
	created  []string
	updated  []string
	same     []string
	left     []string // there already, and left alone
	warnings []string
	requests int
}

// work is how much there is to write.
func (t *importTarget) work() int {
	n := len(t.created) + len(t.updated)
	if t.missing {
		n++
	}
	return n
}

// importMap reads the FROM=TO of --map.
func importMap(maps []string) (map[string]string, error) {
	to := make(map[string]string, len(maps))
	for _, m := range maps {
		from, slug, ok := cutLast(m)
		if _, twice := to[from]; !ok || from == "" || twice {
			return nil, errors.New("--map takes FROM=TO, and each FROM once")
		}
		if problem := api.CheckSlug(slug); problem != "" {
			return nil, fmt.Errorf("--map: the environment after the = %s", problem)
		}
		to[from] = slug
	}
	return to, nil
}

func cutLast(text string) (before, after string, found bool) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}

// importTargets says which environment each part of the file goes to.
func (s *session) importTargets(ctx context.Context, o importOptions, file *interchange.File) ([]*importTarget, error) {
	to, err := importMap(o.maps)
	if err != nil {
		return nil, fault.New(fault.Usage, err.Error()+".")
	}
	if len(to) == 0 {
		if len(file.Groups) == 1 && (s.settings.Environment.Text != "" || api.CheckSlug(file.Groups[0].Name) != "") {
			e, err := s.environment(ctx)
			if err != nil {
				return nil, err
			}
			return mergeTargets(e.Project, file, map[string]string{file.Groups[0].Name: e.Slug})
		}
		if to, err = s.sameNames(file); err != nil {
			return nil, err
		}
	}
	for from := range to {
		if !slices.ContainsFunc(file.Groups, func(g interchange.Group) bool { return g.Name == from }) {
			return nil, fault.Newf(fault.Usage, "--map names %s, but the file has %s.", from, groupNames(file))
		}
	}
	project, err := s.project(ctx)
	if err != nil {
		return nil, err
	}
	return mergeTargets(project, file, to)
}

// sourceEnvironmentVariable is the source of an environment that the variable
// names: for this run, like a flag, and not as a default for a directory.
const sourceEnvironmentVariable = "HEARTLOCK_ENVIRONMENT"

// sameNames puts each of several environments into the one of the same name. It
// does not, if the person has named one.
func (s *session) sameNames(file *interchange.File) (map[string]string, error) {
	named := s.settings.Environment
	if s.flags.environment != "" || named.Text != "" && named.Source == sourceEnvironmentVariable {
		return nil, fault.Newf(fault.Usage, "The file has %s, and %s names one environment. Say by --map which goes where, such as --map %s=%s.",
			groupNames(file), named.Source, file.Groups[0].Name, named.Text)
	}
	to := map[string]string{}
	for _, g := range file.Groups {
		if api.CheckSlug(g.Name) != "" {
			return nil, fault.Newf(fault.Usage, "The file has %s. Say by --map which goes to which environment, such as --map %s=production.", groupNames(file), file.Groups[0].Name)
		}
		to[g.Name] = g.Name
	}
	return to, nil
}

func groupNames(file *interchange.File) string {
	names := make([]string, len(file.Groups))
	for i, g := range file.Groups {
		names[i] = g.Name
		if g.Name == "" {
			names[i] = "secrets without an environment"
		}
	}
	return strings.Join(names, ", ")
}

// mergeTargets puts together what goes to the same environment.
func mergeTargets(project string, file *interchange.File, to map[string]string) ([]*importTarget, error) {
	var targets []*importTarget
	place := map[string]string{} // environment and key -> where in the file
	for _, g := range file.Groups {
		slug, wanted := to[g.Name]
		if !wanted {
			continue
		}
		i := slices.IndexFunc(targets, func(t *importTarget) bool { return t.environment.Slug == slug })
		if i < 0 {
			i = len(targets)
			targets = append(targets, &importTarget{environment: client.Environment{Project: project, Slug: slug}, title: slug})
			if g.Title != "" && g.Name == slug {
				targets[i].title, targets[i].protected, targets[i].described = g.Title, g.Protected, true
			}
		}
		t := targets[i]
		if g.Name != "" {
			t.from = append(t.from, g.Name)
		}
		for _, secret := range g.Secrets {
			if before, twice := place[slug+"/"+secret.Key]; twice {
				return nil, fault.Newf(fault.Usage, "%s would be written to %s twice, from %s and from %s of the file.", secret.Key, t.environment, before, secret.Place)
			}
			place[slug+"/"+secret.Key] = secret.Place
			t.secrets = append(t.secrets, secret)
		}
	}
	return targets, nil
}

// planImport asks the server what would change, environment by environment.
func (s *session) planImport(ctx context.Context, o importOptions, file *interchange.File, targets []*importTarget) error {
	if o.create {
		if isNew, err := s.planProject(ctx, file, targets); isNew || err != nil {
			return err
		}
	}
	var missing []string
	for _, t := range targets {
		e, err := s.client.Environment(ctx, t.environment)
		switch {
		case errors.Is(err, fault.NotFound):
			t.missing = true
			missing = append(missing, t.environment.String())
			continue
		case err != nil:
			return err
		}
		t.revision = e.Revision
	}
	if len(missing) > 0 {
		// An environment that can not be seen because of its project is an error of
		// its own, before anybody is asked whether to create it.
		if _, err := s.client.Project(ctx, targets[0].environment.Project); err != nil {
			return err
		}
		if !o.create {
			return fault.Newf(fault.NotFound, "There is no %s. With --create it is created.", strings.Join(missing, ", "))
		}
	}
	for _, t := range targets {
		if err := s.planTarget(ctx, o, t); err != nil {
			return err
		}
	}
	return nil
}

// planProject plans to create the project if there is none that the person can
// see. What the file calls it counts only for a project of the same slug.
func (s *session) planProject(ctx context.Context, file *interchange.File, targets []*importTarget) (isNew bool, err error) {
	slug := targets[0].environment.Project
	if _, err := s.client.Project(ctx, slug); !errors.Is(err, fault.NotFound) {
		return false, err
	}
	if problem := api.CheckSlug(slug); problem != "" {
		return false, fault.Newf(fault.Usage, "There is no project %s, and none of this name can be created: the slug %s.", slug, problem)
	}
	project := &api.CreateProject{Name: slug, Slug: slug}
	if file.Project.Slug == slug {
		project.Name, project.Description = file.Project.Name, file.Project.Description
	}
	for _, t := range targets {
		t.project, t.missing = project, true
		t.planAllNew()
	}
	return true, nil
}

func (t *importTarget) planAllNew() {
	for _, secret := range t.secrets {
		t.created = append(t.created, secret.Key)
	}
	slices.Sort(t.created)
	t.requests = len(bulkRequests(t.secrets))
}

func (s *session) planTarget(ctx context.Context, o importOptions, t *importTarget) error {
	if t.missing {
		t.planAllNew()
		return nil
	}
	for i, request := range bulkRequests(t.secrets) {
		request.DryRun = true
		r, err := s.client.BulkSecrets(ctx, t.environment, request)
		if err != nil {
			return err
		}
		if i == 0 {
			t.revision = r.Revision
		}
		t.created = append(t.created, r.Created...)
		t.updated = append(t.updated, r.Updated...)
		t.same = append(t.same, r.Unchanged...)
		t.warnings = append(t.warnings, r.Warnings...)
	}
	if o.skipExisting {
		t.left, t.updated = t.updated, nil
	}
	t.requests = len(bulkRequests(t.changing()))
	return nil
}

// changing is what of the file the plan writes.
func (t *importTarget) changing() []interchange.Secret {
	write := map[string]bool{}
	for _, key := range slices.Concat(t.created, t.updated) {
		write[key] = true
	}
	return slices.DeleteFunc(slices.Clone(t.secrets), func(s interchange.Secret) bool { return !write[s.Key] })
}

// maxBulkBytes keeps a request below what the server takes, 1 MiB.
const maxBulkBytes = 1<<20 - 4<<10

// bulkRequests spreads secrets over as few requests as can be.
func bulkRequests(secrets []interchange.Secret) []api.BulkRequest {
	var requests []api.BulkRequest
	size := 0
	for _, s := range secrets {
		n := wireSize(s)
		if len(requests) == 0 || size+n > maxBulkBytes || len(requests[len(requests)-1].Set) == api.MaxSecretsPerBulk {
			requests = append(requests, api.BulkRequest{Set: map[string]api.Value{}, Comments: map[string]string{}})
			size = 0
		}
		r := requests[len(requests)-1]
		r.Set[s.Key] = s.Value
		if s.Comment != nil {
			r.Comments[s.Key] = *s.Comment
		}
		size += n
	}
	return requests
}

// wireSize is how much room a secret takes in the JSON of a request.
func wireSize(s interchange.Secret) int {
	const around = 8                                        // quotes of the key, colon, comma
	value, _ := jsontext.AppendQuote(nil, s.Value.Reveal()) // it is UTF-8, or was refused
	n := len(s.Key) + around + len(value)
	if s.Comment != nil {
		comment, _ := jsontext.AppendQuote(nil, *s.Comment)
		n += len(s.Key) + around + len(comment)
	}
	return n
}
