//go:build unix

package heartlocktest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// Robot is a browser without scripts: it keeps cookies, follows redirects and
// fills in whatever form it meets. It finds the test's server behind OpenIDHost.
type Robot struct {
	Steps []string // what it has done, for test messages
	Jar   http.CookieJar

	tb     testing.TB
	client *http.Client
	server *Server
	fill   map[string]string
}

// NewRobot makes a browser on s that types these values into fields of these names.
func NewRobot(tb testing.TB, s *Server, fill map[string]string) *Robot {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Robot{Jar: jar, tb: tb, server: s, fill: fill}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: r.dial}
	r.client = &http.Client{
		Jar: jar, Timeout: 30 * time.Second, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r
}

// Move puts another server behind OpenIDHost.
func (r *Robot) Move(s *Server) { r.server = s }

func (r *Robot) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if strings.HasPrefix(address, OpenIDHost+":") {
		address = strings.TrimPrefix(r.server.URL, "http://")
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// Page is what a robot has come to.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
}

// Home is the address of a path on the server.
func (r *Robot) Home(path string) string { return "http://" + OpenIDHost + path }

// Get reads one page, without following.
func (r *Robot) Get(address string) Page {
	r.tb.Helper()
	request, err := http.NewRequestWithContext(r.tb.Context(), http.MethodGet, address, nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	return r.do(request)
}

// Browse goes to an address and on, through redirects and forms, until a page has
// neither, or until the address begins with stop, which is then not asked for.
func (r *Robot) Browse(start, stop string) Page {
	r.tb.Helper()
	request, err := http.NewRequestWithContext(r.tb.Context(), http.MethodGet, start, nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	for range 25 {
		if stop != "" && strings.HasPrefix(request.URL.String(), stop) {
			return Page{URL: request.URL}
		}
		page := r.do(request)
		if request = r.next(page); request == nil {
			return page
		}
	}
	r.tb.Fatalf("the robot does not arrive: %v", r.Steps)
	return Page{}
}

// do sends a request.
func (r *Robot) do(request *http.Request) Page {
	r.tb.Helper()
	answer, err := r.client.Do(request)
	if err != nil {
		r.tb.Fatalf("after %v: %v", r.Steps, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.Steps = append(r.Steps, fmt.Sprintf("%s %s -> %d", request.Method, request.URL.Path, answer.StatusCode))
	return Page{URL: request.URL, Status: answer.StatusCode, Header: answer.Header, Body: string(body)}
}

// next is what a browser asks for after a page; nil: it stays.
func (r *Robot) next(page Page) *http.Request {
	r.tb.Helper()
	if page.Status >= 300 && page.Status < 400 {
		target, err := page.URL.Parse(page.Header.Get("Location"))
		if err != nil {
			r.tb.Fatal(err)
		}
		request, _ := http.NewRequestWithContext(r.tb.Context(), http.MethodGet, target.String(), nil)
		return request
	}
	if page.URL.Host == OpenIDHost {
		return nil // our own pages have forms that nobody has asked it to send
	}
	document, err := html.Parse(strings.NewReader(page.Body))
	if err != nil || page.Status != http.StatusOK {
		return nil
	}
	form := firstElement(document, "form")
	if form == nil {
		return nil
	}
	return r.submit(page.URL, form)
}

// submit fills in a form.
func (r *Robot) submit(base *url.URL, form *html.Node) *http.Request {
	r.tb.Helper()
	values := url.Values{}
	for node := range form.Descendants() {
		if name := attribute(node, "name"); node.Type == html.ElementNode && node.Data == "input" && name != "" {
			value, known := r.fill[name]
			if !known {
				value = attribute(node, "value")
			}
			values.Set(name, value)
		}
	}
	action, err := base.Parse(attribute(form, "action"))
	if err != nil {
		r.tb.Fatal(err)
	}
	request, err := http.NewRequestWithContext(r.tb.Context(), http.MethodPost, action.String(), strings.NewReader(values.Encode()))
	if err != nil {
		r.tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", base.Scheme+"://"+base.Host)
	return request
}

// SetCookie gives the robot a cookie of the server.
func (r *Robot) SetCookie(name, value, path string) {
	home, _ := url.Parse(r.Home(path))
	r.Jar.SetCookies(home, []*http.Cookie{{Name: name, Value: value, Path: path}})
}

// Caller is someone who calls the API with the robot's cookies.
func (r *Robot) Caller() *Caller {
	home, _ := url.Parse(r.Home("/"))
	c := r.server.Anonymous()
	c.Name = "robot"
	for _, cookie := range r.Jar.Cookies(home) {
		c.Cookies[cookie.Name] = cookie.Value
	}
	return c
}

func firstElement(root *html.Node, tag string) *html.Node {
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && node.Data == tag {
			return node
		}
	}
	return nil
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
