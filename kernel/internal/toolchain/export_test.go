package toolchain

// LinkWhole makes Build link against the whole libraries until the returned function is called.
func LinkWhole() (restore func()) {
	wholeLibraries = true
	return func() { wholeLibraries = false }
}
