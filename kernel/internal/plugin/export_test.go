package plugin

// What tests look at from outside.
var (
	ForDriver = forDriver
	WheelsFor = wheels
	Known     = known
	Pinned    = pinned
)
