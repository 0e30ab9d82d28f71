package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/packages.txt anew")

const module = "github.com/solate/medispatcher"

// public are the packages for the programs of others.
var public = []string{module + "/publish", module + "/verify"}

// notPublic is what the others say in their second paragraph.
const notPublic = "It is not for other programs, and may change with every release; packages publish and verify are for them."

// pkg is a package, as go list describes it.
type pkg struct {
	ImportPath, Dir, Name, Export      string
	GoFiles, TestGoFiles, XTestGoFiles []string
}

// goList lists packages.
func goList(t *testing.T, args ...string) (list []pkg) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Dir,Name,Export,GoFiles,TestGoFiles,XTestGoFiles"}, args...)...)
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// documented is the documentation of a package, its examples included.
func documented(t *testing.T, p *pkg) *doc.Package {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	d, err := doc.NewFromFiles(fset, files, p.ImportPath)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestPackagesSayForWhom: a package that others could import, and should not, says so at once.
func TestPackagesSayForWhom(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if p.Name == "main" || len(p.GoFiles) == 0 || strings.Contains(p.ImportPath+"/", "/internal/") ||
			strings.HasPrefix(p.ImportPath, module+"/cmd/") || slices.Contains(public, p.ImportPath) {
			continue
		}
		d := documented(t, &p)
		if len(d.Consts)+len(d.Vars)+len(d.Types)+len(d.Funcs) == 0 {
			continue // it holds tests
		}
		text := strings.Split(d.Doc, "\n\n")
		if len(text) < 2 || strings.ReplaceAll(strings.TrimSpace(text[1]), "\n", " ") != notPublic {
			t.Errorf("package %s: its second paragraph is not %q; or move it under internal", p.ImportPath, notPublic)
		}
	}
}

// TestPublicPackages holds what the public packages export to testdata/packages.txt. A line that changes or goes breaks
// the programs of others, so it has to wait for the next major version. One that comes has to stay from then on.
func TestPublicPackages(t *testing.T) {
	const file = "testdata/packages.txt"
	exports := map[string]string{}
	for _, p := range goList(t, append([]string{"-export", "-deps"}, public...)...) {
		exports[p.ImportPath] = p.Export
	}
	from := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var lines []string
	for _, path := range public {
		p, err := from.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, exported(p)...)
	}
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Split(strings.TrimSpace(read(t, file)), "\n")
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("gone, which breaks the programs of others: %s", line)
		}
	}
	for _, line := range lines {
		if !slices.Contains(want, line) {
			t.Errorf("new, and others may rely on it from now on (go test ./docs -run TestPublicPackages -update): %s", line)
		}
		if strings.Contains(line, module+".") || strings.Contains(line, module+"/") {
			t.Errorf("a type of a package that is not public: %s", line)
		}
	}
}

// exported is what a package exports, one name a line, with its type and the value of a constant.
func exported(p *types.Package) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, p.Name()+": "+fmt.Sprintf(format, args...)) }
	short := types.RelativeTo(p)
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		switch o := o.(type) {
		case *types.Const:
			add("const %s %s = %s", name, types.TypeString(o.Type(), short), o.Val())
		case *types.TypeName:
			fields, is := o.Type().Underlying().(*types.Struct)
			if !is {
				add("%s", types.ObjectString(o, short))
			} else {
				add("type %s struct", name)
				for f := range fields.Fields() {
					if f.Exported() {
						add("%s.%s %s", name, f.Name(), types.TypeString(f.Type(), short))
					}
				}
			}
			for s := range types.NewMethodSet(types.NewPointer(o.Type())).Methods() {
				if s.Obj().Exported() {
					add("%s", types.SelectionString(s, short))
				}
			}
		default:
			add("%s", types.ObjectString(o, short))
		}
	}
	return lines
}

// TestPublicPackagesAreDocumented: every exported name has a comment, and every function runs in an example whose output is checked.
func TestPublicPackagesAreDocumented(t *testing.T) {
	// Nobody calls these on purpose.
	needsNoExample := map[string]bool{"Error": true, "Unwrap": true, "Close": true}
	for _, p := range goList(t, public...) {
		d := documented(t, &p)
		used := map[string]bool{}
		examples := func(list []*doc.Example) {
			for _, e := range list {
				if e.Output == "" && !e.EmptyOutput {
					continue
				}
				ast.Inspect(e.Code, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						used[s.Sel.Name] = true
					}
					return true
				})
			}
		}
		examples(d.Examples)
		funcs := slices.Clone(d.Funcs)
		values := slices.Concat(d.Consts, d.Vars)
		for _, typ := range d.Types {
			if typ.Doc == "" {
				t.Errorf("%s.%s has no comment", p.Name, typ.Name)
			}
			examples(typ.Examples)
			funcs, values = slices.Concat(funcs, typ.Funcs, typ.Methods), slices.Concat(values, typ.Consts, typ.Vars)
			for _, f := range fieldsOf(typ) {
				if f.Doc == nil && f.Comment == nil {
					t.Errorf("%s.%s.%s has no comment", p.Name, typ.Name, f.Names)
				}
			}
		}
		for _, f := range funcs {
			examples(f.Examples)
		}
		for _, f := range funcs {
			if f.Doc == "" {
				t.Errorf("%s.%s has no comment", p.Name, f.Name)
			}
			if !used[f.Name] && !needsNoExample[f.Name] {
				t.Errorf("%s.%s is in no example with an output", p.Name, f.Name)
			}
		}
		for _, v := range values {
			for _, s := range v.Decl.Specs {
				if s := s.(*ast.ValueSpec); v.Doc == "" && s.Doc == nil && s.Comment == nil {
					t.Errorf("%s.%s has no comment", p.Name, s.Names)
				}
			}
		}
	}
}

func fieldsOf(typ *doc.Type) []*ast.Field {
	for _, s := range typ.Decl.Specs {
		if s, ok := s.(*ast.TypeSpec).Type.(*ast.StructType); ok {
			return s.Fields.List
		}
	}
	return nil
}
