package web

import "strings"

// mark is a word in a User-Agent header, and what it tells. The first that is found
// counts: most browsers also claim to be those they were once like.
type mark struct{ word, name string }

// browserMarks and systemMarks are in the order in which they are looked for.
func browserMarks() []mark {
	return []mark{
		{"Edg/", "Edge"},
		{"EdgA/", "Edge"},
		{"EdgiOS/", "Edge"},
		{"OPR/", "Opera"},
		{"Vivaldi/", "Vivaldi"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"YaBrowser/", "Yandex Browser"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"HeadlessChrome/", "Chrome without a window"},
		{"Chromium/", "Chromium"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"heartlock/", "the heartlock command line"},
		{"curl/", "curl"},
		{"Wget/", "Wget"},
		{"python-requests/", "a Python program"},
		{"Go-http-client/", "a Go program"},
	}
}

func systemMarks() []mark {
	return []mark{
		{"iPhone", "an iPhone"},
		{"iPad", "an iPad"},
		{"Android", "Android"},
		{"CrOS", "ChromeOS"},
		{"Windows", "Windows"},
		{"Macintosh", "a Mac"},
		{"Mac OS X", "a Mac"},
		{"FreeBSD", "FreeBSD"},
		{"OpenBSD", "OpenBSD"},
		{"Linux", "Linux"},
	}
}

// device says in words what a User-Agent header (RFC 9110, 10.1.5) tells of a browser
// and its machine, such as "Firefox on Linux". Anybody can send any header, so it
// helps to recognise one's own devices and proves nothing.
func device(userAgent string) string {
	browser, system := named(userAgent, browserMarks()), named(userAgent, systemMarks())
	switch {
	case browser == "" && system == "":
		return "An unknown program"
	case browser == "":
		return "A program on " + system
	case system == "":
		return capital(browser)
	}
	return capital(browser) + " on " + system
}

func named(text string, marks []mark) string {
	for _, m := range marks {
		if strings.Contains(text, m.word) {
			return m.name
		}
	}
	return ""
}
