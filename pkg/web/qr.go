package web

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/boombuler/barcode/qr"

	"github.com/heartlock/heartlock/pkg/api"
)

// quietZone is the white edge that readers need around a QR code, in modules
// (ISO/IEC 18004, 9.1).
const quietZone = 4

// qrCode draws a text as a QR code: a picture in the page itself (SVG), dark on
// light in whatever theme, because readers expect that.
func qrCode(text api.Value, label string) (template.HTML, error) {
	code, err := qr.Encode(text.Reveal(), qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("the QR code can not be made: %w", err)
	}
	size := code.Bounds().Dx()
	var dark strings.Builder
	for y := range size {
		for x := range size {
			if r, _, _, _ := code.At(x, y).RGBA(); r == 0 {
				fmt.Fprintf(&dark, "M%d %dh1v1h-1z", x+quietZone, y+quietZone)
			}
		}
	}
	whole := size + 2*quietZone
	return template.HTML(fmt.Sprintf( //nolint:gosec // the label is escaped, the rest is numbers
		`<svg class="qr" viewBox="0 0 %d %d" role="img" aria-label="%s" shape-rendering="crispEdges"><rect width="%d" height="%d" fill="#fff"/><path d="%s" fill="#000"/></svg>`,
		whole, whole, template.HTMLEscapeString(label), whole, whole, dark.String())), nil
}
