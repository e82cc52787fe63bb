package session_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// module makes a folder with the files of a module, and a session in it.
func module(t *testing.T, files map[string]string) (*session.Session, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := session.Open(context.Background(), session.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func expect(t *testing.T, s *session.Session, text, want string) {
	t.Helper()
	if got := execute(s, text, false); strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", text, got, want)
	}
}

// A crash in C costs the values, and says where it was.
func TestCrashInC(t *testing.T) {
	s, _ := module(t, map[string]string{
		"go.mod":         "module example.com/m\n\ngo 1.26\n",
		"crash/crash.go": "package crash\n\n// static int at(int *p) { return *p; }\nimport \"C\"\n\nfunc Now() int { return int(C.at(nil)) }\n",
	})
	expect(t, s, "import \"example.com/m/crash\"\nfunc f() int { return 4 }\nn := 3", "")
	expect(t, s, "crash.Now()", `
! worker died
! the live program has ended: SIGSEGV: segmentation violation in C code
!   in example.com/m/crash.Now
!   cell 2, line 1
!       crash.Now()
! lost are the values of n; the declarations are kept`)
	expect(t, s, "fmt.Println(n, f())", "0 4")
}

// A package of the notebook's own module is used as it was when it was loaded; a change is told, and
// takes effect at a restart.
func TestLocalPackageChanges(t *testing.T) {
	s, dir := module(t, map[string]string{
		"go.mod":         "module example.com/m\n\ngo 1.26\n",
		"shape/shape.go": "package shape\n\ntype Square struct{ Side float64 }\n\nfunc (s Square) Area() float64 { return s.Side * s.Side }\n",
	})
	expect(t, s, "import \"example.com/m/shape\"\nq := shape.Square{3}\nq.Area()", "=> 9")
	err := os.WriteFile(filepath.Join(dir, "shape/shape.go"), []byte("package shape\n\ntype Square struct{ Side, Scale float64 }\n\nfunc (s Square) Area() float64 { return s.Scale * s.Side * s.Side }\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s, "q.Area()", "2> changed since it was loaded: example.com/m/shape; %restart makes it take effect (and gives up the values of q)\n=> 9")
	expect(t, s, "q.Area()", "=> 9")
	expect(t, s, "%restart", "")
	expect(t, s, "q.Area()", "=> 0")
	expect(t, s, "q = shape.Square{3, 2}\nq.Area()", "=> 18")
}

// A package that the module does not have is named, with what to do.
func TestMissingPackage(t *testing.T) {
	s, _ := module(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n"})
	expect(t, s, "import \"example.org/none\"\nnone.F()", `
! compile error
! cell 1:1:8: could not import example.org/none (no required module provides package example.org/none
! run !*go get example.org/none)
!     import "example.org/none"
!            ^`)
}
