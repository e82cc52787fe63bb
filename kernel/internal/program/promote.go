package program

// promoteEdits is filled in below.
func (o *output) promoteEdits() {}
