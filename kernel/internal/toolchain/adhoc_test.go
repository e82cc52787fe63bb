package toolchain_test
import ("testing";"fmt";"context";"strings";"debug/elf";"go/types";"encoding/binary";"os";"bytes";"github.com/gradbook/gradbook/kernel/internal/toolchain")
func TestAdhoc(t *testing.T) {
	ws := workspace(t, "/work/main")
	list, _ := toolchain.BasePackages()
	b := open(t, ws, toolchain.Options{CacheDir: "/tmp/tc/cache", Packages: list, Progress: func(p toolchain.Progress) { if p.Done%50==0 { fmt.Println(p) } }})
	names := []string{}
	for _, p := range b.All() {
		if b.Allowed(p) == nil && p != "unsafe" { names = append(names, p) }
	}
	n, bad, plt := 0, 0, 0
	for _, path := range names {
		pkg, err := b.Import(path)
		if err != nil { t.Error(err); continue }
		if pkg.Name() == "main" { continue }
		body := "func Cell() {\n"
		k := 0
		for _, name := range pkg.Scope().Names() {
			o := pkg.Scope().Lookup(name)
			if !o.Exported() { continue }
			switch o := o.(type) {
			case *types.TypeName:
				if nt, ok := o.Type().(interface{ TypeParams() *types.TypeParamList }); ok && nt.TypeParams().Len() > 0 { continue }
				if i, ok := o.Type().Underlying().(*types.Interface); ok && !i.IsMethodSet() { continue }
				body += fmt.Sprintf("{ x := new(p.%s); q.Println(x, *x)\n", name)
				if s, ok := o.Type().Underlying().(*types.Struct); ok { for i := range s.NumFields() { if f := s.Field(i); f.Exported() { body += fmt.Sprintf("q.Println(x.%s, &x.%s)\n", f.Name(), f.Name()) } } }
				body += "}\n"
			case *types.Func:
				if o.Signature().TypeParams().Len() > 0 { continue }
				body += fmt.Sprintf("q.Println(p.%s)\n", name)
				if o.Signature().Params().Len() == 0 && o.Signature().Results().Len() == 1 { body += fmt.Sprintf("q.Println(p.%s())\n", name) }
			case *types.Var:
				body += fmt.Sprintf("q.Println(p.%s)\n", name)
			default: continue
			}
			k++
		}
		if k == 0 || os.Getenv("CMP") != "" && !strings.HasPrefix(path, os.Getenv("CMP")) { continue }
		u := toolchain.Unit{Files: []toolchain.File{{"x", "package ᵹb\nimport p \""+path+"\"\nimport q \"fmt\"\n"+body+"}\n"}}, Imports: []string{path, "fmt"}}
		n++
		var data [2][]byte
		ob, err := b.Build(context.Background(), u)
		if err != nil { bad++; s := err.Error(); fmt.Println(path, s[:min(len(s), 600)]); continue }
		data[0], _ = os.ReadFile(ob.Path)
		if os.Getenv("CMP") != "" {
		u.Files[0].Name = "whole"
		r := toolchain.LinkWhole()
		ow, err := b.Build(context.Background(), u)
		r()
		if err != nil { fmt.Println("whole", err); continue }
		data[1], _ = os.ReadFile(ow.Path)
		if !bytes.Equal(data[0], data[1]) { fmt.Println(path, "DIFFERS") }
		}
		f, _ := elf.Open(ob.Path)
		syms, _ := f.Symbols()
		for _, s := range f.Sections {
			if s.Type == elf.SHT_RELA && strings.HasPrefix(s.Name, ".rela.data") {
				d, _ := s.Data()
				for ; len(d) > 0; d = d[24:] { info := binary.LittleEndian.Uint64(d[8:]); if uint32(info) != 1 { plt++; fmt.Println(path, "reloc", elf.R_X86_64(uint32(info)), syms[info>>32-1].Name) } }
			}
		}
		fmt.Println(path, k, ob.Timings)
	}
	fmt.Println(n, bad, plt)
}
