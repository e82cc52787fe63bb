package notebook_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/notebook"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares with a file under testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s (refresh it by -update); got:\n%s", path, got)
	}
}

// python runs a Python program that has nbformat; its standard output is returned.
func python(t *testing.T, program string, stdin []byte, args ...string) string {
	t.Helper()
	interpreter := os.Getenv("GRADBOOK_TEST_PYTHON")
	if interpreter == "" {
		t.Fatal("GRADBOOK_TEST_PYTHON is not set: it names a Python that has nbformat; run 'make test', which makes one and sets it")
	}
	cmd := exec.Command(interpreter, append([]string{"-c", program}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", interpreter, err, stderr.String())
	}
	return string(out)
}

// validate has Python's nbformat judge a notebook.
func validate(t *testing.T, text []byte) {
	t.Helper()
	// relax_add_props is off, and nothing is repaired: what is written must be right as it stands.
	python(t, `
import sys, json, nbformat
nb = json.loads(sys.stdin.buffer.read().decode("utf-8"))
nbformat.validate(nb, version=4, version_minor=5, repair_duplicate_cell_ids=False)
`, text)
}

func TestValidationCanFail(t *testing.T) {
	got := python(t, `
import sys, json, nbformat
try:
    nbformat.validate(json.load(sys.stdin), version=4, version_minor=5, repair_duplicate_cell_ids=False)
    print("valid")
except nbformat.ValidationError as e:
    print("refused")
`, []byte(`{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"code","id":"a","metadata":{},"source":""}]}`))
	if got != "refused\n" {
		t.Errorf("nbformat says of a code cell without outputs: %s", got)
	}
}

// What Jupyter has written is written again byte for byte.
func TestRoundTripIsExact(t *testing.T) {
	path := filepath.Join("testdata", "jupyter.ipynb")
	n, err := notebook.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := n.Encode()
	if !bytes.Equal(got, want) {
		t.Errorf("written anew:\n%s", got)
	}
	validate(t, got)
	// ... and as this Python's nbformat writes it.
	again := python(t, `
import sys, nbformat
sys.stdout.reconfigure(encoding="utf-8", newline="\n")
nbformat.write(nbformat.reads(sys.stdin.buffer.read().decode("utf-8"), as_version=4), sys.stdout)
`, got)
	if again != string(want) {
		t.Errorf("nbformat writes:\n%s", again)
	}
}

// An old notebook gains what nbformat 4.5 asks for, and loses nothing.
func TestUpgrade(t *testing.T) {
	n, err := notebook.Read(filepath.Join("testdata", "format40.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	got := n.Encode()
	golden(t, "format40.golden.ipynb", got)
	validate(t, got)
	again, err := notebook.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Encode(), got) {
		t.Error("written twice, it differs")
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	const text = `{"nbformat":4,"nbformat_minor":4,"metadata":{},"x_top":[1,{"a":2.50}],
		"cells":[{"cell_type":"code","metadata":{},"source":"x","x_cell":{"b":"é"},"execution_count":null,
		"outputs":[{"output_type":"stream","name":"stdout","text":"","x_output":9007199254740993}]}]}`
	n, err := notebook.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got := string(n.Encode())
	for _, want := range []string{"\"x_top\": [\n  1,\n  {\n   \"a\": 2.50", "\"b\": \"é\"", "\"x_output\": 9007199254740993"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing from\n%s", want, got)
		}
	}
}

func TestCellIDs(t *testing.T) {
	const text = `{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[
		{"cell_type":"markdown","id":"same","metadata":{},"source":"a"},
		{"cell_type":"markdown","id":"same","metadata":{},"source":"b"},
		{"cell_type":"markdown","id":"not valid!","metadata":{},"source":"c"},
		{"cell_type":"markdown","metadata":{},"source":"c"},
		{"cell_type":"markdown","metadata":{},"source":"c"}]}`
	ids := func() (list []string) {
		n, err := notebook.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		validate(t, n.Encode())
		for _, c := range n.Cells {
			list = append(list, c.ID)
		}
		return list
	}
	first, second := ids(), ids()
	if first[0] != "same" {
		t.Errorf("a valid id was changed to %q", first[0])
	}
	if fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("ids differ from one read to the next: %v, %v", first, second)
	}
}

func TestBadInput(t *testing.T) {
	cell := func(fields string) string {
		return `{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"markdown","metadata":{},"source":"ok"},{` + fields + `}]}`
	}
	for _, test := range []struct{ name, text, want string }{
		{"empty", " \n", "the file is empty; a notebook is a JSON object with a list of cells"},
		{"Go", "package main\n", "not JSON: line 1, column 1: invalid character 'p' looking for beginning of value"},
		{"cut off", "{\n \"nbformat\": 4,", "not JSON: line 2, column 15: unexpected end of JSON input"},
		{"comma", "{\n \"é\": 1,\n}", "not JSON: line 3, column 1: invalid character '}' looking for beginning of object key string"},
		{"column in characters", "{\"é\": x}", "not JSON: line 1, column 7: invalid character 'x' looking for beginning of value"},
		{"NaN", `{"nbformat": NaN}`, "Python writes NaN and Infinity, which JSON lacks"},
		{"merge", "{\n<<<<<<< HEAD\n}", "the marks of an unresolved merge"},
		{"two documents", `{"nbformat":4} {}`, "not JSON: line 1, column 16: invalid character '{' after top-level value"},
		{"list", `[1]`, "JSON, but no notebook: it holds a list"},
		{"null", `null`, "JSON, but no notebook: it holds null"},
		{"number", `12`, "JSON, but no notebook: it holds 12"},
		{"no format", `{"cells":[]}`, `JSON, but no notebook: it has no field "nbformat"`},
		{"format is text", `{"nbformat":"4"}`, `"nbformat" is a string, and must be a whole number`},
		{"minor is no integer", `{"nbformat":4,"nbformat_minor":4.5}`, `"nbformat_minor" is 4.5, and must be a whole number`},
		{"v3", `{"nbformat":3,"nbformat_minor":0,"worksheets":[]}`, "nbformat 3, and 4.0 to 4.5 can be read; open it in JupyterLab and save it"},
		{"4.6", `{"nbformat":4,"nbformat_minor":6,"cells":[]}`, "nbformat 4.6, and 4.0 to 4.5 can be read; it comes from a newer Jupyter"},
		{"5", `{"nbformat":5,"cells":[]}`, "nbformat 5.0, and 4.0 to 4.5 can be read"},
		{"cells are no list", `{"nbformat":4,"cells":{}}`, `"cells" holds an object, and must be a list`},
		{"metadata is no object", `{"nbformat":4,"metadata":[],"cells":[]}`, `field "metadata" holds a list, and must be an object`},
		{"cell is no object", `{"nbformat":4,"cells":["x"]}`, "cell 1 of 1: it is a string, and must be an object"},
		{"cell of no type", cell(`"source":"x"`), `cell 2 of 2: cell_type is "", and must be "code", "markdown" or "raw"`},
		{"heading", cell(`"cell_type":"heading"`), `cell 2 of 2: cell_type is "heading"`},
		{"source", cell(`"cell_type":"code","source":7`), `cell 2 of 2: field "source" holds 7, and must be a string or a list of strings`},
		{"source lines", cell(`"cell_type":"code","source":["a",7]`), `field "source" holds a list, and must be a string or a list of strings`},
		{"cell metadata", cell(`"cell_type":"code","source":"","metadata":3`), `cell 2 of 2: field "metadata" holds 3, and must be an object`},
		{"count", cell(`"cell_type":"code","execution_count":"1"`), `field "execution_count" holds a string, and must be a number or null`},
		{"outputs", cell(`"cell_type":"code","outputs":{}`), `field "outputs" holds an object, and must be a list`},
		{"output", cell(`"cell_type":"code","outputs":[1]`), `cell 2 of 2: output 1 is no object`},
		{"output type", cell(`"cell_type":"code","outputs":[{"output_type":"pyout"}]`), `output 1: output_type is "pyout"`},
		{"traceback", cell(`"cell_type":"code","outputs":[{"output_type":"error","traceback":[1]}]`), `field "traceback" must be a list of strings`},
		{"invalid UTF-8", cell("\"cell_type\":\"code\",\"source\":\"s := \xff\""), `cell 2 of 2: invalid UTF-8: byte 0xff after "\":\"code\",\"source\":\"s := "`},
		{"cut UTF-8", cell("\"cell_type\":\"code\",\"source\":\"é\xc3\""), `cell 2 of 2: invalid UTF-8: byte 0xc3 after`},
		{"lone surrogate", cell(`"cell_type":"code","source":"\\ud800 a\ud83d\ude00b\ud83dc"`), `cell 2 of 2: invalid text: \ud83d after`},
		{"invalid UTF-8 in metadata", "{\"nbformat\":4,\"metadata\":{\"a\":\"\xfe\"},\"cells\":[]}", "outside the cells: invalid UTF-8: byte 0xfe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := notebook.Parse([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestReadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ipynb")
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := notebook.Read(path); err == nil || !strings.HasPrefix(err.Error(), path+": not JSON") {
		t.Errorf("got %v", err)
	}
	if _, err := notebook.Read(path + "x"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
}

func TestLanguage(t *testing.T) {
	const python3 = `"kernelspec":{"display_name":"Python 3","language":"python","name":"python3"}`
	code := func(metadata, source string) string {
		return fmt.Sprintf(`{"cell_type":"code","metadata":{%s},"source":%q,"outputs":[],"execution_count":null}`, metadata, source)
	}
	for _, test := range []struct{ name, metadata, cell, want string }{
		{"nothing said", ``, code(``, "x := 1"), ""},
		{"Go", `"kernelspec":{"name":"gonb","language":"go","display_name":"Go (gonb)"}`, code(`"vscode":{"languageId":"go"}`, "x"), ""},
		{"Python", python3, code(``, "x"), `the notebook is for Python 3 (language "python"), and Gradbook runs Go`},
		{"language_info", `"language_info":{"name":"R"}`, code(``, "x"), `the notebook is for another kernel (language "R")`},
		{"magic", ``, code(``, "\n%%python\nprint(1)"), `cell 1 of 1 ("%%python") is for another kernel: its language is python`},
		{"magic with arguments", ``, code(``, "%%javascript -x\nf()"), `its language is javascript`},
		{"bash is ours", ``, code(``, "%%bash\nls"), ""},
		{"main is ours", ``, code(``, "%%\nls"), ""},
		{"vscode", ``, code(`"vscode":{"languageId":"sql"}`, "select 1"), `cell 1 of 1 ("select 1") is for another kernel: its language is sql`},
		{"polyglot", ``, code(`"polyglot_notebook":{"kernelName":"fsharp"}`, "x"), `its language is fsharp`},
		{"skipped", ``, code(`"tags":["skip-execution"]`, "%%python\nprint(1)"), ""},
		{"raw", ``, `{"cell_type":"raw","metadata":{},"source":"%%python"}`, ""},
		{"blank", ``, code(`"vscode":{"languageId":"sql"}`, " \n"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, err := notebook.Parse([]byte(`{"nbformat":4,"nbformat_minor":4,"metadata":{` + test.metadata + `},"cells":[` + test.cell + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			err = n.CheckLanguage()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	n, err := notebook.Read(filepath.Join("testdata", "jupyter.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	alone := func() {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, ".*"))
		if err != nil || len(files) > 0 {
			t.Errorf("left behind: %v %v", files, err)
		}
	}
	path := filepath.Join(dir, "a.ipynb")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.ipynb")
	if err := os.Symlink("a.ipynb", link); err != nil {
		t.Fatal(err)
	}
	if err := notebook.CanWrite(link); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "old" {
		t.Errorf("CanWrite has changed the file to %q", text)
	}
	if err := n.WriteFile(link); err != nil {
		t.Fatal(err)
	}
	alone()
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("permissions were not kept: %v %v", info, err)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Equal(text, n.Encode()) {
		t.Errorf("the file holds %q, %v", text, err)
	}
	for _, bad := range []string{dir, filepath.Join(dir, "missing", "a.ipynb")} {
		if err := notebook.CanWrite(bad); err == nil {
			t.Errorf("CanWrite(%s) sees no fault", bad)
		}
		if err := n.WriteFile(bad); err == nil {
			t.Errorf("WriteFile(%s) sees no fault", bad)
		}
	}
	alone()
}
