package widget

import (
	"slices"
	"strings"
	"sync"
)

// Box holds other widgets.
type Box struct {
	Model
	across bool // its widgets stand side by side

	placing  sync.Mutex
	children []Widget // guarded by placing
}

// NewHBox makes a box with widgets side by side.
func NewHBox(children ...Widget) *Box { return newBox("HBox", true, children) }

// NewVBox makes a box with widgets one below the other.
func NewVBox(children ...Widget) *Box { return newBox("VBox", false, children) }

func newBox(name string, across bool, children []Widget) *Box {
	b := &Box{across: across}
	b.init(name, name+"View", "", map[string]any{"box_style": ""})
	b.name = "a box"
	b.static = b.arranged
	b.SetChildren(children...)
	return b
}

// SetChildren changes what is in the box. A box cannot be inside itself: it is left out there.
func (b *Box) SetChildren(children ...Widget) {
	children = slices.DeleteFunc(slices.Clone(children), func(w Widget) bool { return w == nil || holds(w, b) })
	models := make([]*Model, len(children))
	for i, w := range children {
		models[i] = w.model()
	}
	b.placing.Lock()
	b.children = children
	b.placing.Unlock()
	b.set(map[string]any{"children": models})
}

func holds(w Widget, b *Box) bool {
	box, ok := w.(*Box)
	return ok && (box == b || slices.ContainsFunc(box.now(), func(c Widget) bool { return holds(c, b) }))
}

func (b *Box) now() []Widget {
	b.placing.Lock()
	defer b.placing.Unlock()
	return b.children
}

func (b *Box) arranged() (text, page string) {
	var texts []string
	var out strings.Builder
	direction, sep := "column", "\n"
	if b.across {
		direction, sep = "row", "   "
	}
	for _, w := range b.now() {
		t, p := w.model().static()
		texts = append(texts, t)
		out.WriteString("<div>" + p + "</div>")
	}
	if strings.Contains(strings.Join(texts, ""), "\n") {
		sep = "\n"
	}
	return strings.Join(texts, sep), `<div style="display:flex;gap:8px;flex-direction:` + direction + `">` + out.String() + "</div>"
}
