package oidc

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
)

func TestForbiddenAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true,
		"fd00:ec2::254": true, "224.0.0.1": true, "239.255.255.250": true, "ff02::1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true,
		"255.255.255.255": true, "64:ff9b::a9fe:a9fe": true, "2002:a9fe:a9fe::": true, "100.100.100.200": true, "fd20:ce::254": true,
		"64:ff9b:1::a9fe:a9fe": true, "::ffff:0:a9fe:a9fe": true, "::a9fe:a9fe": true, "64:ff9b:1::808:808": false, "::808:808": false,
		"192.0.0.192": true, "168.63.129.16": true,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.168.1.1": false, "172.16.0.1": false, "100.64.0.1": false,
		"fd00::1": false, "8.8.8.8": false, "2001:4860::1": false, "64:ff9b::808:808": false,
	} {
		if got := forbidden(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: forbidden is %v", address, got)
		}
	}
}

// TestNothingForbiddenIsConnectedTo goes through the client itself: what counts is
// the address that is dialled.
func TestNothingForbiddenIsConnectedTo(t *testing.T) {
	t.Parallel()
	client := newClient(true)
	for _, address := range []string{"http://169.254.169.254/", "http://[fe80::1]/", "http://0.0.0.0:8082/", "https://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/"} {
		answer, err := client.Get(address)
		if err == nil {
			_ = answer.Body.Close()
		}
		if !errors.Is(err, errAddressRefused) {
			t.Errorf("%s: got %v", address, err)
		}
	}
}

func TestPlainHTTPIsForLoopbackOnly(t *testing.T) {
	t.Parallel()
	client := newClient(false)
	if _, err := client.Get("http://heartlock.invalid/"); !errors.Is(err, errPlainHTTP) { //nolint:bodyclose // there is no answer
		t.Errorf("got %v", err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	answer, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	good := Config{
		ClientID: "heartlock", AuthorizationEndpoint: "https://idp.example.com/auth", TokenEndpoint: "https://idp.example.com/token",
		UserinfoEndpoint: "https://idp.example.com/me",
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{
		"", "file:///etc/passwd", "http://idp.example.com/token", "https://ann:pw-canary@idp.example.com/", "https:///token", "//idp.example.com/",
		"https://idp.example.com/#x", "gopher://idp.example.com/", "javascript:alert(1)",
	} {
		bad := good
		bad.TokenEndpoint = address
		if _, err := New(bad); !errors.Is(err, fault.Invalid) || strings.Contains(fault.Detail(err), "canary") {
			t.Errorf("%q: got %v", address, err)
		}
	}
}

func TestErrorsOfAProviderAreShownByCodeOnly(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"access_denied": "access_denied", "<script>": "", "": "", "ACCESS_DENIED": "", "access_denied ": ""} {
		if got := KnownErrorCode(code); got != want {
			t.Errorf("%q: got %q", code, got)
		}
	}
}
