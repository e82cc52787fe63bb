package widget

import (
	"slices"
	"sync"
)

// Input is what widgets with a value have in common.
type Input[T comparable] struct {
	Model
	trait string              // that holds the value
	clean func(T) T           // the nearest value that is allowed; handling is held
	read  func(any) (T, bool) // a value from the front end
	write func(T) any         // and for it
	event event

	handling sync.Mutex
	value    T         // guarded by handling
	handlers []func(T) // guarded by handling
}

// start completes a widget whose model is made.
func (w *Input[T]) start(trait string, value T, clean func(T) T, read func(any) (T, bool), write func(T) any) {
	w.trait, w.clean, w.read, w.write = trait, clean, read, write
	w.value = clean(value)
	w.state[trait] = write(w.value)
	w.changed = w.fromFront
	w.event.name, w.event.fire = w.name, w.fire
}

// Value returns the widget's value.
func (w *Input[T]) Value() T {
	w.handling.Lock()
	defer w.handling.Unlock()
	return w.value
}

// SetValue sets the value, or the nearest one that is allowed. If that is another than before, the callbacks run, and
// SetValue returns when they have; while they run already (it may be one of them who calls) it returns at once, and they run once more.
func (w *Input[T]) SetValue(v T) {
	w.handling.Lock()
	v = w.clean(v)
	changed := v != w.value
	w.value = v
	w.handling.Unlock()
	if changed {
		w.set(map[string]any{w.trait: w.write(v)})
		w.event.now()
	}
}

// OnChange adds a callback that is called with each new value. See the package comment for when.
func (w *Input[T]) OnChange(f func(T)) {
	w.handling.Lock()
	defer w.handling.Unlock()
	w.handlers = append(w.handlers, f)
}

func (w *Input[T]) fire() {
	w.handling.Lock()
	v, handlers := w.value, slices.Clone(w.handlers)
	w.handling.Unlock()
	for _, f := range handlers {
		call(w.name, func() { f(v) })
	}
}

// fromFront takes what a hand has done.
func (w *Input[T]) fromFront(state map[string]any) {
	got, ok := state[w.trait]
	if !ok {
		return
	}
	v, ok := w.read(got)
	if !ok {
		return
	}
	w.handling.Lock()
	cleaned := w.clean(v)
	changed := cleaned != w.value
	w.value = cleaned
	w.handling.Unlock()
	w.mu.Lock()
	w.state[w.trait] = w.write(cleaned)
	delete(w.dirty, w.trait) // an older value of ours must not overtake the hand
	w.mu.Unlock()
	if cleaned != v {
		w.set(map[string]any{w.trait: w.write(cleaned)})
	}
	if changed {
		w.event.happen()
	}
}

// same is the clean of widgets that allow any value.
func same[T any](v T) T { return v }

// as is the read of values that JSON has.
func as[T any](v any) (T, bool) {
	t, ok := v.(T)
	return t, ok
}

// plain is the write of such values.
func plain[T any](v T) any { return v }
