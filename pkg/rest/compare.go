package rest

import (
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

func compareRoutes() []Route {
	return []Route{
		define(get, project+"matrix/", vault.ActionCompareSecrets, ok, "Which key has the same value in which environments of a project, without the values.", matrix),
		define(get, environment+"compare/{other}/", vault.ActionCompareSecrets, ok, "How the secrets of two environments differ; with the values that do if asked for.", compare),
		define(post, environment+"promote/", vault.ActionPromote, ok, "Copy secrets from another environment, all or none.", promote),
		define(get, environment+"export/", vault.ActionReadSecret, ok, "The secrets of an environment as the text of a file.", export),
		define(post, environment+"import/", vault.ActionWriteSecret, ok, "Take the secrets of a text, all or none.", importText),
	}
}

func matrix(c *call, in projectRef) (api.Matrix, error) {
	return c.api.vault.Matrix(c, c.who, in.Project)
}

func compare(c *call, in struct {
	environmentRef
	Other  string `path:"other" doc:"Slug or id of the other environment."`
	Values bool   `query:"values" doc:"true adds the values of the secrets that are in one environment alone or differ; this is audited."`
},
) (api.Comparison, error) {
	return c.api.vault.Compare(c, c.who, in.Project, in.Environment, in.Other, in.Values)
}

func promote(c *call, in struct {
	environmentRef
	precondition
	withBody[api.PromoteRequest]
},
) (api.PromoteResult, error) {
	result, err := c.api.vault.Promote(c, c.who, in.ref(), in.Body, in.Match)
	if err == nil {
		c.tag(revisionTag(result.Revision))
	}
	return result, err
}

func export(c *call, in struct {
	environmentRef
	Format string `query:"format" doc:"dotenv, shell, docker, json, yaml, k8s or tfvars; dotenv if absent."`
},
) (download, error) {
	if in.Format == "" {
		in.Format = api.FormatDotenv
	}
	if c.r.Header.Get("If-None-Match") != "" && slices.Contains(api.ExportFormats(), in.Format) {
		revision, err := c.api.vault.EnvironmentRevision(c, c.who, in.ref())
		if err != nil || c.tag(revisionTag(revision)) {
			return download{}, err
		}
	}
	text, err := c.api.vault.Export(c, c.who, in.ref(), in.Format)
	if err != nil {
		return download{}, err
	}
	c.tag(revisionTag(text.Revision))
	return download{text}, nil
}

func importText(c *call, in struct {
	environmentRef
	precondition
	Format string `query:"format" doc:"dotenv, json or yaml; dotenv if absent."`
	withBody[api.ImportRequest]
},
) (api.ImportResult, error) {
	if in.Format == "" {
		in.Format = api.FormatDotenv
	}
	result, err := c.api.vault.Import(c, c.who, in.ref(), in.Format, in.Body, in.Match)
	if err == nil {
		c.tag(revisionTag(result.Revision))
	}
	return result, err
}
