package vault

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/interchange"
)

// Export is the secrets of an environment as text of one of api.ExportFormats. It
// is audited as a reading of all of them, before the text is returned. What the
// format can not carry is fault.Conflict, which names all such secrets; one value
// that can not be decrypted fails the whole.
func (v *Vault) Export(ctx context.Context, p Principal, ref EnvironmentRef, format string) (api.Export, error) {
	if !slices.Contains(api.ExportFormats(), format) {
		return api.Export{}, unknownFormat(api.ExportFormats())
	}
	view, rows, err := v.secretsOf(ctx, p, ActionReadSecret, ref)
	if err != nil {
		return api.Export{}, err
	}
	values, err := v.openValues(rows)
	if err != nil {
		return api.Export{}, err
	}
	secrets := make([]interchange.Secret, len(rows))
	for i := range rows {
		secrets[i] = interchange.Secret{Key: rows[i].Key, Value: values[i]}
	}
	slices.SortFunc(secrets, func(a, b interchange.Secret) int { return strings.Compare(a.Key, b.Key) })
	name := view.ProjectSlug + "-" + view.Slug
	text, err := interchange.Write(format, name, secrets)
	if err != nil {
		return api.Export{}, notCarried(err, format)
	}
	err = v.recordRead(ctx, p, event{
		action: ActionReadSecret, projectID: view.ProjectID, environment: view.Slug, target: "*",
		detail: map[string]string{
			"count": strconv.Itoa(len(rows)), "revision": strconv.FormatInt(view.Revision, 10), "exported_as": format,
		},
	})
	if err != nil {
		return api.Export{}, err
	}
	answer := api.Export{
		Format: format, FileName: name + text.Extension, MediaType: text.MediaType, Text: text.Content, Revision: view.Revision,
	}
	for _, n := range text.Notes {
		answer.Notes = append(answer.Notes, n.String())
	}
	return answer, nil
}

func unknownFormat(formats []string) error {
	return fault.InvalidField("query.format", "must be one of "+strings.Join(formats, ", "))
}

// notCarried words that a format can not carry secrets that are there.
func notCarried(err error, format string) error {
	var bad *interchange.Error
	if !errors.As(err, &bad) {
		return fault.Wrap(fault.Internal, err, "the secrets could not be written as "+format)
	}
	lines := problemLines(bad.Problems)
	return fault.Wrap(fault.Conflict, err, "Nothing was exported, because "+format+" can not carry everything:\n"+strings.Join(lines, "\n"))
}
