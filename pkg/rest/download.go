package rest

import (
	"net/http"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
)

// download is an answer that is the text of a file and not JSON.
type download struct{ api.Export }

// mediaTypes are those that downloads have.
var mediaTypes = []string{"text/plain; charset=utf-8", "application/json", "application/yaml"}

// send writes the file. A browser saves it: it must not show secrets, nor take
// text that somebody has put together for a page.
func (d download) send(w http.ResponseWriter, status int) {
	text := d.Text.Reveal()
	h := w.Header()
	h.Set("Content-Type", d.MediaType)
	h.Set("Content-Disposition", `attachment; filename="`+d.FileName+`"`)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// downloadContent is how the document describes a download.
func downloadContent() object {
	content := object{}
	for _, kind := range mediaTypes {
		content[kind] = object{"schema": object{"type": "string", "format": "password"}}
	}
	content["application/json"] = object{"schema": object{"type": "object", "additionalProperties": object{"type": "string", "format": "password"}}}
	return content
}
