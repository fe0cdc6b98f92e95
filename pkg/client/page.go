package client

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
)

// largestPages asks for as few pages as the server gives. Only the lists that can
// be long take it.
func largestPages() url.Values { return url.Values{"limit": {strconv.Itoa(api.MaxPageSize)}} }

// pages iterates over a list, one request for each page as it is reached. The
// first error ends the iteration.
func pages[T any](ctx context.Context, c *Client, query url.Values, path ...string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := maps.Clone(query)
		for {
			page, _, err := call[api.Page[T]](ctx, c, request{method: http.MethodGet, path: path, query: q})
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Results {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == nil {
				return
			}
			if *page.Next == "" || *page.Next == q.Get("cursor") {
				var none T
				yield(none, c.strange(nil, "Its list has no end."))
				return
			}
			if q == nil {
				q = url.Values{}
			}
			q.Set("cursor", *page.Next)
		}
	}
}

// Collect reads a whole list, or stops at its first error.
func Collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	items := []T{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}
