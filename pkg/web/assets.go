package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/heartlock/heartlock/pkg/fault"
)

//go:embed static
var staticFiles embed.FS

// assets are the files that pages need. They stand in a folder that is named after
// the content of all of them, so that a file of one name never changes, browsers
// keep it for ever, and the scripts find one another by relative addresses.
type assets struct {
	// prefix is what stands before a file's name in a page: an absolute path, or the
	// address of another server.
	prefix string
	// origin is the other server that the files come from, or "".
	origin string
	path   string // where this server itself has them
	digest string
	files  map[string]asset
}

type asset struct {
	kind   string // content type
	plain  []byte
	zipped func() []byte // made when it is first wanted; nil: it is no smaller
	quoted string        // entity tag
}

// styleSheet is all of static/css as one file: it is wanted as a whole, and each
// file more is a round trip more.
const styleSheet = "app.css"

// newAssets reads the embedded files. staticURL is the setting STATIC_URL.
func newAssets(staticURL string) (*assets, error) {
	a := &assets{files: map[string]asset{}}
	sum := sha256.New()
	var style bytes.Buffer
	err := fs.WalkDir(staticFiles, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "static/")
		_, _ = sum.Write([]byte(name + "\x00" + strconv.Itoa(len(content)) + "\x00"))
		_, _ = sum.Write(content)
		if strings.HasPrefix(name, "css/") {
			_, _ = style.Write(content)
			return nil
		}
		a.files[name] = newAsset(name, content)
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.digest = hex.EncodeToString(sum.Sum(nil)[:8])
	a.files[styleSheet] = newAsset(styleSheet, style.Bytes())
	return a, a.place(staticURL)
}

// place finds out where the files are asked for.
func (a *assets) place(staticURL string) error {
	a.path = "/" + strings.TrimPrefix(staticURL, "/")
	a.prefix = a.path + a.digest + "/"
	if !strings.Contains(staticURL, "://") {
		return nil
	}
	u, err := url.Parse(staticURL)
	if err != nil {
		return err
	}
	a.path = "/static/"
	a.prefix = staticURL + a.digest + "/"
	a.origin = u.Scheme + "://" + u.Host
	return nil
}

func newAsset(name string, content []byte) asset {
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".js" {
		kind = "text/javascript; charset=utf-8" // whatever the machine's tables say
	}
	sum := sha256.Sum256(content)
	return asset{kind: kind, plain: content, quoted: `"` + hex.EncodeToString(sum[:8]) + `"`, zipped: sync.OnceValue(func() []byte {
		if zipped := compress(content); len(zipped) < len(content) {
			return zipped
		}
		return nil
	})}
}

// zippers are kept because each has nearly a megabyte of tables. What they last
// wrote stays in them: they are for files and for pages that hold no secret.
var zippers = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(io.Discard, gzip.BestCompression)
	if err != nil {
		panic(err) // there is such a level
	}
	return w
}}

// compress is content as gzip (RFC 1952).
func compress(content []byte) []byte {
	var zipped bytes.Buffer
	w := zippers.Get().(*gzip.Writer)
	defer zippers.Put(w)
	w.Reset(&zipped)
	_, _ = w.Write(content) // a buffer takes everything
	_ = w.Close()
	return zipped.Bytes()
}

// address is where a page finds a file.
func (a *assets) address(name string) (string, error) {
	if _, found := a.files[name]; !found {
		return "", fault.New(fault.Internal, "no file "+name)
	}
	return a.prefix + name, nil
}

// ServeHTTP answers GET /static/<digest>/<name>. The files of another version of
// this program, which a server beside this one may run, are answered with ours,
// but not to be kept: a page without style would be worse.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w = taken(w)
	digest, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, a.path), "/")
	f, found := a.files[name]
	if !found {
		http.Error(w, "There is no such file.", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.quoted)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // where another server hands them on (STATIC_URL)
	h.Set("Cache-Control", "no-cache")
	if digest == a.digest {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if slices.Contains(r.Header.Values("If-None-Match"), f.quoted) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	content := f.plain
	if acceptsGzip(r) {
		if zipped := f.zipped(); zipped != nil {
			h.Set("Content-Encoding", "gzip")
			content = zipped
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, bytes.NewReader(content))
	}
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(part, ";")
		if strings.TrimSpace(name) == "gzip" && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
