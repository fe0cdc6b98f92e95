package browser_test

import (
	"os"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

func TestMain(m *testing.M) {
	os.Exit(browser.Main(m))
}
