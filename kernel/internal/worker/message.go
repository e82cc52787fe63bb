package worker

import "time"

// Plan says what the names of a cell's object mean. What it does not name is private to the object.
type Plan struct {
	Object string            // path of the relocatable file
	Cell   int               // the cell it belongs to
	Vars   map[string]string // symbol of a package variable -> identity
	Funcs  map[string]string // symbol of a function -> what names its code: what is not defined is taken from an earlier object
	Types  map[string]string // type symbol -> canonical name, where it is not the symbol itself
}

// Request asks the live process to load a cell's object and to run it.
type Request struct {
	ID        int
	Op        string
	Plan      Plan
	Entry     string      `json:",omitempty"` // symbol of the function that runs the cell; "" for none
	VarsFunc  string      `json:",omitempty"` // symbol of a function that returns pointers to NewVars
	NewVars   []string    `json:",omitempty"` // identities, in the order of VarsFunc's result
	Convert   [][2]string `json:",omitempty"` // copy the first identity's value into the second's
	Drop      []string    `json:",omitempty"` // identities whose values are given up
	Extension string      `json:",omitempty"` // shared library with packages outside the base
	Args      []string    `json:",omitempty"`
	Target    int         `json:",omitempty"` // of "interrupt": the request whose cell is meant; 0: whatever runs
	Name      string      `json:",omitempty"`
	Value     string      `json:",omitempty"`
}

// Reply is the live process's answer.
type Reply struct {
	ID        int
	Err       string   // the request was refused, and nothing has happened
	Status    string   // of a cell: "ok", "panic", "interrupted", "exit" (its goroutine ended itself)
	Abandoned bool     // interrupted, but its goroutine still waits for something
	Panic     *Panic   // when Status is "panic"
	Dropped   []string // parts of values that a conversion could not keep
	LoadTime  time.Duration
	RunTime   time.Duration
	Memory    *Memory
	Text      string // of "value"
}

// Panic is a panic that no one recovered.
type Panic struct {
	Text   string
	Frames []Frame
}

// Frame is one entry of a stack trace.
type Frame struct {
	Func string `json:"func"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// Memory is what the live program costs.
type Memory struct {
	Libraries  int    // cells loaded
	Mapped     uint64 // bytes of their code and data
	Heap       uint64
	Resident   uint64
	Goroutines int
}

// Kind says what an Event is. The live process's source has the same list.
type Kind byte

// The kinds of events.
const (
	Stdout  Kind = 1
	Stderr  Kind = 2
	Runtime Kind = 3 // text that the runtime itself printed
	Gonb    Kind = 4 // bytes that the program wrote into GONB_PIPE
	reply   Kind = 5
	Value   Kind = 6 // JSON MIME bundle: the cell's last expression
	GoPanic Kind = 7 // JSON Panic: it ended a goroutine
	Input   Kind = 8 // the program waits for standard input
	Message Kind = 9 // bytes that the program wrote into GRADBOOK_PIPE
)

// Event is one thing that the live process made, in its order.
type Event struct {
	Kind Kind
	Cell int // whose goroutine made it; 0 if that is not known
	Data []byte
}
