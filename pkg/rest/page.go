package rest

import (
	"slices"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// page is how a caller asks for a part of a list.
type page struct {
	Limit  int    `query:"limit" doc:"Results a page, at most 1000; default 100."`
	Cursor string `query:"cursor" doc:"The next of the page before."`
}

// cut takes a page out of a list that is bounded by its nature and was read
// whole. The cursor is the id of the last result of the page before; if that is
// gone, the caller has to begin again.
func cut[T any](all api.Page[T], p page, id func(T) string) (api.Page[T], error) {
	rows := all.Results
	if p.Cursor != "" {
		i := slices.IndexFunc(rows, func(row T) bool { return id(row) == p.Cursor })
		if i < 0 {
			return api.Page[T]{}, fault.InvalidField("query.cursor", "is not the \"next\" of the page before, or what it stood for is gone; begin again without it")
		}
		rows = rows[i+1:]
	}
	limit := p.Limit
	if limit == 0 {
		limit = api.DefaultPageSize
	}
	if limit > api.MaxPageSize {
		return api.Page[T]{}, fault.InvalidField("query.limit", "must be from 1 to "+strconv.Itoa(api.MaxPageSize))
	}
	if len(rows) <= limit {
		return api.Page[T]{Results: rows}, nil
	}
	next := id(rows[limit-1])
	return api.Page[T]{Results: rows[:limit], Next: &next}, nil
}
