package browser_test

import (
	_ "embed"
	"strings"
)

// axe is axe-core 4.14.1 (https://github.com/dequelabs/axe-core), unchanged. Its licence stands beside it.
//
//go:embed testdata/axe/axe.min.js
var axe string

// accessible checks the page that is open by the rules of axe-core. name is for the error.
func (b *browser) accessible(name string) {
	b.t.Helper()
	b.eval(axe + `; "loaded"`)
	b.eval(`window.axeSays = undefined; axe.run({resultTypes: ["violations"]}).then(
		r => axeSays = r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html).join("  ")).join("\n") || "nothing",
		e => axeSays = "axe failed: " + e); "begun"`)
	b.sees("what axe says of "+name, `window.axeSays !== undefined`)
	if said := strings.TrimSpace(b.eval(`window.axeSays`)); said != "nothing" {
		b.t.Errorf("%s is not accessible:\n%s", name, said)
	}
}
